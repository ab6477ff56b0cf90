// The loop in virtual time: virtual_time [until=MS] [work=MS] STEP...
//
// A step is NAME@MS: a timer that says its name and the time; NAME@MS!stop ends the run, !defer has
// work done in the same turn, !again starts it anew, !cancel stops the step after it, and !move=MS
// starts the step after it anew. At the end it says why the run ended; a second run goes on without
// bounds.

#include "base/check.h"
#include "base/duration.h"
#include "loop/timer.h"
#include "loop/virtual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 16, TOLD = 20 };

struct step {
  struct wr_timer timer;
  struct wr_deferred work;
  struct run *run;
  const char *name;
  int name_len;
  uint64_t after_ns;
  const char *then; // "" or what follows "!"
};

struct run {
  struct wr_loop loop;
  struct wr_virtual clock;
  uint64_t start_ns;
  struct step steps[STEPS];
  int count;
  int told;
};

static void say(struct run *run, const struct step *step, const char *what)
{
  if (run->told++ >= TOLD) return;
  double ms = (double)(wr_loop_now(&run->loop) - run->start_ns) / 1e6;
  printf("%.*s%s %g\n", step->name_len, step->name, what, ms);
}

static void on_work(struct wr_deferred *d)
{
  struct step *step = WR_CONTAINER(d, struct step, work);
  say(step->run, step, "'s work");
}

static void on_fire(struct wr_timer *t)
{
  struct step *step = WR_CONTAINER(t, struct step, timer);
  const char *then = step->then;
  say(step->run, step, "");
  if (strcmp(then, "stop") == 0) wr_loop_stop(&step->run->loop);
  if (strcmp(then, "defer") == 0) wr_loop_defer(&step->run->loop, &step->work);
  if (strcmp(then, "again") == 0) wr_timer_start(t, step->after_ns);
  if (strcmp(then, "cancel") == 0) wr_timer_stop(&step[1].timer);
  if (strncmp(then, "move=", 5) == 0) {
    wr_timer_start(&step[1].timer, strtoull(then + 5, NULL, 10) * WR_MS);
  }
}

static void add(struct run *run, const char *text)
{
  WR_CHECK(run->count < STEPS - 1);
  struct step *step = &run->steps[run->count++];
  const char *at = strchr(text, '@');
  const char *then = strchr(text, '!');
  WR_CHECK(at != NULL);
  step->run = run;
  step->name = text;
  step->name_len = (int)(at - text);
  step->after_ns = strtoull(at + 1, NULL, 10) * WR_MS;
  step->then = then ? then + 1 : "";
  wr_deferred_init(&step->work, on_work);
  wr_timer_init(&step->timer, &run->loop, on_fire);
  wr_timer_start(&step->timer, step->after_ns);
}

static void go(struct run *run)
{
  static const char *const ends[] = {"stopped", "dry", "late", "slow"};
  wr_loop_run(&run->loop);
  printf("%s\n", ends[run->clock.end]);
}

int main(int argc, char **argv)
{
  static struct run run;
  WR_CHECK(wr_loop_init(&run.loop) == 0);
  wr_virtual_init(&run.clock, &run.loop);
  run.start_ns = wr_loop_now(&run.loop);
  for (int i = 1; i < argc; i++) {
    uint64_t ms = strtoull(strchr(argv[i], '=') ? strchr(argv[i], '=') + 1 : "", NULL, 10);
    if (strncmp(argv[i], "until=", 6) == 0) {
      run.clock.until_ns = run.start_ns + ms * WR_MS;
    } else if (strncmp(argv[i], "work=", 5) == 0) {
      run.clock.work_until_ns = wr_loop_processor() + ms * WR_MS;
    } else {
      add(&run, argv[i]);
    }
  }
  go(&run);
  if (run.clock.end != WR_VIRTUAL_DRY && run.clock.end != WR_VIRTUAL_SLOW) {
    run.clock.until_ns = UINT64_MAX;
    go(&run);
  }
  for (int i = 0; i < run.count; i++) wr_timer_stop(&run.steps[i].timer);
  WR_CHECK(wr_loop_fini(&run.loop, NULL, 0) == 0);
  return 0;
}
