#include "loop/virtual.h"

#include "loop/timer.h"

void wr_virtual_init(struct wr_virtual *v, struct wr_loop *l)
{
  *v = (struct wr_virtual){.loop = l, .until_ns = UINT64_MAX, .work_until_ns = UINT64_MAX};
  l->clock = v;
}

// Handles that close have a call to come, which needs no time.
static bool is_closing(struct wr_loop *l)
{
  return uv_loop_alive(&l->uv) && uv_backend_timeout(&l->uv) == 0;
}

// What comes next: now, or at another time, to which the clock goes.
static bool go_on(struct wr_virtual *v)
{
  struct wr_loop *l = v->loop;
  if (!wr_list_is_empty(&l->deferred) || is_closing(l)) return true;
  uint64_t next_ns = wr_timer_next(l);
  v->end = next_ns == UINT64_MAX ? WR_VIRTUAL_DRY : WR_VIRTUAL_LATE;
  if (next_ns == UINT64_MAX || next_ns > v->until_ns) return false;
  if (next_ns > l->now_ns) l->now_ns = next_ns;
  wr_timer_fire_due(l);
  return true;
}

void wr_virtual_run(struct wr_virtual *v)
{
  struct wr_loop *l = v->loop;
  v->is_stopping = false;
  do {
    uv_run(&l->uv, UV_RUN_NOWAIT);
    wr_loop_end_turn(l);
    v->end = WR_VIRTUAL_STOPPED;
    if (v->is_stopping) return;
    v->end = WR_VIRTUAL_SLOW;
    if (wr_loop_processor() > v->work_until_ns) return;
  } while (go_on(v));
}

void wr_virtual_stop(struct wr_virtual *v)
{
  v->is_stopping = true;
}
