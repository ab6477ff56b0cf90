#include "loop/timer.h"

#define NEVER UINT64_MAX

void wr_timer_init(struct wr_timer *t, struct wr_loop *l, void (*on_fire)(struct wr_timer *t))
{
  *t = (struct wr_timer){.loop = l, .on_fire = on_fire};
}

// Counts what is in the heap and will not fire: when that is all, there is nothing to wait for.
static void set_due(struct wr_timer *t, uint64_t due_ns)
{
  if (wr_heap_holds(&t->node)) {
    t->loop->timers_paused += (size_t)(due_ns == NEVER) - (size_t)(t->due_ns == NEVER);
  }
  t->due_ns = due_ns;
}

// Deadlines mostly move later and are mostly not met: a place in the heap that is early enough
// stays, and whoever is looked at before it is due gets a new one.
void wr_timer_start_at(struct wr_timer *t, uint64_t at_ns)
{
  set_due(t, at_ns);
  if (at_ns == NEVER) return;
  if (!wr_heap_holds(&t->node) || t->node.key > at_ns) {
    wr_heap_remove(&t->loop->timers, &t->node);
    wr_heap_push(&t->loop->timers, &t->node, at_ns);
  }
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
  if (t->loop == NULL) return;
  set_due(t, 0);
  wr_heap_remove(&t->loop->timers, &t->node);
}

void wr_timer_pause(struct wr_timer *t)
{
  set_due(t, NEVER);
}

bool wr_timer_is_running(const struct wr_timer *t)
{
  return wr_heap_holds(&t->node) && t->due_ns != NEVER;
}

static void look_at(struct wr_loop *l, struct wr_timer *t)
{
  uint64_t due = t->due_ns;
  wr_timer_stop(t);
  if (due <= l->now_ns) {
    t->on_fire(t);
  } else if (due != NEVER) {
    wr_timer_start_at(t, due);
  }
}

// Fires what is due. Timers started by callbacks for "now" wait for the next turn, so a timer that
// restarts itself with zero cannot hold the loop.
void wr_timer_fire_due(struct wr_loop *l)
{
  wr_loop_tick(l);
  for (size_t left = l->timers.count; left > 0; left--) {
    struct wr_heap_node *first = wr_heap_first(&l->timers);
    if (first == NULL || first->key > l->now_ns) break;
    look_at(l, WR_CONTAINER(first, struct wr_timer, node));
  }
}

static void on_uv_timer(uv_timer_t *uv_timer)
{
  wr_timer_fire_due(uv_timer->data);
}

uint64_t wr_timer_next(const struct wr_loop *l)
{
  struct wr_heap_node *first = wr_heap_first(&l->timers);
  return first == NULL || l->timers_paused == l->timers.count ? NEVER : first->key;
}

void wr_timer_rearm(struct wr_loop *l)
{
  if (l->clock != NULL) return; // nobody waits there
  struct wr_heap_node *first = wr_heap_first(&l->timers);
  if (first == NULL || l->timers_paused == l->timers.count) {
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
