#include "resilience/inflight.h"

#include "resilience/deadline.h"

// The slots span the limit, plus one that is filling and one that is partly overdue.
static uint64_t width_of(uint64_t limit_ns)
{
  uint64_t parts = WR_INFLIGHT_SLOTS - 2;
  return limit_ns / parts + (limit_ns % parts != 0);
}

void wr_inflight_init(struct wr_inflight *f, uint64_t limit_ns)
{
  *f = (struct wr_inflight){.limit_ns = limit_ns, .width_ns = width_of(limit_ns)};
}

static uint32_t *slot_at(struct wr_inflight *f, uint64_t number)
{
  return &f->slot[number % WR_INFLIGHT_SLOTS];
}

// Moves the slots that are wholly older than the limit into `overdue`.
static void drain(struct wr_inflight *f, uint64_t now_ns)
{
  if (f->limit_ns == 0 || now_ns < f->limit_ns) return;
  uint64_t until = (now_ns - f->limit_ns) / f->width_ns;
  if (until <= f->drained) return;
  uint64_t steps = until - f->drained;
  if (steps > WR_INFLIGHT_SLOTS) steps = WR_INFLIGHT_SLOTS;
  for (uint64_t i = 0; i < steps; i++) {
    uint32_t *slot = slot_at(f, f->drained + i);
    f->overdue += *slot;
    *slot = 0;
  }
  f->drained = until;
}

static void place(struct wr_inflight *f, uint64_t start_ns, uint32_t n)
{
  f->count += n;
  if (f->limit_ns == 0) return;
  uint64_t number = start_ns / f->width_ns;
  if (number < f->drained) {
    f->overdue += n;
  } else {
    *slot_at(f, number) += n;
  }
}

void wr_inflight_start(struct wr_inflight *f, uint64_t now_ns)
{
  drain(f, now_ns);
  if (f->count < UINT32_MAX) place(f, now_ns, 1);
}

// The count that holds a call of this start time: its slot, or after a change of the limit or a
// repair a later one, or the overdue ones.
static uint32_t *holder(struct wr_inflight *f, uint64_t start_ns)
{
  uint64_t number = start_ns / f->width_ns;
  if (number < f->drained) {
    if (f->overdue > 0) return &f->overdue;
    number = f->drained;
  }
  for (uint64_t i = 0; i < WR_INFLIGHT_SLOTS; i++) {
    uint32_t *slot = slot_at(f, number + i);
    if (*slot > 0) return slot;
  }
  return &f->overdue;
}

void wr_inflight_end(struct wr_inflight *f, uint64_t start_ns, uint64_t now_ns)
{
  if (f->count == 0) return;
  f->count--;
  if (f->limit_ns == 0) return;
  drain(f, now_ns);
  *holder(f, start_ns) -= 1;
}

uint32_t wr_inflight_overdue(struct wr_inflight *f, uint64_t now_ns)
{
  drain(f, now_ns);
  return f->overdue;
}

uint64_t wr_inflight_next_ns(const struct wr_inflight *f)
{
  if (f->limit_ns == 0 || f->count == f->overdue) return UINT64_MAX;
  for (uint64_t i = 0; i < WR_INFLIGHT_SLOTS; i++) {
    uint64_t number = f->drained + i;
    if (f->slot[number % WR_INFLIGHT_SLOTS] == 0) continue;
    return wr_deadline_in(f->limit_ns, (number + 1) * f->width_ns);
  }
  return UINT64_MAX;
}

void wr_inflight_reshape(struct wr_inflight *f, uint64_t limit_ns, uint64_t now_ns)
{
  drain(f, now_ns);
  if (f->limit_ns == limit_ns) return;
  struct wr_inflight old = *f;
  wr_inflight_init(f, limit_ns);
  drain(f, now_ns);
  if (old.limit_ns == 0) {
    place(f, now_ns, old.count);
    return;
  }
  place(f, wr_deadline_left(now_ns, old.limit_ns), old.overdue);
  for (uint64_t i = 0; i < WR_INFLIGHT_SLOTS; i++) {
    uint64_t number = old.drained + i;
    uint64_t end = (number + 1) * old.width_ns - 1;
    place(f, end < now_ns ? end : now_ns, old.slot[number % WR_INFLIGHT_SLOTS]);
  }
}

static bool adds_up(const struct wr_inflight *f, uint64_t now_ns, uint32_t live)
{
  uint64_t sum = f->overdue;
  for (int i = 0; i < WR_INFLIGHT_SLOTS; i++) sum += f->slot[i];
  return f->count == live && sum == live && f->drained <= now_ns / f->width_ns;
}

void wr_inflight_repair(struct wr_inflight *f, uint64_t limit_ns, uint32_t live, uint64_t now_ns)
{
  if (limit_ns > 0 && f->limit_ns == limit_ns && f->width_ns == width_of(limit_ns) &&
      adds_up(f, now_ns, live)) {
    return;
  }
  wr_inflight_init(f, limit_ns);
  drain(f, now_ns);
  place(f, now_ns, live);
}
