#include "resilience/gcra.h"

#include "base/check.h"
#include "resilience/deadline.h"

struct wr_gcra wr_gcra_of(uint64_t period_ns, uint32_t limit, uint32_t burst)
{
  WR_CHECK(limit > 0 && burst > 0 && period_ns > 0);
  uint64_t gap_ns = period_ns / limit + (period_ns % limit != 0);
  return (struct wr_gcra){gap_ns, gap_ns * (burst - 1)};
}

static uint64_t later(uint64_t a_ns, uint64_t b_ns)
{
  return a_ns > b_ns ? a_ns : b_ns;
}

uint64_t wr_gcra_when(const struct wr_gcra *g, uint64_t owed_ns, uint32_t cost, uint64_t now_ns)
{
  // A cost times a gap of days does not fit 64 bits.
  if (cost > 1 && cost - 1 > g->slack_ns / g->gap_ns) return UINT64_MAX;
  uint64_t due_ns = later(owed_ns, now_ns) + (cost - 1) * g->gap_ns;
  return due_ns - now_ns > g->slack_ns ? due_ns - g->slack_ns : now_ns;
}

uint64_t wr_gcra_spend(const struct wr_gcra *g, uint64_t owed_ns, uint32_t cost, uint64_t at_ns)
{
  return later(owed_ns, at_ns) + cost * g->gap_ns;
}

uint32_t wr_gcra_left(const struct wr_gcra *g, uint64_t owed_ns, uint64_t now_ns)
{
  uint64_t debt_ns = wr_deadline_left(owed_ns, now_ns);
  return debt_ns > g->slack_ns ? 0 : (uint32_t)((g->slack_ns - debt_ns) / g->gap_ns) + 1;
}

uint64_t wr_gcra_used(const struct wr_gcra *g, uint64_t owed_ns, uint64_t now_ns)
{
  return (wr_deadline_left(owed_ns, now_ns) + g->gap_ns - 1) / g->gap_ns;
}

uint64_t wr_gcra_rescale(const struct wr_gcra *from, const struct wr_gcra *to, uint64_t owed_ns,
                         uint64_t now_ns)
{
  uint64_t debt_ns = wr_deadline_left(owed_ns, now_ns);
  if (debt_ns == 0 || from->gap_ns == to->gap_ns) return owed_ns;
  unsigned __int128 scaled = (unsigned __int128)debt_ns * to->gap_ns;
  return now_ns + (uint64_t)((scaled + from->gap_ns - 1) / from->gap_ns);
}
