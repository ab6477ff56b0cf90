#include "loop/timer.h"

void wr_timer_init(struct wr_timer *t, struct wr_loop *l, void (*on_fire)(struct wr_timer *t))
{
  *t = (struct wr_timer){.loop = l, .on_fire = on_fire};
}

void wr_timer_start_at(struct wr_timer *t, uint64_t at_ns)
{
  wr_heap_remove(&t->loop->timers, &t->node);
  wr_heap_push(&t->loop->timers, &t->node, at_ns);
  // Outside of a turn (while a program sets itself up) nobody else will look at the heap.
  if (!t->loop->in_turn) wr_timer_rearm(t->loop);
}

void wr_timer_start(struct wr_timer *t, uint64_t after_ns)
{
  uint64_t now = wr_loop_now(t->loop);
  wr_timer_start_at(t, after_ns > UINT64_MAX - now ? UINT64_MAX : now + after_ns);
}

void wr_timer_stop(struct wr_timer *t)
{
  if (t->loop != NULL) wr_heap_remove(&t->loop->timers, &t->node);
}

// Fires what is due. Timers started by callbacks for "now" wait for the next turn, so a timer that
// restarts itself with zero cannot hold the loop.
static void on_uv_timer(uv_timer_t *uv_timer)
{
  struct wr_loop *l = uv_timer->data;
  wr_loop_tick(l);
  for (size_t left = l->timers.count; left > 0; left--) {
    struct wr_heap_node *first = wr_heap_first(&l->timers);
    if (first == NULL || first->key > l->now_ns) break;
    wr_heap_remove(&l->timers, first);
    struct wr_timer *t = WR_CONTAINER(first, struct wr_timer, node);
    t->on_fire(t);
  }
}

void wr_timer_rearm(struct wr_loop *l)
{
  struct wr_heap_node *first = wr_heap_first(&l->timers);
  if (first == NULL) {
    uv_timer_stop(&l->uv_timer);
    return;
  }
  if (first->key == l->armed_ns && uv_is_active((uv_handle_t *)&l->uv_timer)) return;
  l->armed_ns = first->key;
  uv_update_time(&l->uv);
  uint64_t now = wr_loop_clock();
  uint64_t wait = first->key > now ? first->key - now : 0;
  uint64_t ms = wait / 1000000u + (wait % 1000000u ? 1 : 0);
  uv_timer_start(&l->uv_timer, on_uv_timer, ms, 0);
}
