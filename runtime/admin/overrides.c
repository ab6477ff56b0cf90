#include "admin/overrides.h"

#include "base/duration.h"
#include "resilience/breaker.h"
#include "resilience/bulkhead.h"
#include "resilience/flag.h"
#include "resilience/limiter.h"
#include "upstream/roster.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

enum { TEXT = 96 };

struct override {
  const char *endpoint; // NULL: of the whole
  const char *order;
  const struct wr_order_note *note;
};

static void put(struct wr_json *j, const struct wr_entry *entry, const struct override *o,
                uint64_t now_ns)
{
  const struct wr_order_note *note = o->note;
  wr_json_object(j);
  wr_json_field_cstr(j, "kind", wr_registry_kind_name((enum wr_kind)entry->kind));
  wr_json_field_cstr(j, "name", entry->name);
  if (o->endpoint) wr_json_field_cstr(j, "endpoint", o->endpoint);
  wr_json_field_cstr(j, "order", o->order);
  wr_json_field_str(j, "by", wr_order_note_by(note));
  // One that a file of state brought back has lost its signature.
  wr_json_field_num(j, "since_s", note->at_ns ? wr_duration_s(now_ns - note->at_ns) : NAN);
  wr_json_object_end(j);
}

static void put_endpoints(struct wr_json *j, const struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_roster *r = entry->state;
  for (uint32_t i = 0; i < r->capacity; i++) {
    const struct wr_roster_member *m = wr_roster_member(r, i);
    char text[TEXT] = "drained";
    bool is_ordered = m->is_drained || m->declared_weight > 0;
    if (!wr_roster_outlier(r)->rows[i].is_used || !is_ordered) continue;
    if (!m->is_drained) {
      snprintf(text, sizeof(text), "weight %u, the policy says %u", m->weight, m->declared_weight);
    }
    put(j, entry, &(struct override){m->url, text, &m->ordered}, now_ns);
  }
}

// What of one stands above the policy, in words; false: nothing does.
static bool describe(const struct wr_entry *entry, char out[TEXT])
{
  const struct wr_breaker *breaker = entry->state;
  const struct wr_bulkhead *bulkhead = entry->state;
  const struct wr_limiter *limiter = entry->state;
  const struct wr_flag *flag = entry->state;
  switch ((enum wr_kind)entry->kind) {
  case WR_KIND_BREAKER:
    snprintf(out, TEXT, "%s", wr_breaker_mode_name(wr_breaker_mode(breaker)));
    return wr_breaker_is_forced(breaker);
  case WR_KIND_BULKHEAD:
    snprintf(out, TEXT, "max %u, the policy says %u", bulkhead->config.max, bulkhead->declared_max);
    return bulkhead->declared_max > 0;
  case WR_KIND_LIMITER:
    snprintf(out, TEXT, "limit %u, the policy says %u", limiter->config.limit,
             limiter->declared_limit);
    return limiter->declared_limit > 0;
  case WR_KIND_FLAG:
    snprintf(out, TEXT, "on for %g%%, the policy says %g%%", wr_flag_share(flag) / 1e4,
             flag->config.share / 1e4);
    return flag->is_overridden && flag->actor == WR_FLAG_ACTOR_OPERATOR;
  default: return false;
  }
}

void wr_overrides_write(struct wr_registry *r, uint64_t now_ns, struct wr_json *j)
{
  struct wr_entry *entry;
  uint32_t at = 0;
  char text[TEXT];
  wr_json_array(j);
  while ((entry = wr_registry_each(r, &at)) != NULL) {
    if (!wr_registry_lock(r, entry, atomic_load(&entry->generation), now_ns)) continue;
    if (entry->kind == WR_KIND_UPSTREAM) {
      put_endpoints(j, entry, now_ns);
    } else if (describe(entry, text)) {
      put(j, entry, &(struct override){NULL, text, &entry->ordered}, now_ns);
    }
    wr_registry_unlock(r, entry);
  }
  wr_json_array_end(j);
}
