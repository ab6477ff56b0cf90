#include "inspect.h"

#include "base/alloc.h"
#include "base/memfd.h"
#include "trial.h"
#include "verdict.h"

#include <stdio.h>

struct look {
  struct wr_list link;
  struct wr_admin_waiter *waiter;
  enum wr_candidate_wish wish;
  uint64_t base, subject;
};

static void go_on(struct wr_master *m)
{
  struct wr_inspect *i = &m->inspect;
  if (!i->is_busy && !wr_list_is_empty(&i->looks)) wr_loop_defer(&m->loop, &i->again);
}

// The first look is over.
static void finish(struct wr_master *m, bool ok, struct wr_str json)
{
  struct wr_list *node = wr_list_pop(&m->inspect.looks);
  struct look *look = WR_CONTAINER(node, struct look, link);
  m->inspect.is_busy = false;
  wr_admin_answer(look->waiter, ok, json);
  wr_free(look);
  go_on(m);
}

static void fail(struct wr_master *m, const struct wr_candidate_report *report)
{
  struct wr_buf out;
  wr_verdict_problem(m, report, &out);
  finish(m, false, wr_buf_str(&out));
  wr_buf_fini(&out);
}

static void fail_with(struct wr_master *m, const char *stage, const char *message)
{
  struct wr_candidate_report *report = wr_alloc(sizeof(*report));
  snprintf(report->stage, sizeof(report->stage), "%s", stage);
  wr_call_error_set(&report->error, "", 0, "%s", message);
  fail(m, report);
  wr_free(report);
}

static void on_tried(struct wr_trial *t)
{
  struct wr_str text = {NULL, 0};
  if (t->report.ok) text = wr_memfd_map(t->result);
  if (text.ptr != NULL) {
    finish(t->master, true, text);
  } else if (t->report.ok) {
    fail_with(t->master, "compare", "the trial told nothing");
  } else {
    fail(t->master, &t->report);
  }
  wr_memfd_unmap(text);
}

// The bundle of a generation; NULL with a set error when it is not kept.
static struct wr_source *open_bundle(const struct wr_master *m, uint64_t number,
                                     struct wr_error *error)
{
  const struct wr_past *past = wr_history_past(&m->history, number);
  if (number == m->live && m->bundle >= 0) return wr_source_unpack(m->bundle, 0, error);
  if (past != NULL) return wr_source_unpack(past->bundle, 0, error);
  wr_error_set(error, WR_ERROR_INVALID, "generation %llu is not kept: see `weir policy list`",
               (unsigned long long)number);
  return NULL;
}

static bool open_task(const struct wr_master *m, const struct look *look,
                      struct wr_candidate_task *task, struct wr_error *error)
{
  *task = (struct wr_candidate_task){.wish = look->wish};
  if (look->subject != WR_INSPECT_FILES) {
    task->subject = open_bundle(m, look->subject, error);
    if (task->subject == NULL) return false;
  }
  if (look->wish == WR_CANDIDATE_FACTS) return true;
  task->base = open_bundle(m, look->base ? look->base : m->live, error);
  if (task->base == NULL) wr_source_free(task->subject);
  return task->base != NULL;
}

static void on_again(struct wr_deferred *d)
{
  struct wr_inspect *i = WR_CONTAINER(d, struct wr_inspect, again);
  struct wr_master *m = WR_CONTAINER(i, struct wr_master, inspect);
  struct wr_candidate_task task;
  struct wr_error error;
  if (i->is_busy || wr_list_is_empty(&i->looks) || m->is_draining) return;
  i->is_busy = true;
  if (!open_task(m, WR_CONTAINER(i->looks.next, struct look, link), &task, &error)) {
    fail_with(m, "use", error.message);
  } else if (wr_trial_start(m, &task, on_tried) == NULL) {
    fail_with(m, "start", "no process for the trial");
  }
}

void wr_inspect_init(struct wr_master *m)
{
  wr_list_init(&m->inspect.looks);
  wr_deferred_init(&m->inspect.again, on_again);
}

static void ask(struct wr_master *m, struct wr_admin_waiter *waiter, const struct look *wanted)
{
  struct look *look = wr_alloc(sizeof(*look));
  *look = *wanted;
  look->waiter = waiter;
  wr_list_push(&m->inspect.looks, &look->link);
  if (m->is_draining) {
    wr_inspect_stop(m);
  } else {
    go_on(m);
  }
}

void wr_inspect_show(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t subject)
{
  ask(m, waiter, &(struct look){.wish = WR_CANDIDATE_FACTS, .subject = subject});
}

void wr_inspect_compare(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t base,
                        uint64_t subject)
{
  ask(m, waiter, &(struct look){.wish = WR_CANDIDATE_CHANGES, .base = base, .subject = subject});
}

void wr_inspect_stop(struct wr_master *m)
{
  while (!wr_list_is_empty(&m->inspect.looks)) fail_with(m, "stop", "weir is stopping");
}
