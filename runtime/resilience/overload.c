#include "resilience/overload.h"

#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"

#include <math.h>
#include <string.h>

#define TICK_NS (100 * WR_MS)
#define RISE 0.25  // of a class, for each tick past the bound
#define FALL 0.125 // for each tick well under it
#define CALM 0.8
#define RISE_TICKS 4.0 // a feed after a long silence tells nothing about the silence

const char *wr_overload_config_check(const struct wr_overload_config *c)
{
  if (c->lag_ns > WR_DURATION_MAX) return "lag must be at most 10 years";
  if (!(c->memory_share >= 0 && c->memory_share <= 1)) return "memory must be at most 100%";
  return NULL;
}

bool wr_overload_is_on(const struct wr_overload_config *c)
{
  return c->lag_ns > 0 || c->memory_bytes > 0 || c->memory_share > 0 || c->in_flight > 0;
}

double wr_overload_pressure(const struct wr_overload_config *c, const struct wr_overload_signals *s)
{
  double highest = 0;
  if (c->lag_ns > 0) highest = (double)s->lag_ns / (double)c->lag_ns;
  if (c->in_flight > 0) highest = fmax(highest, (double)s->in_flight / c->in_flight);
  double memory = (double)s->memory_bytes;
  if (c->memory_bytes > 0) highest = fmax(highest, memory / (double)c->memory_bytes);
  if (c->memory_share > 0 && s->memory_limit > 0) {
    highest = fmax(highest, memory / ((double)s->memory_limit * c->memory_share));
  }
  return highest;
}

void wr_overload_feed(struct wr_overload *o, double pressure, uint64_t now_ns)
{
  uint64_t ticks = wr_deadline_left(now_ns, o->tick_ns) / TICK_NS;
  o->pressure = fmax(o->pressure, pressure);
  if (ticks < 1) return;
  if (o->pressure >= 1) o->level += RISE * fmin((double)ticks, RISE_TICKS);
  if (o->pressure < CALM) o->level -= FALL * (double)ticks;
  o->level = fmin(WR_PRIORITIES - 1, fmax(0, o->level));
  o->pressure = 0;
  o->tick_ns = now_ns;
}

bool wr_overload_sheds(struct wr_overload *o, enum wr_priority priority)
{
  // Classes below this one; the level has to reach past them.
  double share = o->level - (WR_PRIORITIES - 1 - (int)priority);
  if (share <= 0) {
    o->credit[priority] = 0;
    return false;
  }
  o->credit[priority] += fmin(1, share);
  if (o->credit[priority] < 1) return false;
  o->credit[priority] -= 1;
  return true;
}

void wr_overload_repair(struct wr_overload *o, uint64_t now_ns)
{
  bool is_valid =
      o->tick_ns <= now_ns && o->pressure >= 0 && o->level >= 0 && o->level <= WR_PRIORITIES - 1;
  for (int i = 0; is_valid && i < WR_PRIORITIES; i++) {
    is_valid = o->credit[i] >= 0 && o->credit[i] <= 1;
  }
  if (is_valid) return;
  memset(o, 0, sizeof(*o));
  o->tick_ns = now_ns;
}
