// The roster of an upstream behind the guard: it admits nobody; the clock moves it.

#include "script/guard_kind.h"
#include "upstream/roster.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)now_ns;
  wr_roster_init(state, config, seed);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_roster_reconfigure(state, config, now_ns);
}

static size_t state_bytes(const void *config)
{
  return wr_roster_bytes(config);
}

static void move(void *to, const void *from, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  wr_roster_move(to, from, config);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  (void)r;
  wr_roster_repair(entry->state, entry->config, now_ns);
}

// Unused: recount has the configuration.
static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  struct wr_roster *roster = state;
  (void)live_normal, (void)live_probes;
  wr_roster_repair(roster, &roster->config, now_ns);
}

static void advance(struct wr_entry *entry, uint64_t now_ns)
{
  wr_roster_advance(entry->state, now_ns);
}

static uint64_t next_ns(const struct wr_entry *entry)
{
  return wr_roster_next(entry->state);
}

static bool take_event(struct wr_entry *entry, union wr_guard_event *out)
{
  return wr_roster_take_event(entry->state, &out->roster);
}

static void archive(void *state, struct wr_archive *a)
{
  wr_roster_archive(state, a);
}

bool wr_guard_endpoint_order(struct wr_registry *r, struct wr_entry *entry,
                             const struct wr_roster_order *order, uint64_t now_ns,
                             struct wr_error *error)
{
  WR_CHECK(entry->kind == WR_KIND_UPSTREAM);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) {
    wr_error_set(error, WR_ERROR_CLOSED, "upstream '%s' is gone", entry->name);
    return false;
  }
  uint32_t at = wr_roster_find(entry->state, order->url);
  if (at != UINT32_MAX) wr_roster_obey(entry->state, at, order, now_ns);
  wr_registry_unlock(r, entry);
  if (at != UINT32_MAX) return true;
  wr_error_set(error, WR_ERROR_NO_ENDPOINT, "upstream '%s' has no endpoint %.*s", entry->name,
               WR_STR_ARG(order->url));
  return false;
}

const struct wr_guard_kind wr_guard_upstream = {
    .state = {.state_size = sizeof(struct wr_roster),
              .config_size = sizeof(struct wr_roster_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .state_bytes = state_bytes,
              .move = move,
              .archive = archive,
              .can_drop = can_drop},
    .why = "",
    .recount = recount,
    .advance = advance,
    .next_ns = next_ns,
    .take_event = take_event,
};
