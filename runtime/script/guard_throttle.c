// The throttle behind the guard: a row says that a result is due; it holds nothing else.

#include "resilience/throttle.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)now_ns;
  wr_throttle_init(state, config, seed);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_throttle_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_throttle_repair(state, now_ns);
}

// It forgets by itself within its window, so what is dropped is soon learnt again.
static bool can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  (void)row;
  if (wr_throttle_try(entry->state, now_ns)) return WR_GUARD_ADMITTED;
  ask->why.numbers[0] = (uint64_t)(wr_throttle_probability(entry->state, now_ns) * 1000);
  return WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  wr_error_set(refusal, WR_ERROR_SHED,
               "throttle '%s' refused: the upstream fails so many calls that %.1f %% are not made",
               entry->name, (double)ask->why.numbers[0] / 10);
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  (void)row;
  wr_throttle_settle(entry->state, outcome, now_ns);
}

static void archive(void *state, struct wr_archive *a)
{
  wr_throttle_archive(state, a);
}

const struct wr_guard_kind wr_guard_throttle = {
    .state = {.state_size = sizeof(struct wr_throttle),
              .config_size = sizeof(struct wr_throttle_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "throttled",
    .enter = enter,
    .explain = explain,
    .leave = leave,
};
