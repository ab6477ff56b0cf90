#include "http/h2_internal.h"

#include <stdio.h>

// An exchange on a stream: the operations that exchange.c asks for.

enum {
  OWN_FIELDS = 8, // beside those of the layer above
  DIGITS = 21,
};

static bool is_open(const struct wr_exchange *x)
{
  const struct wr_h2_stream *s = wr_h2_stream_of(x);
  return !s->is_closed && s->failure == WR_ERROR_NONE && s->h2->c->failure == WR_ERROR_NONE &&
         s->h2->c->state == WR_CONNECTION_H2;
}

static void poke(struct wr_exchange *x)
{
  wr_h2_stream_wake(wr_h2_stream_of(x));
}

static uint32_t code_of(enum wr_error_kind kind)
{
  switch (kind) {
  case WR_ERROR_INVALID: return NGHTTP2_PROTOCOL_ERROR;
  case WR_ERROR_TOO_LARGE:
  case WR_ERROR_TIMEOUT: return NGHTTP2_CANCEL;
  default: return NGHTTP2_INTERNAL_ERROR;
  }
}

static void fail(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  wr_h2_stream_fail(wr_h2_stream_of(x), kind, text, code_of(kind));
}

static void reset(struct wr_exchange *x)
{
  wr_h2_stream_fail(wr_h2_stream_of(x), WR_ERROR_CANCELLED, "the stream was reset on purpose",
                    NGHTTP2_INTERNAL_ERROR);
}

// The request

static void stop_reading(struct wr_exchange *x)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  s->is_deaf = true;
  wr_h2_stream_swallow(s, s->in.len);
  wr_buf_fini(&s->in);
}

static bool is_here(const struct wr_exchange *x)
{
  return wr_h2_stream_of(x)->saw_end;
}

static bool take(struct wr_exchange *x, struct wr_str *piece)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  if (s->failure != WR_ERROR_NONE) return false;
  if (s->in.len == 0 && !s->saw_end) return false;
  *piece = wr_buf_str(&s->in);
  // The bytes stay where they are until more come, which is not before this step is over.
  if (piece->len > 0) {
    wr_buf_drop(&s->in, piece->len);
    if (!s->is_closed) nghttp2_session_consume_stream(s->h2->session, s->id, piece->len);
  }
  x->is_body_done = s->saw_end;
  return true;
}

static void send_continue(struct wr_exchange *x)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
  nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, &status, 1, NULL);
}

// The response head

struct fields {
  nghttp2_nv *items;
  size_t count;
};

static void put(struct fields *f, struct wr_str name, struct wr_str value)
{
  f->items[f->count++] = (nghttp2_nv){
      .name = (uint8_t *)name.ptr,
      .value = (uint8_t *)(value.ptr ? value.ptr : ""),
      .namelen = name.len,
      .valuelen = value.len,
  };
}

// RFC 9113 8.2.1: names are in lower case.
static bool put_lower(struct fields *f, struct wr_region *region, const struct wr_header *field)
{
  char *name = wr_region_take(region, field->name.len);
  if (name == NULL) return false;
  for (size_t i = 0; i < field->name.len; i++) name[i] = wr_str_lower(field->name.ptr[i]);
  put(f, (struct wr_str){name, field->name.len}, field->value);
  return true;
}

static bool has(const struct wr_response *r, struct wr_str name)
{
  return r->headers != NULL && wr_headers_get(r->headers, name).ptr != NULL;
}

static bool put_fields(struct fields *f, const struct wr_response *r, struct wr_region *region)
{
  for (size_t i = 0; r->headers != NULL && i < r->headers->count; i++) {
    const struct wr_header *field = &r->headers->items[i];
    if (wr_response_may_leave(r, field) && !put_lower(f, region, field)) return false;
  }
  if (r->date.ptr != NULL && !has(r, WR_STR("Date"))) put(f, WR_STR("date"), r->date);
  if (r->server_name.ptr != NULL && !has(r, WR_STR("Server"))) {
    put(f, WR_STR("server"), r->server_name);
  }
  if (r->via.ptr != NULL) put(f, WR_STR("via"), r->via);
  if (r->request_id.ptr != NULL) put(f, WR_STR("x-request-id"), r->request_id);
  return true;
}

