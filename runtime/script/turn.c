#include "script/turn.h"

#include "script/meter.h"
#include "script/task.h"
#include "script/trail.h"
#include "script/watchdog.h"

static const char *route_of(const struct wr_task *t)
{
  return t->trail ? t->trail->route : NULL;
}

static bool is_long(const struct wr_script_env *env, uint64_t cycles)
{
  const struct wr_watchdog *w = env->watchdog;
  return w != NULL && cycles >= w->budget / (WR_WATCHDOG_BUDGET_NS / WR_TURN_NS);
}

static bool is_slow(struct wr_turn *u, const char *route, uint64_t now_ns)
{
  for (size_t i = 0; i < u->count; i++) {
    if (u->routes[i].route == route) return now_ns < u->routes[i].until_ns;
  }
  return false;
}

static struct wr_turn_route *place_of(struct wr_turn *u, const char *route)
{
  struct wr_turn_route *oldest = &u->routes[0];
  for (size_t i = 0; i < u->count; i++) {
    if (u->routes[i].route == route) return &u->routes[i];
    if (u->routes[i].until_ns < oldest->until_ns) oldest = &u->routes[i];
  }
  return u->count < WR_TURN_ROUTES_MAX ? &u->routes[u->count++] : oldest;
}

// Descriptors and what they brought come before timers: who is put off has all newcomers before it.
static void on_turn(struct wr_timer *timer)
{
  struct wr_turn *u = WR_CONTAINER(timer, struct wr_turn, timer);
  struct wr_list *node;
  u->spent = 0; // or who always comes first would leave nothing
  while ((node = wr_list_pop(&u->late)) != NULL) {
    wr_loop_defer(timer->loop, WR_CONTAINER(node, struct wr_deferred, link));
  }
  node = wr_list_pop(&u->slow);
  if (node != NULL) {
    struct wr_deferred *d = WR_CONTAINER(node, struct wr_deferred, link);
    WR_CONTAINER(d, struct wr_task, runner)->is_next = true;
    wr_loop_defer(timer->loop, d);
  }
  if (!wr_list_is_empty(&u->slow)) wr_timer_start_at(timer, wr_loop_now(timer->loop));
}

static void put_off(struct wr_script_env *env, struct wr_task *t, struct wr_list *to)
{
  struct wr_turn *u = &env->turn;
  wr_list_push(to, &t->runner.link);
  wr_meter_add(env->meter, WR_METRIC_LIMITS, 1, "limit",
               to == &u->slow ? "script_slow" : "script_turn", NULL);
  if (!wr_timer_is_running(&u->timer)) wr_timer_start_at(&u->timer, wr_loop_now(env->loop));
}

static void prepare(struct wr_script_env *env)
{
  struct wr_turn *u = &env->turn;
  if (u->timer.loop != NULL) return;
  wr_timer_init(&u->timer, env->loop, on_turn);
  wr_list_init(&u->late);
  wr_list_init(&u->slow);
}

bool wr_turn_puts_off(struct wr_script_env *env, struct wr_task *t)
{
  struct wr_turn *u = &env->turn;
  if (u->number != env->loop->turns) {
    u->number = env->loop->turns;
    u->spent = 0;
  }
  bool is_over = is_long(env, u->spent);
  if (u->count == 0 && !is_over) return false;
  prepare(env);
  bool is_next = t->is_next;
  t->is_next = false;
  if (!is_next && is_slow(u, route_of(t), wr_loop_now(env->loop))) {
    put_off(env, t, &u->slow);
    return true;
  }
  if (!is_over) return false;
  t->is_next = is_next;
  put_off(env, t, &u->late);
  return true;
}

void wr_turn_add(struct wr_script_env *env, const struct wr_task *t, uint64_t cycles)
{
  struct wr_turn *u = &env->turn;
  u->spent += cycles;
  if (!is_long(env, cycles)) return;
  const char *route = route_of(t);
  *place_of(u, route) =
      (struct wr_turn_route){.route = route, .until_ns = wr_loop_now(env->loop) + WR_TURN_SLOW_NS};
}
