// The breaker behind the guard: a row holds a ticket.

#include "base/duration.h"
#include "base/rng.h"
#include "script/guard_kind.h"

_Static_assert(sizeof(struct wr_ticket) <= WR_LEDGER_PAYLOAD, "a row holds a ticket");

static struct wr_ticket *ticket_of(struct wr_row *row)
{
  return (struct wr_ticket *)row->payload;
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  struct wr_rng rng;
  wr_rng_init(&rng, seed);
  wr_breaker_init(state, config, &rng, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_breaker_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  wr_breaker_repair(state, live_normal, live_probes, now_ns);
}

// An open breaker, or one that an operator forced, remembers what nobody else knows.
static bool can_drop(void *state, uint64_t now_ns)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(state, now_ns, &stats);
  return stats.state == WR_BREAKER_CLOSED &&
         ((struct wr_breaker *)state)->forced == WR_BREAKER_MODE_NORMAL && stats.inflight == 0 &&
         stats.probes == 0;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_breaker_refusal why;
  if (wr_breaker_try(entry->state, now_ns, ticket_of(row), &why)) return WR_GUARD_ADMITTED;
  ask->why.result = (uint8_t)why.kind;
  ask->why.after_ns = why.retry_after_ns == UINT64_MAX ? 0 : why.retry_after_ns;
  return WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  wr_error_set(refusal, WR_ERROR_REFUSED, "breaker '%s' refused (%s)", entry->name,
               wr_breaker_refusal_name((enum wr_breaker_refusal_kind)ask->why.result));
  wr_guard_refuse_after(refusal, ask->why.after_ns);
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  wr_breaker_settle(entry->state, ticket_of(row), outcome, now_ns);
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_breaker *b = entry->state;
  uint32_t live[2] = {0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_ticket *ticket = ticket_of(row);
    bool counts = !ticket->done && ticket->generation == b->generation;
    if (counts) live[ticket->kind == WR_TICKET_PROBE]++;
  }
  wr_breaker_repair(entry->state, live[0], live[1], now_ns);
}

static void advance(struct wr_entry *entry, uint64_t now_ns)
{
  wr_breaker_advance(entry->state, now_ns);
}

static uint64_t next_ns(const struct wr_entry *entry)
{
  return wr_breaker_next_ns(entry->state);
}

static bool take_event(struct wr_entry *entry, union wr_guard_event *out)
{
  return wr_breaker_take_event(entry->state, &out->breaker);
}

static void archive(void *state, struct wr_archive *a)
{
  wr_breaker_archive(state, a);
}

const struct wr_guard_kind wr_guard_breaker = {
    .state = {.state_size = sizeof(struct wr_breaker),
              .config_size = sizeof(struct wr_breaker_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "breaker_open",
    .enter = enter,
    .explain = explain,
    .leave = leave,
    .recount = recount,
    .advance = advance,
    .next_ns = next_ns,
    .take_event = take_event,
};
