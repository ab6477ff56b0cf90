// What of a breaker outlives the program: its state and what led to it. Probes and calls in flight
// end with their processes.

#include "base/archive.h"
#include "resilience/breaker.h"

static const char *const states[WR_BREAKER_STATES] = {
#define WR_BREAKER_STATE(ENUM, name, meaning) [WR_BREAKER_##ENUM] = name,
#include "tables/states.def"
};

static const char *const modes[WR_BREAKER_MODES] = {
#define WR_BREAKER_MODE(ENUM, name, meaning) [WR_BREAKER_MODE_##ENUM] = name,
#include "tables/states.def"
};

static void archive_counters(struct wr_breaker_counters *c, struct wr_archive *a)
{
  wr_archive_u64(a, "successful", &c->successful);
  wr_archive_u64(a, "failed", &c->failed);
  wr_archive_u64(a, "slow", &c->slow);
  wr_archive_u64(a, "ignored", &c->ignored);
  wr_archive_u64(a, "cancelled", &c->cancelled);
  wr_archive_u64(a, "stale", &c->stale);
  wr_archive_u64(a, "lapsed", &c->lapsed);
  wr_archive_u64(a, "not_permitted", &c->not_permitted);
  wr_archive_u64(a, "shadow_not_permitted", &c->shadow_not_permitted);
}

void wr_breaker_archive(struct wr_breaker *b, struct wr_archive *a)
{
  wr_archive_word(a, "state", &b->state, states, WR_BREAKER_STATES);
  wr_archive_word(a, "operator", &b->forced, modes, WR_BREAKER_MODES);
  wr_archive_flag(a, "held", &b->is_held);
  wr_archive_u32(a, "trips", &b->trips);
  wr_archive_u64(a, "open_ns", &b->open_last_ns);
  wr_archive_u32(a, "failures_in_row", &b->failures_in_row);
  wr_archive_time(a, "since", &b->since_ns);
  wr_archive_time(a, "until", &b->until_ns);
  wr_window_archive(&b->window, a);
  archive_counters(&b->counters, a);
  if (wr_archive_is_reading(a)) wr_breaker_events_init(&b->events, b->state);
}
