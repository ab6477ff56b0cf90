#include "http/h2_internal.h"

#include "base/check.h"

// What nghttp2 tells of. Nothing is called from here that could end a stream or the session: it is
// noted, and done by the next step.

enum { IS_FATAL = NGHTTP2_ERR_CALLBACK_FAILURE };

static struct wr_h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
  return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static uint64_t now_of(const struct wr_h2 *h2)
{
  return wr_loop_now(h2->c->server->loop);
}

// Floods

static bool is_empty_data(const nghttp2_frame_hd *hd)
{
  return hd->type == NGHTTP2_DATA && hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM);
}

static bool strain_frame(struct wr_h2 *h2, const nghttp2_frame_hd *hd)
{
  bool is_ack = (hd->flags & NGHTTP2_FLAG_ACK) != 0;
  switch (hd->type) {
  case NGHTTP2_DATA: return !is_empty_data(hd) || wr_h2_strain(h2, WR_H2_STRAIN_EMPTY_DATA);
  case NGHTTP2_HEADERS:
  case NGHTTP2_CONTINUATION: // nghttp2 has a limit for these
  case NGHTTP2_PUSH_PROMISE: // an error
  case NGHTTP2_GOAWAY: return true;
  case NGHTTP2_PRIORITY: return wr_h2_strain(h2, WR_H2_STRAIN_PRIORITY);
  case NGHTTP2_RST_STREAM: return wr_h2_strain(h2, WR_H2_STRAIN_RESET);
  case NGHTTP2_SETTINGS: return is_ack || wr_h2_strain(h2, WR_H2_STRAIN_SETTINGS);
  case NGHTTP2_PING: return wr_h2_strain(h2, WR_H2_STRAIN_PING);
  case NGHTTP2_WINDOW_UPDATE: return wr_h2_strain(h2, WR_H2_STRAIN_WINDOW_UPDATE);
  default: return wr_h2_strain(h2, WR_H2_STRAIN_UNKNOWN);
  }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
  (void)session;
  struct wr_h2 *h2 = user;
  if (hd->type == NGHTTP2_HEADERS) {
    h2->head_ns = now_of(h2);
  } else if (hd->type != NGHTTP2_CONTINUATION) {
    h2->head_ns = 0;
  }
  return strain_frame(h2, hd) ? 0 : IS_FATAL;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
  (void)session;
  (void)code;
  struct wr_h2 *h2 = user;
  h2->head_ns = 0;
  if (frame->hd.type == NGHTTP2_HEADERS) h2->c->server->stats.bad_requests++;
  return wr_h2_strain(h2, WR_H2_STRAIN_INVALID) ? 0 : IS_FATAL;
}

// Frames of types that are not known are counted as they begin, and ignored (RFC 9113 4.1).
static int on_unknown(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                      void *user)
{
  (void)session;
  (void)payload;
  (void)hd;
  (void)user;
  return NGHTTP2_ERR_CANCEL;
}

// Heads

static int refuse(struct wr_h2 *h2, int32_t id, uint32_t code)
{
  nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, code);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
  struct wr_h2 *h2 = user;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  // Streams that the client has cancelled a moment ago may still be ours to end.
  if (h2->live >= 2 * WR_H2_STREAMS_MAX) {
    return refuse(h2, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
  }
  struct wr_h2_stream *s = wr_h2_stream_new(h2, frame->hd.stream_id);
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
  (void)flags;
  struct wr_h2_stream *s = stream_of(session, frame->hd.stream_id);
  if (s == NULL) return 0;
  struct wr_str field = {(const char *)name, name_len};
  struct wr_str text = {(const char *)value, value_len};
  // Trailers may be here before the head has been looked at, of which they are no part.
  bool fits = s->is_headed ? wr_h2_head_drop(&s->draft, field, text)
                           : wr_h2_head_add(&s->draft, field, text);
  if (fits || wr_h2_strain(user, WR_H2_STRAIN_HEAD)) return 0;
  return IS_FATAL;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user)
{
  (void)session;
  (void)name;
  (void)name_len;
  (void)value;
  (void)value_len;
  (void)flags;
  struct wr_h2 *h2 = user;
  h2->head_ns = 0;
  h2->c->server->stats.bad_requests++;
  if (!wr_h2_strain(h2, WR_H2_STRAIN_INVALID)) return IS_FATAL;
  return refuse(h2, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
}

// Whole frames

static void note_end(struct wr_h2_stream *s)
{
  s->saw_end = true;
  s->x.body_ns = now_of(s->h2);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
  struct wr_h2 *h2 = user;
  uint8_t type = frame->hd.type;
  if (type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK) wr_h2_noticed(h2);
  if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) return 0;
  if (type == NGHTTP2_HEADERS) h2->head_ns = 0;
  struct wr_h2_stream *s = stream_of(session, frame->hd.stream_id);
  if (s == NULL) return 0;
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) note_end(s);
  if (type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    s->is_headed = true;
    s->has_body = !s->saw_end;
    wr_h2_strain_request(&h2->strain);
  }
  wr_h2_stream_wake(s);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
  (void)flags;
  struct wr_h2 *h2 = user;
  // The window of the connection is given back at once: that of each stream bounds what waits, and
  // so no stream that stalls can hold back the others.
  nghttp2_session_consume_connection(session, len);
  struct wr_h2_stream *s = stream_of(session, id);
  if (s == NULL) return 0;
  s->received += len;
  if (s->is_deaf || s->is_over) {
    wr_h2_stream_swallow(s, len);
    return 0;
  }
  if (!wr_buf_append(&s->in, data, len)) return IS_FATAL;
  s->x.body_ns = now_of(h2);
  wr_h2_stream_wake(s);
  return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
  struct wr_h2 *h2 = user;
  uint8_t type = frame->hd.type;
  if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) return 0;
  if (type == NGHTTP2_DATA) wr_h2_strain_data(&h2->strain);
  struct wr_h2_stream *s = stream_of(session, frame->hd.stream_id);
  if (s == NULL) return 0;
  if (s->x.is_responded) s->has_head = true;
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    s->is_sent = true;
    wr_h2_stream_wake(s);
  }
  return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
  (void)code;
  (void)user;
  struct wr_h2_stream *s = stream_of(session, id);
  if (s == NULL) return 0;
  s->is_closed = true;
  wr_h2_stream_wake(s);
  return 0;
}

nghttp2_session_callbacks *wr_h2_callbacks_new(void)
{
  nghttp2_session_callbacks *table;
  WR_CHECK(nghttp2_session_callbacks_new(&table) == 0);
  nghttp2_session_callbacks_set_on_begin_frame_callback(table, on_begin_frame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(table, on_invalid_frame);
  nghttp2_session_callbacks_set_unpack_extension_callback(table, on_unknown);
  nghttp2_session_callbacks_set_on_begin_headers_callback(table, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(table, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(table, on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(table, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table, on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(table, on_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(table, on_close);
  return table;
}
