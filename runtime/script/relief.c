#include "script/relief.h"

#include "base/check.h"
#include "script/script.h"
#include "script/task.h"
#include "script/trail.h"

enum { CYCLES = 2 };

#define SLICE_NS (1000 * UINT64_C(1000)) // of a collection, in a turn of the loop

static void on_slice(struct wr_timer *timer);

// What it took long ago may have been collected while others ran: then the state as a whole has not
// grown since it was last judged.
enum wr_vm_stop wr_relief_judge(struct wr_vm *vm, enum wr_vm_stop why, size_t kept)
{
  size_t most = vm->limits.growth_bytes;
  if (vm->used_bytes > vm->limits.soft_bytes - vm->limits.soft_bytes / 4) {
    return WR_VM_STOP_MEMORY;
  }
  if (why == WR_VM_STOP_GROWTH && kept > most - most / 4 &&
      vm->used_bytes > vm->live_bytes + most / 2) {
    return WR_VM_STOP_GROWTH;
  }
  vm->relieved++;
  vm->live_bytes = vm->used_bytes;
  return WR_VM_RUNS;
}

void wr_relief_init(struct wr_script *s)
{
  wr_timer_init(&s->relief.timer, s->env->loop, on_slice);
  wr_list_init(&s->relief.waiting);
}

void wr_relief_fini(struct wr_script *s)
{
  wr_timer_stop(&s->relief.timer);
}

static void go_on(struct wr_script *s)
{
  if (!wr_timer_is_running(&s->relief.timer)) {
    wr_timer_start_at(&s->relief.timer, wr_loop_now(s->env->loop));
  }
}

static void on_cancel(struct wr_op *op)
{
  wr_list_remove(&op->task->waiting);
}

void wr_relief_wait(struct wr_task *t, size_t grown)
{
  struct wr_script *s = t->script;
  WR_CHECK(s->vm.paused_for != WR_VM_RUNS);
  t->relief = (struct wr_relief_case){.why = s->vm.paused_for,
                                      .grown = grown,
                                      .used = s->vm.used_bytes,
                                      .cycles = CYCLES,
                                      .verdict = WR_VM_RUNS};
  s->vm.paused_for = WR_VM_RUNS;
  t->sleep = (struct wr_op){.name = "a collection", .task = t, .cancel = on_cancel};
  t->op = &t->sleep;
  wr_list_push(&s->relief.waiting, &t->waiting);
  go_on(s);
}

static void end(struct wr_task *t)
{
  struct wr_relief_case *c = &t->relief;
  size_t used = t->script->vm.used_bytes;
  size_t freed = c->used > used ? c->used - used : 0;
  c->verdict = wr_relief_judge(&t->script->vm, c->why, c->grown > freed ? c->grown - freed : 0);
  if (c->verdict == WR_VM_RUNS && t->trail) t->trail->grown = 0;
  wr_list_remove(&t->waiting);
  wr_task_resume(t, 0);
}

static void on_slice(struct wr_timer *timer)
{
  struct wr_relief *r = WR_CONTAINER(timer, struct wr_relief, timer);
  struct wr_script *s = WR_CONTAINER(r, struct wr_script, relief);
  if (wr_list_is_empty(&r->waiting)) return;
  if (wr_vm_collect(&s->vm, SLICE_NS)) {
    struct wr_list *next;
    for (struct wr_list *node = r->waiting.next; node != &r->waiting; node = next) {
      next = node->next;
      struct wr_task *t = WR_CONTAINER(node, struct wr_task, waiting);
      if (--t->relief.cycles == 0) end(t);
    }
  }
  if (!wr_list_is_empty(&r->waiting)) go_on(s);
}
