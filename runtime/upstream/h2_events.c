#include "upstream/h2_events.h"

#include "base/check.h"
#include "http/parser.h"
#include "upstream/h2_call.h"

// What nghttp2 tells of. Nothing is told to callers from here: it is noted, and told by the next
// step.

enum { RESET_STREAM = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE };

static struct wr_h2_call *call_of(nghttp2_session *session, int32_t id)
{
  return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int break_rule(struct wr_h2_call *c, const char *reason)
{
  if (c->bad == NULL) c->bad = reason;
  wr_h2_call_wake(c);
  return RESET_STREAM;
}

// Heads

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
  (void)user;
  struct wr_h2_call *c = call_of(session, frame->hd.stream_id);
  if (c == NULL || frame->hd.type != NGHTTP2_HEADERS) return 0;
  struct wr_headers *list = c->has_head ? &c->trailers : &c->head;
  if (!c->has_head) {
    wr_region_clear(&c->answer);
    c->status = 0;
  }
  c->head_bytes = 0;
  size_t max = c->has_head ? WR_TRANSFER_TRAILERS_MAX : (size_t)wr_parser_limits_default.fields_max;
  wr_headers_init(list, &c->answer, max);
  return 0;
}

static int take_status(struct wr_h2_call *c, struct wr_str value)
{
  for (size_t i = 0; i < value.len; i++) c->status = c->status * 10 + (value.ptr[i] - '0');
  return 0;
}

static int take_length(struct wr_h2_call *c, struct wr_str value)
{
  uint64_t length = 0;
  for (size_t i = 0; i < value.len; i++) length = length * 10 + (uint64_t)(value.ptr[i] - '0');
  c->has_length = true;
  c->length = length;
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
  (void)flags;
  (void)user;
  struct wr_h2_call *c = call_of(session, frame->hd.stream_id);
  if (c == NULL || frame->hd.type != NGHTTP2_HEADERS) return 0;
  struct wr_str n = {(const char *)name, name_len};
  struct wr_str v = {(const char *)value, value_len};
  if (n.len > 0 && n.ptr[0] == ':') return c->has_head ? 0 : take_status(c, v);
  c->head_bytes += n.len + v.len + 4;
  if (c->head_bytes > wr_parser_limits_default.head_max) {
    return break_rule(c, "the response head is too large");
  }
  struct wr_headers *list = c->has_head ? &c->trailers : &c->head;
  if (list->count == list->max && c->has_head) return 0; // more trailers than are kept
  if (!wr_headers_add_copy(list, n, v))
    return break_rule(c, "the response head has too many fields");
  // nghttp2 has seen that it is a number, and counts the body against it.
  bool is_length = !c->has_head && wr_str_eq(n, WR_STR("content-length"));
  return is_length ? take_length(c, v) : 0;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user)
{
  (void)name;
  (void)name_len;
  (void)value;
  (void)value_len;
  (void)flags;
  (void)user;
  struct wr_h2_call *c = call_of(session, frame->hd.stream_id);
  return c ? break_rule(c, "a field is malformed") : RESET_STREAM;
}

static void end_head(struct wr_h2_call *c)
{
  if (c->has_head) return;
  if (c->status >= 200) {
    c->has_head = true;
  } else if (++c->interims > WR_TRANSFER_INTERIM_MAX) {
    break_rule(c, "too many interim responses");
    nghttp2_submit_rst_stream(c->link->session, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
  }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
  struct wr_h2_link *l = user;
  if (frame->hd.type == NGHTTP2_GOAWAY) l->is_going = true;
  struct wr_h2_call *c = call_of(session, frame->hd.stream_id);
  if (c == NULL) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS) end_head(c);
  if (frame->hd.type == NGHTTP2_RST_STREAM) c->is_reset = true;
  bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
  if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) c->saw_end = true;
  wr_h2_call_wake(c);
  return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
  (void)user;
  struct wr_h2_call *c = call_of(session, frame->hd.stream_id);
  if (c != NULL) break_rule(c, nghttp2_strerror(code));
  return 0;
}

// Bodies

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
  (void)flags;
  (void)user;
  struct wr_h2_call *c = call_of(session, id);
  nghttp2_session_consume_connection(session, len);
  if (c == NULL) return 0;
  // nghttp2 lets no more come than the window that was given.
  WR_CHECK(wr_buf_append(&c->in, data, len));
  wr_h2_call_wake(c);
  return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
  (void)user;
  struct wr_h2_call *c = call_of(session, id);
  if (c == NULL) return 0;
  c->is_closed = true;
  c->code = code;
  wr_h2_call_wake(c);
  return 0;
}

nghttp2_session_callbacks *wr_h2_events_new(void)
{
  nghttp2_session_callbacks *callbacks;
  WR_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  return callbacks;
}
