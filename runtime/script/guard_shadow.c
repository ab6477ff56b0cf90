#include "script/guard_shadow.h"

#include "base/check.h"
#include "script/guard_kind.h"

#include <stdatomic.h>
#include <string.h>

bool wr_guard_shadow_takes(enum wr_kind kind)
{
  return kind == WR_KIND_BREAKER || kind == WR_KIND_BULKHEAD || kind == WR_KIND_LIMITER ||
         kind == WR_KIND_SHEDDER;
}

static struct wr_str bytes_of(const void *value, size_t size)
{
  return (struct wr_str){value, size};
}

void wr_guard_shadow_init(struct wr_guard_shadow *s, struct wr_guard *g)
{
  struct wr_hash_key key = g->registry->arena->header->hash_key;
  *s = (struct wr_guard_shadow){.guard = g};
  wr_map_init(&s->entries, key);
  wr_map_init(&s->admissions, key);
  g->shadow = s;
}

// Ids are never 0, so that one fits a map's value.
static void *value_of(uint64_t id)
{
  return (void *)(uintptr_t)id;
}

void wr_guard_shadow_fini(struct wr_guard_shadow *s, uint64_t now_ns)
{
  size_t at = 0;
  struct wr_str key;
  void *value;
  s->guard->shadow = NULL;
  while ((value = wr_map_next(&s->admissions, &at, &key)) != NULL) {
    wr_guard_leave(s->guard, (uintptr_t)value, WR_OUTCOME_CANCELLED, now_ns);
  }
  wr_map_fini(&s->admissions);
  wr_map_fini(&s->entries);
}

void wr_guard_shadow_add(struct wr_guard_shadow *s, const struct wr_entry *real,
                         struct wr_entry *shadow)
{
  WR_CHECK(real->kind == shadow->kind && wr_guard_shadow_takes((enum wr_kind)real->kind));
  wr_map_put(&s->entries, bytes_of(&real->index, sizeof(real->index)), shadow);
}

struct wr_str wr_guard_shadow_of(const struct wr_entry *entry)
{
  const char *mark = strstr(entry->name, WR_GUARD_SHADOW_MARK);
  bool is_shadow = mark != NULL && wr_guard_shadow_takes((enum wr_kind)entry->kind);
  if (!is_shadow) return (struct wr_str){NULL, 0};
  return (struct wr_str){entry->name, (size_t)(mark - entry->name)};
}

// Asks without waiting. The guard must not come back here for it.
static enum wr_guard_admission ask_shadow(struct wr_guard_shadow *s, struct wr_entry *shadow,
                                          struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_error refusal;
  ask->until_ns = 0;
  s->guard->shadow = NULL;
  enum wr_guard_admission result = wr_guard_enter(s->guard, shadow, ask, now_ns, &refusal);
  s->guard->shadow = s;
  return result;
}

static void leave_shadow(struct wr_guard_shadow *s, uint64_t id, enum wr_outcome outcome,
                         uint64_t now_ns)
{
  s->guard->shadow = NULL;
  wr_guard_leave(s->guard, id, outcome, now_ns);
  s->guard->shadow = s;
}

void wr_guard_shadow_entered(struct wr_guard_shadow *s, const struct wr_entry *real,
                             const struct wr_guard_ask *ask, enum wr_guard_admission result,
                             uint64_t now_ns)
{
  struct wr_entry *shadow = wr_map_get(&s->entries, bytes_of(&real->index, sizeof(real->index)));
  if (shadow == NULL) return;
  struct wr_guard_ask own = *ask;
  bool is_in = ask_shadow(s, shadow, &own, now_ns) == WR_GUARD_ADMITTED;
  bool is_refused = result == WR_GUARD_REFUSED;
  atomic_fetch_add(&shadow->shadow_asked, 1);
  if (is_in && is_refused) atomic_fetch_add(&shadow->shadow_looser, 1);
  if (!is_in && result == WR_GUARD_ADMITTED) atomic_fetch_add(&shadow->shadow_stricter, 1);
  if (!is_in) return;
  if (is_refused || !wr_guard_holds(shadow)) {
    leave_shadow(s, own.id, is_refused ? WR_OUTCOME_IGNORED : WR_OUTCOME_SUCCESS, now_ns);
  } else {
    wr_map_put(&s->admissions, bytes_of(&ask->id, sizeof(ask->id)), value_of(own.id));
  }
}

void wr_guard_shadow_left(struct wr_guard_shadow *s, uint64_t id, enum wr_outcome outcome,
                          uint64_t now_ns)
{
  void *value = wr_map_remove(&s->admissions, bytes_of(&id, sizeof(id)));
  if (value != NULL) leave_shadow(s, (uintptr_t)value, outcome, now_ns);
}
