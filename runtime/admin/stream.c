#include "admin/stream.h"

#include "admin/page.h"
#include "arena/journal.h"
#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>

#define TICK_NS (100 * WR_MS)
#define FOLLOW_NS (2 * WR_SECOND)

enum { EVENT_MAX = WR_PAGE_MAX + 64, TICKS_OF_STATUS = 10 };

struct wr_stream {
  struct wr_list link;
  struct wr_streams *streams;
  struct wr_exchange *x;
  bool is_full;  // its connection took no more
  bool is_lines; // lines alone, as they are
  uint32_t cursor_count;
  struct wr_journal_cursor cursors[]; // of events one for each slot, of lines two
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

// The ID says of each process what the watcher has by then, so that one who comes again, and says
// it, gets what came since: "9f3c2a11.0-17.3-203", this arena and the next line of slots 0 and 3.
static void write_id(const struct wr_stream *stream, struct wr_buf *out)
{
  wr_buf_printf(out, "id: %08x", stream->streams->birth);
  for (uint32_t i = 0; i < stream->cursor_count; i++) {
    const struct wr_journal_cursor *c = &stream->cursors[i];
    if (c->next > 0) wr_buf_printf(out, ".%u-%llu", c->slot, (unsigned long long)c->next);
  }
  wr_buf_append(out, "\n", 1);
}

static bool read_number(struct wr_str digits, uint64_t *out)
{
  if (digits.len == 0 || digits.len > 18) return false;
  *out = 0;
  for (size_t i = 0; i < digits.len; i++) {
    if (digits.ptr[i] < '0' || digits.ptr[i] > '9') return false;
    *out = *out * 10 + (uint64_t)(digits.ptr[i] - '0');
  }
  return true;
}

// Whoever was here before goes on from there. One of another arena, or none of ours, gets all that
// is there, as if he were new.
static void resume(struct wr_stream *stream, struct wr_str id)
{
  const struct wr_arena *a = stream->streams->ops->registry->arena;
  char birth[16];
  int len = snprintf(birth, sizeof(birth), "%08x", stream->streams->birth);
  if (!wr_str_eq(wr_str_split(&id, '.'), (struct wr_str){birth, (size_t)len})) return;
  while (id.ptr != NULL) {
    uint64_t slot;
    uint64_t next;
    struct wr_str rest = wr_str_split(&id, '.');
    struct wr_str first = wr_str_split(&rest, '-');
    if (!read_number(first, &slot) || slot >= stream->cursor_count || !read_number(rest, &next)) {
      continue;
    }
    wr_journal_seek(a, &stream->cursors[slot], next);
  }
}

static void deliver_line(struct wr_stream *stream, struct wr_str line)
{
  struct wr_buf out;
  wr_buf_init(&out, EVENT_MAX);
  if (stream->is_lines) {
    wr_buf_printf(&out, "%.*s\n", WR_STR_ARG(line));
  } else {
    write_id(stream, &out);
    wr_buf_printf(&out, "event: event\ndata: %.*s\n\n", WR_STR_ARG(line));
  }
  deliver(stream, wr_buf_str(&out));
  wr_buf_fini(&out);
}

static void deliver_missed(struct wr_stream *stream, struct wr_journal_cursor *c)
{
  char text[96];
  if (c->missed == 0 || stream->is_full) return;
  const char *format = stream->is_lines ? "{\"event\":\"tail.missed\",\"missed\":%llu}\n"
                                        : "event: missed\ndata: {\"missed\":%llu}\n\n";
  int len = snprintf(text, sizeof(text), format, (unsigned long long)c->missed);
  c->missed = 0;
  deliver(stream, (struct wr_str){text, (size_t)len});
}

// What all processes have told since; as much as the watcher takes.
static void deliver_lines(struct wr_stream *stream, struct wr_buf *record)
{
  const struct wr_arena *a = stream->streams->ops->registry->arena;
  for (uint32_t i = 0; i < stream->cursor_count; i++) {
    struct wr_journal_cursor *c = &stream->cursors[i];
    while (!stream->is_full && wr_journal_next(a, c, record)) {
      deliver_line(stream, wr_buf_str(record));
    }
    deliver_missed(stream, c);
  }
}

// Workers write down their many lines for as long as somebody wants them.
static void follow(struct wr_streams *s)
{
  wr_journal_follow(s->ops->registry->arena, wr_loop_now(s->timer.loop) + FOLLOW_NS);
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
    if (stream->is_lines) follow(s);
    if (out.len > 0 && !stream->is_lines) deliver(stream, wr_buf_str(&out));
    deliver_lines(stream, &record);
  }
  wr_buf_fini(&record);
  wr_buf_fini(&out);
  wr_timer_start(t, TICK_NS);
}

void wr_streams_init(struct wr_streams *s, struct wr_loop *l, const struct wr_admin_ops *ops)
{
  const struct wr_hash_key *key = &ops->registry->arena->header->hash_key;
  *s = (struct wr_streams){.ops = ops, .birth = (uint32_t)wr_hash_sip(key, WR_STR("events"))};
  wr_list_init(&s->list);
  wr_timer_init(&s->timer, l, on_tick);
}

static void respond(struct wr_exchange *x, struct wr_str type)
{
  struct wr_headers headers;
  wr_headers_init(&headers, wr_exchange_info(x)->region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), type);
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  wr_exchange_respond(x, 200, &headers, false, 0);
}

static struct wr_stream *new_stream(struct wr_streams *s, struct wr_exchange *x, bool is_lines)
{
  uint32_t slots = s->ops->registry->arena->header->slot_count;
  uint32_t count = is_lines ? 2 * slots : slots;
  struct wr_stream *stream = wr_alloc(sizeof(*stream) + count * sizeof(*stream->cursors));
  *stream = (struct wr_stream){.streams = s, .x = x, .is_lines = is_lines, .cursor_count = count};
  for (uint32_t i = 0; i < count; i++) {
    stream->cursors[i] =
        i < slots ? (struct wr_journal_cursor){.slot = i, .ring = WR_JOURNAL_EVENTS}
                  : (struct wr_journal_cursor){.slot = i - slots, .ring = WR_JOURNAL_LINES};
    if (is_lines) wr_journal_skip(s->ops->registry->arena, &stream->cursors[i]);
  }
  wr_list_push(&s->list, &stream->link);
  return stream;
}

static void deliver_status(struct wr_stream *stream)
{
  struct wr_buf out;
  wr_buf_init(&out, EVENT_MAX);
  write_status(stream->streams, &out);
  deliver(stream, wr_buf_str(&out));
  wr_buf_fini(&out);
}

struct wr_stream *wr_streams_open(struct wr_streams *s, struct wr_exchange *x, bool is_lines)
{
  if (s->count == WR_STREAMS_MAX) {
    wr_meter_add(s->ops->meter, WR_METRIC_LIMITS, 1, "limit", "admin_streams", NULL);
    wr_page_reply_text(x, 503, "too many watch already\n");
    return NULL;
  }
  respond(x, is_lines ? WR_STR("application/x-ndjson") : WR_STR("text/event-stream"));
  struct wr_stream *stream = new_stream(s, x, is_lines);
  if (s->count++ == 0) wr_timer_start(&s->timer, TICK_NS);
  if (is_lines) {
    follow(s);
  } else {
    struct wr_str seen =
        wr_headers_get(&wr_exchange_info(x)->head->headers, WR_STR("Last-Event-ID"));
    if (seen.ptr) resume(stream, seen);
    deliver_status(stream);
  }
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
