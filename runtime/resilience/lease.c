#include "resilience/lease.h"

#include "base/archive.h"
#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"

enum { TOKEN_BITS = 52 }; // a script's number holds it

const char *wr_lease_config_check(const struct wr_lease_config *c)
{
  if (c->interval_ns < WR_MS || c->interval_ns > WR_DURATION_MAX) return "interval must be 1ms up";
  if (c->ttl_ns < WR_MS || c->ttl_ns > WR_DURATION_MAX) return "ttl must be 1ms or more";
  return NULL;
}

void wr_lease_init(struct wr_lease *l, const struct wr_lease_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_lease_config_check(config) == NULL);
  *l = (struct wr_lease){.config = *config, .due_ns = now_ns};
  wr_list_init(&l->waiters);
}

// What is due already stays so.
void wr_lease_reconfigure(struct wr_lease *l, const struct wr_lease_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_lease_config_check(config) == NULL);
  l->config = *config;
  if (l->begun_ns && l->due_ns > now_ns) {
    l->due_ns = wr_deadline_in(l->begun_ns, config->interval_ns);
  }
  uint64_t latest = wr_deadline_in(now_ns, config->ttl_ns);
  if (l->until_ns > latest) l->until_ns = latest;
}

// The queue

void wr_lease_wait(struct wr_lease *l, struct wr_lease_waiter *w)
{
  w->token = 0;
  w->has_begun = 0;
  wr_list_push(&l->waiters, &w->link);
  l->waiting++;
}

void wr_lease_leave(struct wr_lease *l, struct wr_lease_waiter *w)
{
  wr_list_remove(&w->link);
  l->waiting--;
}

// A run

static void end_run(struct wr_lease *l, bool is_done, uint64_t now_ns)
{
  l->token = 0;
  if (!l->has_begun) return;
  l->has_begun = 0;
  l->counters.done += is_done;
  l->counters.lost += !is_done;
  if (!is_done && !l->was_lost) l->due_ns = now_ns;
  l->was_lost = !is_done;
}

static void lapse(struct wr_lease *l, uint64_t now_ns)
{
  if (l->token == 0 || now_ns < l->until_ns) return;
  l->counters.lapsed++;
  end_run(l, false, now_ns);
}

struct wr_lease_waiter *wr_lease_grant(struct wr_lease *l, uint64_t now_ns)
{
  lapse(l, now_ns);
  if (l->token != 0 || now_ns < l->due_ns || l->waiting == 0) return NULL;
  struct wr_lease_waiter *w = WR_CONTAINER(l->waiters.next, struct wr_lease_waiter, link);
  wr_lease_leave(l, w);
  w->token = l->token = ++l->last_token;
  l->owner = w->owner;
  l->has_begun = 0;
  l->until_ns = wr_deadline_in(now_ns, l->config.ttl_ns);
  return w;
}

static bool is_current(struct wr_lease *l, const struct wr_lease_waiter *w, uint64_t now_ns)
{
  lapse(l, now_ns);
  return w->token != 0 && w->token == l->token;
}

bool wr_lease_begin(struct wr_lease *l, struct wr_lease_waiter *w, uint64_t now_ns)
{
  if (!is_current(l, w, now_ns)) return false;
  w->has_begun = l->has_begun = 1;
  l->counters.begun++;
  // It was due by another process's clock: that of a long turn may be behind.
  l->begun_ns = now_ns > l->due_ns ? now_ns : l->due_ns;
  l->due_ns = wr_deadline_in(l->begun_ns, l->config.interval_ns);
  l->until_ns = wr_deadline_in(now_ns, l->config.ttl_ns);
  return true;
}

bool wr_lease_renew(struct wr_lease *l, const struct wr_lease_waiter *w, uint64_t now_ns)
{
  if (!is_current(l, w, now_ns)) return false;
  l->until_ns = wr_deadline_in(now_ns, l->config.ttl_ns);
  return true;
}

void wr_lease_release(struct wr_lease *l, const struct wr_lease_waiter *w, bool is_done,
                      uint64_t now_ns)
{
  if (is_current(l, w, now_ns)) end_run(l, is_done, now_ns);
}

uint64_t wr_lease_next_ns(const struct wr_lease *l)
{
  if (l->token != 0) return l->until_ns;
  return l->waiting > 0 ? l->due_ns : UINT64_MAX;
}

bool wr_lease_is_idle(const struct wr_lease *l)
{
  return l->token == 0 && l->waiting == 0;
}

// Repair

static uint64_t at_most(uint64_t value, uint64_t most)
{
  return value < most ? value : most;
}

void wr_lease_repair(struct wr_lease *l, const struct wr_lease_waiter *holder, uint64_t now_ns)
{
  wr_list_init(&l->waiters);
  l->waiting = 0;
  l->begun_ns = at_most(l->begun_ns, now_ns);
  l->due_ns = at_most(l->due_ns, wr_deadline_in(now_ns, l->config.interval_ns));
  l->until_ns = at_most(l->until_ns, wr_deadline_in(now_ns, l->config.ttl_ns));
  l->was_lost = l->was_lost == 1;
  if (l->last_token >> TOKEN_BITS) l->last_token = 0;
  l->token = holder ? holder->token : 0;
  l->has_begun = holder && holder->has_begun == 1;
  if (holder && l->last_token < holder->token) l->last_token = holder->token;
}

// A run that was under way is over with its program: it was not done.
void wr_lease_archive(struct wr_lease *l, struct wr_archive *a)
{
  wr_archive_u64(a, "token", &l->last_token);
  wr_archive_time(a, "begun", &l->begun_ns);
  wr_archive_time(a, "due", &l->due_ns);
  wr_archive_u64(a, "runs", &l->counters.begun);
  wr_archive_u64(a, "done", &l->counters.done);
  wr_archive_u64(a, "lost", &l->counters.lost);
  wr_archive_u64(a, "lapsed", &l->counters.lapsed);
}
