#include "policy/told.h"

#include "base/duration.h"

#include <stdio.h>

// "queue;dur=0.2, upstream;dur=12.1, total;dur=12.5", in milliseconds (W3C Server Timing).
static void add_timing(struct wr_serving *s)
{
  char text[128];
  const struct wr_trail *trail = &s->request.trail;
  uint64_t total_ns = wr_loop_now(s->serve->env->loop) - s->request.info->start_ns;
  int len = snprintf(text, sizeof(text), "queue;dur=%.1f, upstream;dur=%.1f, total;dur=%.1f",
                     wr_duration_ms(trail->queue_ns), wr_duration_ms(trail->upstream_ns),
                     wr_duration_ms(total_ns));
  wr_headers_set_copy(&s->request.told, WR_STR("Server-Timing"),
                      (struct wr_str){text, (size_t)len});
}

void wr_told_add(struct wr_serving *s)
{
  struct wr_request *q = &s->request;
  if (s->route && s->route->is_timed) add_timing(s);
  if (!q->is_explained) return;
  wr_headers_set_copy(&q->told, wr_field_name(WR_FIELD_X_WEIR_EXPLAIN),
                      wr_chain_line(&q->trail.chain));
}

void wr_told_put(const struct wr_serving *s, struct wr_headers *headers)
{
  const struct wr_headers *told = &s->request.told;
  for (size_t i = 0; i < told->count; i++) {
    wr_headers_set_copy(headers, told->items[i].name, told->items[i].value);
  }
}
