#include "upstream/h1_receive.h"

#include "base/duration.h"
#include "upstream/h1_send.h"
#include "upstream/h1_tls.h"

#include <errno.h>
#include <sys/socket.h>

// Heads

// How long the peer says that it keeps the connection, less a second for what is on its way.
static uint64_t keep_of(const struct wr_headers *headers)
{
  struct wr_str list = wr_headers_value(headers, WR_FIELD_KEEP_ALIVE);
  while (list.ptr != NULL) {
    struct wr_str value = wr_str_trim(wr_str_split(&list, ','));
    struct wr_str name = wr_str_trim(wr_str_split(&value, '='));
    value = wr_str_trim(value);
    if (!wr_str_eq_nocase(name, WR_STR("timeout")) || value.len == 0 || value.len > 9) continue;
    uint64_t seconds = 0;
    for (size_t i = 0; i < value.len; i++) {
      if (value.ptr[i] < '0' || value.ptr[i] > '9') return UINT64_MAX;
      seconds = seconds * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    return seconds > 1 ? (seconds - 1) * WR_SECOND : 0;
  }
  return UINT64_MAX;
}

static void tell_head(struct wr_h1_transfer *t, const struct wr_head *head)
{
  t->is_final = true;
  t->keep_alive = head->keep_alive;
  t->keep_ns = keep_of(&head->headers);
  t->stats.first_byte_ns = wr_loop_now(t->tr->base.loop) - t->started_ns;
  wr_body_init(&t->decoder, head->framing, head->content_length);
  wr_body_keep_trailers(&t->decoder, &t->trailers);
  wr_h1_transfer_set_phase(t, WR_H1_PHASE_BODY);
  const struct wr_transfer_head told = {.status = head->status,
                                        .minor = head->minor,
                                        .headers = &head->headers,
                                        .has_length = head->has_content_length,
                                        .length = head->content_length};
  t->events.on_head(t->ctx, &t->base, &told);
}

// Tunnels

// Does the head switch to the protocol that was asked for, and is it one that may (RFC 9110 15.2)?
static const char *refuse_switch(const struct wr_h1_transfer *t, const struct wr_headers *headers)
{
  if (t->upgrade[0] == '\0') return "the protocol was switched without being asked to";
  size_t at = 0;
  struct wr_str name = wr_headers_each(headers, WR_STR("Upgrade"), &at);
  if (!wr_str_eq_nocase(name, wr_str_of(t->upgrade)) ||
      wr_headers_each(headers, WR_STR("Upgrade"), &at).ptr != NULL) {
    return "it switched to another protocol than was asked for";
  }
  if (!wr_headers_has_token(headers, WR_STR("Connection"), WR_STR("upgrade"))) {
    return "it switched without saying so in Connection";
  }
  bool is_framed = wr_headers_get(headers, WR_STR("Content-Length")).ptr != NULL ||
                   wr_headers_get(headers, WR_STR("Transfer-Encoding")).ptr != NULL;
  return is_framed ? "it switched with a body" : NULL;
}

// From here on bytes are nobody's business but the two ends'.
static void open_tunnel(struct wr_h1_transfer *t, const struct wr_head *head)
{
  uint64_t now = wr_loop_now(t->tr->base.loop);
  t->is_final = t->is_tunnel = true;
  t->body_kind = WR_TRANSFER_BODY_STREAM;
  t->has_length = true;
  t->length = UINT64_MAX;
  t->timeouts.between_bytes_ns = t->tunnel_idle_ns;
  t->timeouts.total_at_ns = t->tunnel_total_ns ? now + t->tunnel_total_ns : 0;
  t->stats.first_byte_ns = now - t->started_ns;
  wr_body_init(&t->decoder, WR_FRAMING_CLOSE, 0);
  wr_h1_transfer_set_phase(t, WR_H1_PHASE_BODY);
  const struct wr_transfer_head told = {
      .status = head->status, .minor = head->minor, .headers = &head->headers};
  t->events.on_head(t->ctx, &t->base, &told);
}

static void take_switch(struct wr_h1_transfer *t, const struct wr_head *head)
{
  const char *reason = refuse_switch(t, &head->headers);
  if (reason == NULL && !wr_h1_send_is_done(t)) reason = "it switched before the request was out";
  if (reason == NULL) {
    open_tunnel(t, head);
  } else {
    wr_h1_transfer_fail(t, WR_ERROR_PROTOCOL, reason);
  }
}

static void take_interim(struct wr_h1_transfer *t)
{
  if (++t->interims > WR_TRANSFER_INTERIM_MAX) {
    wr_h1_transfer_fail(t, WR_ERROR_PROTOCOL, "too many interim responses");
  }
}

static void skip(struct wr_str *view, size_t len)
{
  view->ptr += len;
  view->len -= len;
}

// Takes one head off `view`. False when there is none in it, or nothing is to be read any more.
static bool take_head(struct wr_h1_transfer *t, struct wr_str *view)
{
  struct wr_region *region = &t->tr->region;
  struct wr_parser_error error = {0};
  struct wr_head head;
  size_t used = 0;
  struct wr_str method = t->is_head ? WR_STR("HEAD") : WR_STR("GET");
  wr_region_clear(region);
  enum wr_parser_status status = wr_parser_response(
      view->ptr, view->len, method, &wr_parser_limits_default, region, &head, &used, &error);
  if (status == WR_PARSER_MORE) return false;
  if (status == WR_PARSER_BAD) {
    wr_h1_transfer_fail(t, WR_ERROR_PROTOCOL, error.message);
    return false;
  }
  skip(view, used);
  if (head.status == 101) {
    take_switch(t, &head);
  } else if (head.status < 200) {
    take_interim(t);
  } else {
    tell_head(t, &head);
  }
  return !t->is_ended;
}

// Bodies

static bool has_body(const struct wr_h1_transfer *t)
{
  if (t->decoder.framing == WR_FRAMING_LENGTH) return t->decoder.left > 0;
  return t->decoder.framing != WR_FRAMING_NONE;
}

static void tell_trailers(struct wr_h1_transfer *t)
{
  if (t->trailers.len == 0 || t->events.on_trailers == NULL) return;
  struct wr_headers trailers;
  wr_region_clear(&t->tr->region);
  wr_headers_init(&trailers, &t->tr->region, WR_TRANSFER_TRAILERS_MAX);
  wr_body_read_trailers(&t->decoder, &trailers);
  if (trailers.count > 0) t->events.on_trailers(t->ctx, &t->base, &trailers);
}

// Nothing may follow a response that nobody has asked for.
static void complete(struct wr_h1_transfer *t, size_t excess)
{
  tell_trailers(t);
  if (t->is_ended) return;
  bool is_reusable = t->keep_alive && t->decoder.framing != WR_FRAMING_CLOSE && excess == 0 &&
                     wr_h1_send_is_done(t) && !t->is_send_broken;
  wr_h1_transfer_complete(t, is_reusable);
}

static void tell_piece(struct wr_h1_transfer *t, struct wr_str piece)
{
  t->stats.received_bytes += piece.len;
  t->phase_ns = wr_loop_now(t->tr->base.loop);
  if (!t->events.on_data(t->ctx, &t->base, piece) && !t->is_ended) t->is_paused = true;
}

// Takes one step of the body off `view`. False when it has no more of it, when the next piece must
// wait, or when nothing is to be read any more.
static bool take_body(struct wr_h1_transfer *t, struct wr_str *view)
{
  if (!has_body(t)) {
    complete(t, view->len);
    return false;
  }
  if (view->len == 0) return false;
  struct wr_body before = t->decoder;
  struct wr_str piece = {NULL, 0};
  size_t used = 0;
  enum wr_body_status status = wr_body_feed(&t->decoder, view->ptr, view->len, &used, &piece);
  if (t->is_paused && piece.len > 0) {
    t->decoder = before;
    wr_buf_clear(&t->trailers); // they come behind the last piece
    return false;
  }
  if (status == WR_BODY_BAD) {
    wr_h1_transfer_fail(t, WR_ERROR_PROTOCOL, t->decoder.reason);
    return false;
  }
  skip(view, used);
  if (piece.len > 0) tell_piece(t, piece);
  if (t->is_ended) return false;
  if (status != WR_BODY_DONE) return true;
  complete(t, view->len);
  return false;
}

// Reading

static void digest(struct wr_h1_transfer *t, struct wr_str *view)
{
  bool goes_on = view->len > 0;
  while (goes_on) goes_on = t->is_final ? take_body(t, view) : take_head(t, view);
}

static void digest_kept(struct wr_h1_transfer *t)
{
  struct wr_buf *in = &t->conn->in;
  struct wr_str view = wr_buf_str(in);
  size_t len = view.len;
  digest(t, &view);
  // The connection has gone, or is idle and empty.
  if (t->conn == NULL) return;
  wr_buf_drop(in, len - view.len);
}

static void digest_new(struct wr_h1_transfer *t, struct wr_str view)
{
  digest(t, &view);
  if (t->conn != NULL) WR_CHECK(wr_buf_append_str(&t->conn->in, view));
}

static void on_eof(struct wr_h1_transfer *t, bool is_clean)
{
  const char *fault = t->conn->channel ? wr_h1_tls_fault(t->conn) : NULL;
  if (fault != NULL) {
    wr_h1_transfer_fail(t, WR_ERROR_TLS, fault);
  } else if (!t->is_final) {
    wr_h1_transfer_break(t, "the connection closed before a response");
  } else if (is_clean && wr_body_eof(&t->decoder) == WR_BODY_DONE) {
    complete(t, 0);
  } else {
    wr_h1_transfer_fail(t, WR_ERROR_RESET,
                        "the connection closed before the response was complete");
  }
}

static void receive_once(struct wr_h1_transfer *t)
{
  struct wr_h1_connection *c = t->conn;
  struct wr_buf *in = &c->in;
  bool is_new = in->len == 0;
  size_t room = c->channel ? WR_H1_READ_SIZE + WR_CHANNEL_SLACK : WR_H1_READ_SIZE;
  char *to = is_new ? t->tr->scratch : wr_buf_reserve(in, room);
  WR_CHECK(to != NULL);
  ssize_t got = c->channel ? wr_h1_tls_read(c, to) : recv(c->io.fd, to, WR_H1_READ_SIZE, 0);
  bool is_nothing = got < 0 && (errno == EAGAIN || errno == EINTR);
  if (is_nothing && !c->is_failed) return;
  if (got <= 0) {
    on_eof(t, got == 0);
    return;
  }
  t->has_answer = true;
  struct wr_str view = {to, (size_t)got};
  if (is_new && view.len <= WR_IO_PUT_OFF && !c->is_failed) {
    WR_CHECK(wr_buf_append_str(in, view));
    wr_loop_defer(t->tr->base.loop, &t->work);
  } else if (is_new) {
    digest_new(t, view);
  } else {
    wr_buf_grow(in, (size_t)got);
    digest_kept(t);
  }
}

void wr_h1_receive(struct wr_h1_transfer *t)
{
  if (t->is_paused) return;
  do {
    receive_once(t);
  } while (t->conn != NULL && t->conn->is_failed && !t->is_paused);
}

void wr_h1_receive_rest(struct wr_h1_transfer *t)
{
  if (t->conn->in.len > 0) digest_kept(t);
  if (t->conn != NULL && t->conn->is_failed) wr_h1_receive(t);
}
