#include "arena/exemplar.h"

#include <stdatomic.h>

void wr_exemplar_put(struct wr_exemplar *e, uint32_t series, const struct wr_exemplar_view *what)
{
  uint32_t version = atomic_load_explicit(&e->version, memory_order_relaxed) | 1;
  atomic_store_explicit(&e->version, version, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  e->series = series;
  e->what = *what;
  atomic_store_explicit(&e->version, version + 1, memory_order_release);
}

bool wr_exemplar_get(struct wr_exemplar *e, uint32_t series, struct wr_exemplar_view *out)
{
  uint32_t before = atomic_load_explicit(&e->version, memory_order_acquire);
  if (before == 0 || before % 2 == 1 || e->series != series) return false;
  *out = e->what;
  out->trace_id[WR_EXEMPLAR_TRACE - 1] = '\0';
  out->span_id[WR_EXEMPLAR_SPAN - 1] = '\0';
  atomic_thread_fence(memory_order_acquire);
  return atomic_load_explicit(&e->version, memory_order_relaxed) == before;
}
