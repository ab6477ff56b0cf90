#include "resilience/deadline.h"

uint64_t wr_deadline_in(uint64_t now_ns, uint64_t after_ns)
{
  return after_ns < WR_DEADLINE_NEVER - now_ns ? now_ns + after_ns : WR_DEADLINE_NEVER;
}

uint64_t wr_deadline_left(uint64_t at_ns, uint64_t now_ns)
{
  if (at_ns == WR_DEADLINE_NEVER) return WR_DEADLINE_NEVER;
  return at_ns > now_ns ? at_ns - now_ns : 0;
}

uint64_t wr_deadline_nest(uint64_t at_ns, uint64_t now_ns, uint64_t after_ns)
{
  uint64_t own = wr_deadline_in(now_ns, after_ns);
  return own < at_ns ? own : at_ns;
}

bool wr_deadline_fits(uint64_t at_ns, uint64_t now_ns, uint64_t delay_ns, uint64_t need_ns)
{
  if (at_ns == WR_DEADLINE_NEVER) return true;
  if (now_ns > at_ns) return false; // what needs no time is late too
  uint64_t left = wr_deadline_left(at_ns, now_ns);
  return delay_ns <= left && need_ns <= left - delay_ns;
}
