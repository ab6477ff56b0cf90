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

// Gives all of `list` another try, in order.
static struct wr_task *release(struct wr_loop *loop, struct wr_list *list)
{
  struct wr_task *first = NULL;
  struct wr_list *node;
  while ((node = wr_list_pop(list)) != NULL) {
    struct wr_task *t =
        WR_CONTAINER(WR_CONTAINER(node, struct wr_deferred, link), struct wr_task, runner);
    if (first == NULL) first = t;
    t->is_next = true;
    wr_loop_defer(loop, &t->runner);
  }
  return first;
}

// Descriptors and what they brought come before timers: who is put off has all newcomers before it.
// What those took does not count, nor what took the others for the first of the slow: who always
// comes last would never run.
static void on_turn(struct wr_timer *timer)
{
  struct wr_turn *u = WR_CONTAINER(timer, struct wr_turn, timer);
  u->spent = 0;
  (void)release(timer->loop, &u->late);
  u->first = release(timer->loop, &u->slow);
}

static void put_off(struct wr_script_env *env, struct wr_task *t, bool is_slow)
{
  struct wr_turn *u = &env->turn;
  if (!t->is_next) {
    const char *limit = is_slow ? "script_slow" : "script_turn";
    uint32_t series = wr_meter_one(env->meter, WR_METRIC_LIMITS, "limit", limit);
    wr_series_add(env->arena, env->shard, series, 1);
  }
  wr_list_push(is_slow ? &u->slow : &u->late, &t->runner.link);
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
  bool slow = is_slow(u, route_of(t), wr_loop_now(env->loop));
  bool waits = t->is_next ? is_over && t != u->first : is_over || slow;
  if (t == u->first) u->first = NULL;
  if (waits) put_off(env, t, slow);
  t->is_next = false;
  return waits;
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
