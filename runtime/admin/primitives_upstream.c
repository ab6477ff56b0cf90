#include "admin/primitives_upstream.h"

#include "base/duration.h"
#include "upstream/roster.h"

#include <math.h>
#include <stdio.h>

enum { ENDPOINTS_SHOWN = 128 };

// Named as OpenTelemetry's error.type is: by the status of an answer, else by the kind of error.
static void put_standing(const struct wr_standing *s, uint64_t now_ns, struct wr_json *j)
{
  char status[8];
  wr_json_field_num(j, "latency_s", floor(wr_standing_latency(s) / 1e3) / 1e6);
  if (s->failed_ns == 0) return;
  snprintf(status, sizeof(status), "%u", s->last.status);
  const char *kind = wr_error_name((enum wr_error_kind)s->last.error);
  wr_json_field_cstr(j, "last_error", s->last.status > 0 ? status : kind);
  wr_json_field_bool(j, "last_error_of_check", s->last.is_check);
  wr_json_field_num(j, "last_error_s", wr_duration_s(now_ns - s->failed_ns));
}

static void put_endpoint(const struct wr_roster *r, uint32_t at, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_outlier_row *row = &wr_roster_outlier(r)->rows[at];
  const struct wr_roster_member *m = wr_roster_member(r, at);
  bool is_out = row->is_ejected && row->until_ns > now_ns;
  wr_json_object(j);
  wr_json_field_cstr(j, "url", m->url);
  wr_json_field_uint(j, "weight", m->weight);
  if (m->declared_weight > 0) wr_json_field_uint(j, "policy_weight", m->declared_weight);
  wr_json_field_bool(j, "drained", m->is_drained);
  if (m->zone[0]) wr_json_field_cstr(j, "zone", m->zone);
  wr_json_field_bool(j, "healthy", !row->is_unhealthy);
  wr_json_field_bool(j, "ejected", row->is_ejected);
  wr_json_field_uint(j, "ejections", row->ejections);
  if (row->ejections > 0) {
    wr_json_field_cstr(j, "cause", wr_outlier_cause_name((enum wr_outlier_cause)row->cause));
  }
  if (is_out) wr_json_field_num(j, "back_in_s", wr_duration_s(row->until_ns - now_ns));
  put_standing(&m->standing, now_ns, j);
  wr_json_object_end(j);
}

// Those that are out, and then others, as far as the page has room: metrics have all.
static void put_endpoints(const struct wr_roster *r, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  uint32_t room = ENDPOINTS_SHOWN;
  wr_json_key(j, "endpoints");
  wr_json_array(j);
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < r->capacity && room > 0; i++) {
      bool is_out =
          o->rows[i].is_ejected || o->rows[i].is_unhealthy || wr_roster_member(r, i)->is_drained;
      if (!o->rows[i].is_used || is_out != (pass == 0)) continue;
      put_endpoint(r, i, now_ns, j);
      room--;
    }
  }
  wr_json_array_end(j);
}

void wr_primitives_upstream_put(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_roster *r = entry->state;
  const struct wr_outlier *o = wr_roster_outlier(r);
  wr_json_field_uint(j, "count", o->count);
  wr_json_field_uint(j, "usable", o->usable);
  wr_json_field_uint(j, "ejected", o->ejected);
  wr_json_field_bool(j, "panic", r->is_panic);
  wr_json_field_bool(j, "full", r->was_full);
  put_endpoints(r, now_ns, j);
}
