#include "observe/episodes.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "resilience/bulkhead.h"
#include "resilience/limiter.h"
#include "resilience/shedder.h"
#include "resilience/throttle.h"

#include <stdatomic.h>
#include <stdio.h>

void wr_episodes_init(struct wr_episodes *e, struct wr_registry *registry, struct wr_log *log)
{
  const struct wr_arena_header *h = registry->arena->header;
  size_t entries = h->entries_max * sizeof(*e->entries);
  size_t workers = h->slot_count * sizeof(*e->workers);
  *e = (struct wr_episodes){registry, log, wr_alloc(entries), wr_alloc(workers), 0, false};
  memset(e->entries, 0, entries);
  memset(e->workers, 0, workers);
}

void wr_episodes_fini(struct wr_episodes *e)
{
  wr_free(e->entries);
  wr_free(e->workers);
}

// --- telling ------------------------------------------------------------------------------------

// What happened, to whom: "limiter.transition", the name; of a worker its slot.
struct subject {
  const char *kind;
  const char *name;
  uint32_t slot;
};

static void tell(struct wr_episodes *e, const struct subject *s, const struct wr_episode *episode,
                 uint64_t now_ns)
{
  char event[32];
  bool is_over = episode->calm > 0;
  snprintf(event, sizeof(event), "%s.transition", s->kind);
  struct wr_json *j = wr_log_begin(e->log, WR_LOG_INFO, event);
  if (j == NULL) return;
  if (s->name) wr_json_field_cstr(j, "name", s->name);
  if (s->name == NULL) wr_json_field_uint(j, "of_worker", s->slot);
  wr_json_field_cstr(j, "to", is_over ? "calm" : "refusing");
  wr_json_field_uint(j, "refused", episode->refused);
  if (is_over) wr_json_field_num(j, "for_s", wr_duration_s(now_ns - episode->began_ns));
  wr_log_end(e->log);
}

// `more` calls were refused since the last look.
static void follow(struct wr_episodes *e, const struct subject *s, struct wr_episode *episode,
                   uint64_t more, uint64_t now_ns)
{
  bool has_begun = more > 0 && episode->refused == 0;
  if (has_begun) episode->began_ns = now_ns;
  episode->refused += more;
  if (episode->refused == 0) return;
  episode->calm = more > 0 ? 0 : episode->calm + 1;
  bool is_over = episode->calm == WR_EPISODES_CALM;
  if (has_begun || is_over) tell(e, s, episode, now_ns);
  if (is_over)
    *episode = (struct wr_episode){.generation = episode->generation, .seen = episode->seen};
}

// --- looking ------------------------------------------------------------------------------------

static uint64_t bulkhead_refused(const struct wr_bulkhead_counters *c)
{
  return c->refused_full + c->refused_queue_full + c->expired;
}

static uint64_t shedder_refused(const struct wr_shedder *s)
{
  uint64_t sum = 0;
  for (int i = 0; i < WR_PRIORITIES; i++) sum += wr_shedder_shed(s, (enum wr_priority)i);
  return sum;
}

// Of a state under its lock. False: the kind has states of its own, or refuses nobody.
static bool count_refused(const struct wr_entry *entry, uint64_t *out)
{
  switch (entry->kind) {
  case WR_KIND_BULKHEAD:
    *out = bulkhead_refused(&((const struct wr_bulkhead *)entry->state)->counters);
    return true;
  case WR_KIND_LIMITER: {
    const struct wr_limiter_counters *c = &((const struct wr_limiter *)entry->state)->counters;
    *out = c->refused + c->expired;
    return true;
  }
  case WR_KIND_SHEDDER: *out = shedder_refused(entry->state); return true;
  case WR_KIND_THROTTLE:
    *out = ((const struct wr_throttle *)entry->state)->counters.refused;
    return true;
  default: return false;
  }
}

static void look_at_entry(struct wr_episodes *e, struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_entry_ref ref = wr_registry_ref(entry);
  struct wr_episode *episode = &e->entries[ref.index];
  uint64_t refused = 0;
  if (!wr_registry_lock(e->registry, entry, ref.generation, now_ns)) return;
  bool is_ours = count_refused(entry, &refused);
  wr_registry_unlock(e->registry, entry);
  if (!is_ours) return;
  // What was counted before our time is nobody's news.
  if (episode->generation != ref.generation) {
    *episode = (struct wr_episode){ref.generation, .seen = e->has_looked ? 0 : refused};
  }
  uint64_t more = refused > episode->seen ? refused - episode->seen : 0;
  episode->seen = refused;
  struct subject s = {wr_registry_kind_name(entry->kind), entry->name, 0};
  follow(e, &s, episode, more, now_ns);
}

// A worker counts as shedding while it would shed, whoever comes: what it sheds is a series.
static void look_at_worker(struct wr_episodes *e, uint32_t slot, uint64_t now_ns)
{
  const struct wr_slot *w = wr_slot_of(e->registry->arena, slot);
  bool is_shadow = atomic_load_explicit(&w->shed_shadow, memory_order_relaxed) != 0;
  uint32_t level = atomic_load_explicit(&w->shed_permille, memory_order_relaxed);
  struct subject s = {"overload", NULL, slot};
  follow(e, &s, &e->workers[slot], level > 0 && !is_shadow, now_ns);
}

void wr_episodes_tick(struct wr_episodes *e, uint64_t now_ns)
{
  if (now_ns < e->due_ns) return;
  e->due_ns = now_ns + WR_SECOND;
  uint32_t at = 0;
  for (struct wr_entry *entry; (entry = wr_registry_each(e->registry, &at)) != NULL;) {
    look_at_entry(e, entry, now_ns);
  }
  e->has_looked = true;
  for (uint32_t i = 0; i < wr_slot_master(e->registry->arena); i++) look_at_worker(e, i, now_ns);
}
