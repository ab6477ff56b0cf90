// What the shared primitives cost when nobody else wants them: guard_cost [ROUNDS]
//
// Prints nanoseconds of processor time per operation, the best of five.

#include "stress.h"

#include <stdlib.h>
#include <time.h>

struct cost {
  struct stress_world world;
  struct stress_worker me;
  struct wr_arena arena;
  struct wr_registry registry;
  struct wr_entry *breaker, *bulkhead;
  struct wr_lock lock;
  char value[1024];
  struct wr_buf out;
};

static void lock_once(struct cost *c, uint64_t now)
{
  (void)now;
  WR_CHECK(!wr_lock_take(&c->arena, &c->lock));
  wr_lock_give(&c->arena, &c->lock);
}

static void enter_once(struct cost *c, struct wr_entry *entry, uint64_t now)
{
  struct wr_guard_ask ask = {0};
  struct wr_error refusal;
  WR_CHECK(wr_guard_enter(&c->me.guard, entry, &ask, now, &refusal) == WR_GUARD_ADMITTED);
  wr_guard_leave(&c->me.guard, ask.id, WR_OUTCOME_SUCCESS, now);
}

static void breaker_once(struct cost *c, uint64_t now)
{
  enter_once(c, c->breaker, now);
}

static void bulkhead_once(struct cost *c, uint64_t now)
{
  enter_once(c, c->bulkhead, now);
}

static void budget_once(struct cost *c, uint64_t now)
{
  wr_guard_budget_deposit(&c->me.guard, c->world.budget, now);
}

static void add_once(struct cost *c, uint64_t now)
{
  (void)now;
  wr_series_add(&c->arena, 0, c->world.series, 1);
}

static void get_series_once(struct cost *c, uint64_t now)
{
  (void)now;
  wr_series_get(&c->arena, WR_METRIC_RESPONSES, WR_STR("route=\"/\""));
}

static struct wr_str key_of(char text[16], uint64_t now)
{
  return (struct wr_str){text, (size_t)snprintf(text, 16, "k%u", (unsigned)(now % 509))};
}

static void set_once(struct cost *c, uint64_t now)
{
  char text[16];
  struct wr_cache_item item = {.value = {c->value, sizeof(c->value)}};
  item.key = key_of(text, now);
  WR_CHECK(wr_cache_set(&c->arena, c->world.cache, &item, now));
}

static void get_once(struct cost *c, uint64_t now)
{
  char text[16];
  struct wr_cache_found found = {.value = &c->out};
  wr_buf_clear(&c->out);
  wr_cache_get(&c->arena, c->world.cache, key_of(text, now), now, &found);
}

static double cpu_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(struct cost *c, const char *name, uint64_t rounds,
                    void (*once)(struct cost *, uint64_t))
{
  double best = 1e18;
  for (int run = 0; run < 5; run++) {
    double start = cpu_ns();
    for (uint64_t i = 0; i < rounds; i++) once(c, WR_SECOND + i);
    double spent = (cpu_ns() - start) / (double)rounds;
    if (spent < best) best = spent;
  }
  printf("%-24s %7.1f ns\n", name, best);
}

int main(int argc, char **argv)
{
  static struct cost c;
  uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
  c.world.arena = &c.arena;
  stress_world_init(&c.world, &c.registry, 1);
  stress_worker_init(&c.me, &c.world, 0, 1);
  struct wr_breaker_config breaker;
  struct wr_bulkhead_config bulkhead;
  struct wr_error error;
  wr_breaker_config_init(&breaker);
  wr_bulkhead_config_init(&bulkhead);
  c.breaker =
      wr_registry_declare(&c.registry, WR_KIND_BREAKER, WR_STR("cost"), &breaker, 1, &error);
  c.bulkhead =
      wr_registry_declare(&c.registry, WR_KIND_BULKHEAD, WR_STR("cost"), &bulkhead, 1, &error);
  wr_lock_init(&c.lock);
  wr_buf_init(&c.out, 4096);
  measure(&c, "lock, unlock", rounds, lock_once);
  measure(&c, "breaker enter, leave", rounds, breaker_once);
  measure(&c, "bulkhead enter, leave", rounds, bulkhead_once);
  measure(&c, "budget deposit", rounds, budget_once);
  measure(&c, "series add", rounds, add_once);
  measure(&c, "series get", rounds, get_series_once);
  measure(&c, "cache set 1 KiB", rounds, set_once);
  measure(&c, "cache get 1 KiB", rounds, get_once);
  wr_buf_fini(&c.out);
  wr_guard_fini(&c.me.guard, WR_SECOND);
  wr_arena_fini(&c.arena);
  return 0;
}