static struct wr_str write_number(char out[DIGITS], uint64_t n)
{
  int len = snprintf(out, DIGITS, "%llu", (unsigned long long)n);
  return (struct wr_str){out, (size_t)len};
}

static bool begin_fields(struct fields *f, struct wr_region *region, size_t count)
{
  *f = (struct fields){.items = wr_region_take(region, count * sizeof(*f->items))};
  return f->items != NULL;
}

// Body and trailers

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
  (void)id;
  (void)user;
  struct wr_h2_stream *s = source->ptr;
  if (s->is_over && !s->is_eof) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t len = s->out.len < room ? s->out.len : room;
  if (len > 0) {
    memcpy(to, wr_buf_head(&s->out), len);
    wr_buf_drop(&s->out, len);
    s->sent_ns = wr_loop_now(s->h2->c->server->loop);
    wr_h2_stream_wake(s);
  }
  if (s->is_eof && s->out.len == 0) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->x.trailers.count > 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      struct fields f;
      if (!begin_fields(&f, &s->region, s->x.trailers.count)) return NGHTTP2_ERR_CALLBACK_FAILURE;
      for (size_t i = 0; i < s->x.trailers.count; i++) {
        put_lower(&f, &s->region, &s->x.trailers.items[i]);
      }
      nghttp2_submit_trailer(session, s->id, f.items, f.count);
    }
    return (ssize_t)len;
  }
  s->is_deferred = len == 0;
  return len > 0 ? (ssize_t)len : NGHTTP2_ERR_DEFERRED;
}

static void send_head(struct wr_exchange *x, struct wr_response *r)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  struct fields f;
  char status[DIGITS];
  char length[DIGITS];
  size_t room = (r->headers ? r->headers->count : 0) + OWN_FIELDS;
  bool fits = begin_fields(&f, &s->region, room);
  if (fits) put(&f, WR_STR(":status"), write_number(status, (uint64_t)r->status));
  if (!fits || !put_fields(&f, r, &s->region)) {
    fail(x, WR_ERROR_TOO_LARGE, "the response head is too large");
    return;
  }
  if (x->framing == WR_FRAMING_LENGTH) {
    put(&f, WR_STR("content-length"), write_number(length, r->length));
  }
  bool is_empty = x->framing == WR_FRAMING_LENGTH && r->length == 0;
  bool is_bodied = !x->is_bodyless && !is_empty;
  nghttp2_data_provider body = {.source = {.ptr = s}, .read_callback = read_body};
  int rc =
      nghttp2_submit_response(s->h2->session, s->id, f.items, f.count, is_bodied ? &body : NULL);
  s->sent_ns = wr_loop_now(s->h2->c->server->loop);
  if (rc != 0) fail(x, WR_ERROR_CANCELLED, "the stream is gone");
}

static void send_body(struct wr_exchange *x, struct wr_str data)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  if (s->out.len == 0) s->sent_ns = wr_loop_now(s->h2->c->server->loop);
  if (!wr_buf_append_str(&s->out, data)) {
    fail(x, WR_ERROR_TOO_LARGE, "more is waiting for the client than may");
    return;
  }
  wr_h2_stream_pump(s);
}

static void send_end(struct wr_exchange *x)
{
  struct wr_h2_stream *s = wr_h2_stream_of(x);
  s->is_eof = true;
  wr_h2_stream_pump(s);
}

static size_t unsent(const struct wr_exchange *x)
{
  return wr_h2_stream_of(x)->out.len;
}

static const struct wr_proxy_protocol *ends(const struct wr_exchange *x)
{
  return wr_ends_of(wr_h2_stream_of(x)->h2->c);
}

const struct wr_exchange_ops wr_h2_exchange_ops = {
    .take = take,
    .is_here = is_here,
    .stop_reading = stop_reading,
    .send_continue = send_continue,
    .send_head = send_head,
    .send = send_body,
    .send_end = send_end,
    .unsent = unsent,
    .is_open = is_open,
    .fail = fail,
    .reset = reset,
    .ends = ends,
    .poke = poke,
};
