#include "resilience/breaker_events.h"

void wr_breaker_events_init(struct wr_breaker_events *e, enum wr_breaker_state state)
{
  *e = (struct wr_breaker_events){.reported = (uint8_t)state};
}

bool wr_breaker_events_take(struct wr_breaker_events *e, struct wr_breaker_event *event)
{
  if (e->count == 0) return false;
  *event = e->ring[e->first];
  e->first = (e->first + 1) % WR_BREAKER_EVENTS;
  e->count--;
  return true;
}

void wr_breaker_events_push(struct wr_breaker_events *e, struct wr_breaker_event event)
{
  struct wr_breaker_event oldest;
  if (e->count == WR_BREAKER_EVENTS) e->lost += wr_breaker_events_take(e, &oldest);
  event.seq = ++e->seq;
  event.from = e->reported;
  e->ring[(e->first + e->count) % WR_BREAKER_EVENTS] = event;
  e->count++;
  e->reported = event.to;
}

// Whether the events are valid, follow one another, and end with `seq` and `reported`.
static bool is_chain(const struct wr_breaker_events *e)
{
  if (e->count > WR_BREAKER_EVENTS || e->first >= WR_BREAKER_EVENTS || e->count > e->seq)
    return false;
  uint64_t seq = e->seq - e->count;
  int last_to = -1;
  for (uint32_t i = 0; i < e->count; i++) {
    const struct wr_breaker_event *event = &e->ring[(e->first + i) % WR_BREAKER_EVENTS];
    if (event->seq != ++seq || event->cause >= WR_BREAKER_CAUSES) return false;
    if (event->from >= WR_BREAKER_STATES || event->to >= WR_BREAKER_STATES) return false;
    if (last_to >= 0 && event->from != last_to) return false;
    last_to = event->to;
  }
  return last_to < 0 || last_to == e->reported;
}

void wr_breaker_events_repair(struct wr_breaker_events *e)
{
  if (is_chain(e)) return;
  e->lost += e->count <= WR_BREAKER_EVENTS ? e->count : WR_BREAKER_EVENTS;
  e->first = 0;
  e->count = 0;
}
