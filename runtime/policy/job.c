#include "policy/job.h"

#include "base/alloc.h"
#include "base/check.h"
#include "resilience/lease.h"

enum { RENEWALS = 3 }; // of a lease, in the time after which it would lapse

static uint64_t now_of(const struct wr_job *job)
{
  return wr_loop_now(job->script->env->loop);
}

// Taking turns

// No run is lost when there is no room in the ledger: it is asked for again.
static void wait_for_turn(struct wr_job *job)
{
  struct wr_script_env *env = job->script->env;
  struct wr_guard_ask ask = {.until_ns = UINT64_MAX, .key = env->shard};
  struct wr_error refusal;
  if (wr_guard_enter(env->guard, job->declared->lease, &ask, now_of(job), &refusal) ==
      WR_GUARD_REFUSED) {
    wr_timer_start(&job->timer, WR_SECOND);
  } else {
    job->claim = ask.id;
  }
}

static void give_turn(struct wr_job *job, bool is_done)
{
  if (job->claim == 0) return;
  enum wr_outcome outcome = is_done ? WR_OUTCOME_SUCCESS : WR_OUTCOME_CANCELLED;
  wr_guard_leave(job->script->env->guard, job->claim, outcome, now_of(job));
  job->claim = 0;
}

// Whoever cannot renew it must not go on: another may have begun.
static void renew_turn(struct wr_job *job)
{
  if (wr_guard_lease_renew(job->script->env->guard, job->claim, now_of(job))) {
    wr_timer_start(&job->timer, WR_LEASE_TTL_NS / RENEWALS);
    return;
  }
  wr_log_text(job->script->env->log, WR_LOG_WARN, "job.lapsed",
              "'%s' ends: its worker stood still, and another may run it", job->declared->name);
  wr_task_cancel(job->task);
}

// Running

static void end_background(struct wr_script *s)
{
  if (--s->background == 0 && s->on_quiet) s->on_quiet(s->on_quiet_ctx);
}

static void on_end(void *ctx, const struct wr_handler_result *result)
{
  struct wr_job *job = ctx;
  const struct wr_job_declared *d = job->declared;
  job->task = NULL;
  wr_timer_stop(&job->timer);
  if (result->end == WR_HANDLER_RAISED) {
    wr_handler_log(job->script, result->raised, d->name, NULL);
  }
  if (d->lease) give_turn(job, result->end != WR_HANDLER_CANCELLED);
  if (job->is_background) {
    end_background(job->script);
  } else if (job->is_retired) {
    return;
  } else if (d->lease) {
    wait_for_turn(job);
  } else if (d->every_ns > 0) {
    // From start to start; a run that took longer than its interval is followed at once.
    wr_timer_start_at(&job->timer, job->started_ns + d->every_ns);
  }
}

// `token`: of a singleton's run.
static void run(struct wr_job *job, uint64_t token)
{
  struct wr_error error;
  job->handler = (struct wr_handler){
      .fn_ref = job->declared->fn_ref, .token = token, .on_end = on_end, .ctx = job};
  job->started_ns = now_of(job);
  job->task = wr_handler_new(job->script, &job->handler, &error);
  if (job->task == NULL) {
    give_turn(job, false);
    wr_timer_start(&job->timer, WR_SECOND);
    return;
  }
  if (token) wr_timer_start(&job->timer, WR_LEASE_TTL_NS / RENEWALS);
  wr_task_start(job->task);
}

static void on_timer(struct wr_timer *timer)
{
  struct wr_job *job = WR_CONTAINER(timer, struct wr_job, timer);
  if (job->declared->lease && job->task) {
    renew_turn(job);
  } else {
    wr_job_start(job);
  }
}

bool wr_job_granted(struct wr_job *job, uint64_t id)
{
  if (job->claim == 0 || job->claim != id) return false;
  uint64_t token = wr_guard_lease_begin(job->script->env->guard, id, now_of(job));
  if (token) {
    run(job, token);
  } else {
    give_turn(job, false);
    wait_for_turn(job);
  }
  return true;
}

// Life

struct wr_job *wr_job_new(struct wr_script *script, const struct wr_job_declared *declared)
{
  struct wr_job *job = wr_alloc(sizeof(*job));
  job->script = script;
  job->declared = declared;
  wr_timer_init(&job->timer, script->env->loop, on_timer);
  return job;
}

void wr_job_start(struct wr_job *job)
{
  WR_CHECK(job->task == NULL);
  if (job->declared->lease) {
    wait_for_turn(job);
  } else {
    run(job, 0);
  }
}

void wr_job_retire(struct wr_job *job)
{
  if (job->is_retired) return;
  job->is_retired = true;
  if (job->declared->lease && job->task) {
    job->is_background = true;
    job->script->background++;
    return;
  }
  wr_timer_stop(&job->timer);
  give_turn(job, false);
  if (job->task) wr_task_cancel(job->task);
}

void wr_job_free(struct wr_job *job)
{
  job->is_retired = true;
  if (job->task) wr_task_cancel(job->task);
  wr_timer_stop(&job->timer);
  give_turn(job, false);
  wr_free(job);
}
