#include "resilience/probes.h"

void wr_probes_reset(struct wr_probes *p)
{
  *p = (struct wr_probes){0};
}

// The place of a lease, or WR_PROBES_MAX; of the first free place for lease 0.
static uint32_t find(const struct wr_probes *p, uint16_t lease)
{
  uint32_t at = 0;
  while (at < WR_PROBES_MAX && p->lease[at] != lease) at++;
  return at;
}

uint16_t wr_probes_take(struct wr_probes *p, uint32_t max, uint64_t until_ns)
{
  uint32_t at = find(p, 0);
  if (at == WR_PROBES_MAX || (uint32_t)p->live + p->succeeded + p->failed >= max) return 0;
  do {
    p->last_lease++;
  } while (p->last_lease == 0 || find(p, p->last_lease) < WR_PROBES_MAX);
  p->lease[at] = p->last_lease;
  p->until_ns[at] = until_ns;
  p->live++;
  if (p->asked < UINT16_MAX) p->asked++;
  return p->last_lease;
}

bool wr_probes_release(struct wr_probes *p, uint16_t lease)
{
  uint32_t at = lease ? find(p, lease) : WR_PROBES_MAX;
  if (at == WR_PROBES_MAX) return false;
  p->lease[at] = 0;
  p->live--;
  return true;
}

bool wr_probes_settle(struct wr_probes *p, uint16_t lease, bool failed, bool slow)
{
  if (!wr_probes_release(p, lease)) return false;
  p->succeeded = (uint16_t)(p->succeeded + !failed);
  p->failed = (uint16_t)(p->failed + failed);
  p->slow = (uint16_t)(p->slow + slow);
  return true;
}

static bool is_bad(uint32_t part, uint32_t whole, double rate)
{
  return part > 0 && (double)part / whole >= rate;
}

enum wr_probes_answer wr_probes_decide(const struct wr_probes *p, uint32_t of, double failure_rate,
                                       double slow_rate)
{
  uint32_t given = (uint32_t)p->succeeded + p->failed;
  if (given == 0) return WR_PROBES_OPEN_QUESTION;
  if (of < given) of = given;
  uint32_t missing = of - given;
  bool has_slow_rule = slow_rate > 0;
  if (is_bad(p->failed, of, failure_rate)) return WR_PROBES_FAILED;
  if (has_slow_rule && is_bad(p->slow, of, slow_rate)) return WR_PROBES_SLOW;
  if (missing > 0 && is_bad(p->failed + missing, of, failure_rate)) return WR_PROBES_OPEN_QUESTION;
  if (missing > 0 && has_slow_rule && is_bad(p->slow + missing, of, slow_rate)) {
    return WR_PROBES_OPEN_QUESTION;
  }
  return WR_PROBES_SUCCEEDED;
}

static uint32_t first_to_lapse(const struct wr_probes *p)
{
  uint32_t first = WR_PROBES_MAX;
  for (uint32_t i = 0; i < WR_PROBES_MAX; i++) {
    if (p->lease[i] == 0) continue;
    if (first == WR_PROBES_MAX || p->until_ns[i] < p->until_ns[first]) first = i;
  }
  return first;
}

uint64_t wr_probes_next_ns(const struct wr_probes *p)
{
  uint32_t first = first_to_lapse(p);
  return first < WR_PROBES_MAX ? p->until_ns[first] : UINT64_MAX;
}

bool wr_probes_lapse(struct wr_probes *p, uint64_t now_ns)
{
  uint32_t first = first_to_lapse(p);
  if (first == WR_PROBES_MAX || p->until_ns[first] > now_ns) return false;
  return wr_probes_settle(p, p->lease[first], true, false);
}

static uint16_t at_most(uint16_t n, uint32_t max)
{
  return n < max ? n : (uint16_t)max;
}

void wr_probes_repair(struct wr_probes *p, uint64_t until_max_ns)
{
  p->live = 0;
  for (uint32_t i = 0; i < WR_PROBES_MAX; i++) {
    uint16_t lease = p->lease[i];
    p->lease[i] = 0;
    if (lease == 0 || find(p, lease) < WR_PROBES_MAX) continue; // free, or twice the same
    p->lease[i] = lease;
    p->live++;
    if (p->until_ns[i] > until_max_ns) p->until_ns[i] = until_max_ns;
  }
  p->failed = at_most(p->failed, WR_PROBES_MAX);
  p->succeeded = at_most(p->succeeded, WR_PROBES_MAX - p->failed);
  p->slow = at_most(p->slow, (uint32_t)p->succeeded + p->failed);
  if (p->asked < p->live) p->asked = p->live;
}
