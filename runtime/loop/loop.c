#include "loop/loop.h"

#include "loop/timer.h"
#include "loop/virtual.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
  struct timespec t;
  WR_CHECK(clock_gettime(id, &t) == 0);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t wr_loop_wall(void)
{
  return read_clock(CLOCK_REALTIME);
}

uint64_t wr_loop_clock(void)
{
  return read_clock(CLOCK_MONOTONIC);
}

uint64_t wr_loop_processor(void)
{
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t wr_loop_entropy(void)
{
  uint64_t seed = 0;
  WR_CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
  return seed;
}

void wr_loop_tick(struct wr_loop *l)
{
  if (l->in_turn) return;
  l->in_turn = true;
  if (l->clock == NULL) l->now_ns = wr_loop_clock();
}

// What is next, and all that is of its kind: their code stays in the processor's cache.
static void take_alike(struct wr_loop *l, struct wr_list *batch)
{
  void (*run)(struct wr_deferred * d) =
      WR_CONTAINER(l->deferred.next, struct wr_deferred, link)->run;
  wr_list_init(batch);
  WR_LIST_EACH(&l->deferred, node) {
    if (WR_CONTAINER(node, struct wr_deferred, link)->run != run) continue;
    wr_list_remove(node);
    wr_list_push(batch, node);
  }
}

// Deferred work may defer more; that runs in the same pass, so a turn ends with nothing pending.
static void run_deferred(struct wr_loop *l)
{
  struct wr_list batch;
  struct wr_list *node;
  while (!wr_list_is_empty(&l->deferred)) {
    take_alike(l, &batch);
    while ((node = wr_list_pop(&batch)) != NULL) {
      struct wr_deferred *d = WR_CONTAINER(node, struct wr_deferred, link);
      d->run(d);
    }
  }
}

static void on_check(uv_check_t *check)
{
  struct wr_loop *l = check->data;
  wr_loop_tick(l);
  run_deferred(l);
}

void wr_loop_end_turn(struct wr_loop *l)
{
  wr_loop_tick(l);
  run_deferred(l);
  if (l->on_turn) l->on_turn(l, l->on_turn_ctx);
  l->turn_ns = l->clock ? 0 : wr_loop_clock() - l->now_ns;
  l->turns++;
  l->in_turn = false;
  wr_timer_rearm(l);
}

static void on_prepare(uv_prepare_t *prepare)
{
  wr_loop_end_turn(prepare->data);
}

int wr_loop_init(struct wr_loop *l)
{
  *l = (struct wr_loop){0};
  int rc = uv_loop_init(&l->uv);
  if (rc != 0) return rc;
  WR_CHECK(uv_timer_init(&l->uv, &l->uv_timer) == 0);
  WR_CHECK(uv_check_init(&l->uv, &l->uv_check) == 0);
  WR_CHECK(uv_prepare_init(&l->uv, &l->uv_prepare) == 0);
  l->uv_timer.data = l;
  l->uv_check.data = l;
  l->uv_prepare.data = l;
  WR_CHECK(uv_prepare_start(&l->uv_prepare, on_prepare) == 0);
  uv_unref((uv_handle_t *)&l->uv_prepare);
  WR_CHECK(uv_check_start(&l->uv_check, on_check) == 0);
  uv_unref((uv_handle_t *)&l->uv_check);
  wr_list_init(&l->deferred);
  wr_list_init(&l->handles);
  l->now_ns = wr_loop_clock();
  return 0;
}

static size_t report_open(struct wr_loop *l, char *report, size_t size)
{
  size_t count = 0;
  size_t used = 0;
  WR_LIST_EACH(&l->handles, node) {
    struct wr_handle *handle = WR_CONTAINER(node, struct wr_handle, link);
    if (report != NULL && used + strlen(handle->name) + 3 < size) {
      used += (size_t)snprintf(report + used, size - used, "%s%s", count ? ", " : "", handle->name);
    }
    count++;
  }
  if (report != NULL && size > 0 && count == 0) report[0] = '\0';
  return count;
}

size_t wr_loop_fini(struct wr_loop *l, char *report, size_t size)
{
  run_deferred(l);
  uv_close((uv_handle_t *)&l->uv_timer, NULL);
  uv_close((uv_handle_t *)&l->uv_check, NULL);
  uv_close((uv_handle_t *)&l->uv_prepare, NULL);
  // Closing handles finish in the first turn; what is open keeps the loop from closing.
  uv_run(&l->uv, UV_RUN_NOWAIT);
  size_t open = report_open(l, report, size);
  if (open == 0) WR_CHECK(uv_loop_close(&l->uv) == 0);
  wr_heap_fini(&l->timers);
  return open;
}

void wr_loop_run(struct wr_loop *l)
{
  if (l->clock != NULL) {
    wr_virtual_run(l->clock);
    return;
  }
  wr_timer_rearm(l);
  uv_run(&l->uv, UV_RUN_DEFAULT);
}

void wr_loop_stop(struct wr_loop *l)
{
  if (l->clock != NULL) {
    wr_virtual_stop(l->clock);
  } else {
    uv_stop(&l->uv);
  }
}

void wr_deferred_init(struct wr_deferred *d, void (*run)(struct wr_deferred *d))
{
  wr_list_init(&d->link);
  d->run = run;
}

void wr_loop_defer(struct wr_loop *l, struct wr_deferred *d)
{
  if (wr_list_is_empty(&d->link)) wr_list_push(&l->deferred, &d->link);
}

void wr_loop_undefer(struct wr_deferred *d)
{
  wr_list_remove(&d->link);
}

const char *wr_loop_library_version(void)
{
  return uv_version_string();
}
