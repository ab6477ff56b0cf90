#include "admin/stream.h"

#include "admin/page.h"
#include "arena/journal.h"
#include "base/alloc.h"
#include "base/check.h"

#define TICK_NS (100 * WR_MS)

enum { EVENT_MAX = WR_PAGE_MAX + 64, TICKS_OF_STATUS = 10 };

struct wr_stream {
  struct wr_list link;
  struct wr_streams *streams;
  struct wr_exchange *x;
  bool is_full;                       // its connection took no more
  struct wr_journal_cursor cursors[]; // one for each slot of the arena
};

static void write_status(struct wr_streams *s, struct wr_buf *out)
{
  struct wr_json j;
  wr_json_init(&j, out);
  wr_buf_append(out, "event: status\ndata: ", sizeof("event: status\ndata: ") - 1);
  s->ops->write_status(s->ops->ctx, &j);
  if (!j.failed && wr_buf_append(out, "\n\n", 2)) return;
  out->len = 0; // no reader could make sense of a part
}

static void deliver(struct wr_stream *stream, struct wr_str text)
{
  if (!stream->is_full) stream->is_full = !wr_exchange_write(stream->x, text);
}

// The ID names a line, so that who came again knows what it has seen.
static void deliver_line(struct wr_stream *stream, const struct wr_journal_cursor *c,
                         struct wr_str line)
{
  struct wr_buf out;
  wr_buf_init(&out, EVENT_MAX);
  wr_buf_printf(&out, "id: %u-%llu\nevent: event\ndata: %.*s\n\n", c->slot,
                (unsigned long long)c->next, WR_STR_ARG(line));
  deliver(stream, wr_buf_str(&out));
  wr_buf_fini(&out);
}

static void deliver_missed(struct wr_stream *stream, struct wr_journal_cursor *c)
{
  char text[96];
  if (c->missed == 0 || stream->is_full) return;
  int len = snprintf(text, sizeof(text), "event: missed\ndata: {\"missed\":%llu}\n\n",
                     (unsigned long long)c->missed);
  c->missed = 0;
  deliver(stream, (struct wr_str){text, (size_t)len});
}

// What all processes have told since; as much as the watcher takes.
static void deliver_lines(struct wr_stream *stream, struct wr_buf *record)
{
  const struct wr_arena *a = stream->streams->ops->registry->arena;
  for (uint32_t i = 0; i < a->header->slot_count; i++) {
    struct wr_journal_cursor *c = &stream->cursors[i];
    while (!stream->is_full && wr_journal_next(a, c, record)) {
      deliver_line(stream, c, wr_buf_str(record));
    }
    deliver_missed(stream, c);
  }
}

static void on_tick(struct wr_timer *t)
{
  struct wr_streams *s = WR_CONTAINER(t, struct wr_streams, timer);
  struct wr_buf out;
  wr_buf_init(&out, EVENT_MAX);
  if (++s->ticks % TICKS_OF_STATUS == 0) write_status(s, &out);
  struct wr_buf record;
  wr_buf_init(&record, WR_JOURNAL_RECORD_MAX);
  WR_LIST_EACH(&s->list, node) {
    struct wr_stream *stream = WR_CONTAINER(node, struct wr_stream, link);
    if (out.len > 0) deliver(stream, wr_buf_str(&out));
    deliver_lines(stream, &record);
  }
  wr_buf_fini(&record);
  wr_buf_fini(&out);
  wr_timer_start(t, TICK_NS);
}

void wr_streams_init(struct wr_streams *s, struct wr_loop *l, const struct wr_admin_ops *ops)
{
  *s = (struct wr_streams){.ops = ops};
  wr_list_init(&s->list);
  wr_timer_init(&s->timer, l, on_tick);
}

struct wr_stream *wr_streams_open(struct wr_streams *s, struct wr_exchange *x)
{
  struct wr_headers headers;
  if (s->count == WR_STREAMS_MAX) {
    wr_meter_add(s->ops->meter, WR_METRIC_LIMITS, 1, "limit", "admin_streams", NULL);
    wr_page_reply_text(x, 503, "too many watch already\n");
    return NULL;
  }
  wr_headers_init(&headers, wr_exchange_info(x)->region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("text/event-stream"));
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  wr_exchange_respond(x, 200, &headers, false, 0);
  uint32_t slots = s->ops->registry->arena->header->slot_count;
  struct wr_stream *stream = wr_alloc(sizeof(*stream) + slots * sizeof(*stream->cursors));
  stream->streams = s;
  for (uint32_t i = 0; i < slots; i++) {
    stream->cursors[i] = (struct wr_journal_cursor){.slot = i, .ring = WR_JOURNAL_EVENTS};
  }
  stream->x = x;
  wr_list_push(&s->list, &stream->link);
  if (s->count++ == 0) wr_timer_start(&s->timer, TICK_NS);
  struct wr_buf out;
  wr_buf_init(&out, EVENT_MAX);
  write_status(s, &out);
  deliver(stream, wr_buf_str(&out));
  wr_buf_fini(&out);
  return stream;
}

void wr_stream_writable(struct wr_stream *stream)
{
  stream->is_full = false;
}

void wr_stream_leave(struct wr_stream *stream)
{
  struct wr_streams *s = stream->streams;
  if (wr_list_is_empty(&stream->link)) return;
  wr_list_remove(&stream->link);
  if (--s->count == 0) wr_timer_stop(&s->timer);
}

void wr_stream_free(struct wr_stream *stream)
{
  wr_stream_leave(stream);
  wr_free(stream);
}

void wr_streams_end(struct wr_streams *s)
{
  WR_LIST_EACH(&s->list, node) {
    struct wr_stream *stream = WR_CONTAINER(node, struct wr_stream, link);
    wr_stream_leave(stream);
    wr_exchange_end(stream->x);
  }
}
