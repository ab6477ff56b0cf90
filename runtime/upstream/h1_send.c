#include "upstream/h1_send.h"

#include "base/decimal.h"
#include "upstream/h1_tls.h"
#include "upstream/transfer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
  AT_ONCE = 16 * 1024, // from here on a copy costs more than a system call
  FRAMING_SIZE = 64,   // the longest line that is not the caller's
};

// The head

static char *put_field(char *at, struct wr_str name, struct wr_str value)
{
  at = wr_str_put(at, name);
  *at++ = ':';
  if (value.len > 0) {
    *at++ = ' ';
    at = wr_str_put(at, value);
  }
  return wr_str_put(at, WR_STR("\r\n"));
}

static char *put_length(char *at, uint64_t length)
{
  at = wr_str_put(at, WR_STR("Content-Length: "));
  at += wr_decimal_write(at, length);
  return wr_str_put(at, WR_STR("\r\n"));
}

static char *put_framing(char *at, const struct wr_transfer_request *rq)
{
  switch (rq->body_kind) {
  case WR_TRANSFER_BODY_NONE: return wr_transfer_wants_length(rq->method) ? put_length(at, 0) : at;
  case WR_TRANSFER_BODY_BYTES: return put_length(at, rq->body.len);
  case WR_TRANSFER_BODY_STREAM:
    return rq->has_length ? put_length(at, rq->length)
                          : wr_str_put(at, WR_STR("Transfer-Encoding: chunked\r\n"));
  }
  WR_UNREACHABLE("body kind");
}

static size_t measure(const struct wr_transfer_request *rq)
{
  size_t size =
      rq->method.len + rq->target.len + rq->authority.len + rq->upgrade.len + 4 * FRAMING_SIZE;
  for (size_t i = 0; rq->headers != NULL && i < rq->headers->count; i++) {
    size += rq->headers->items[i].name.len + rq->headers->items[i].value.len + 4;
  }
  return size;
}

void wr_h1_send_head(struct wr_h1_transfer *t, const struct wr_transfer_request *rq)
{
  t->preamble = rq->preamble.len;
  if (t->preamble > 0) wr_buf_append_str(&t->head, rq->preamble);
  char *start = wr_buf_reserve(&t->head, measure(rq));
  if (start == NULL) {
    wr_h1_transfer_fail_later(t, WR_ERROR_TOO_LARGE, "the request head is too large");
    return;
  }
  char *at = wr_str_put(start, rq->method);
  *at++ = ' ';
  at = wr_str_put(at, rq->target);
  at = wr_str_put(at, WR_STR(" HTTP/1.1\r\n"));
  at = put_field(at, WR_STR("Host"), rq->authority);
  for (size_t i = 0; rq->headers != NULL && i < rq->headers->count; i++) {
    const struct wr_header *h = &rq->headers->items[i];
    // The expectation is between the client and us; the body is here already or comes by `write`.
    if (h->field != WR_FIELD_EXPECT) at = put_field(at, h->name, h->value);
  }
  // What is for the next hop alone has to be named as such.
  if (rq->upgrade.len > 0) {
    at = wr_str_put(at, WR_STR("Connection: Upgrade\r\n"));
    at = put_field(at, WR_STR("Upgrade"), rq->upgrade);
  } else if (rq->takes_trailers) {
    at = wr_str_put(at, WR_STR("TE: trailers\r\nConnection: TE\r\n"));
  }
  at = put_framing(at, rq);
  at = wr_str_put(at, WR_STR("\r\n"));
  wr_buf_grow(&t->head, (size_t)(at - start));
}

// Sending

bool wr_h1_send_is_done(const struct wr_h1_transfer *t)
{
  if (t->head_sent < t->head.len) return false;
  if (t->body_kind == WR_TRANSFER_BODY_STREAM) return t->is_written && t->out.len == 0;
  return t->body_sent == t->body.len;
}

static void sent_stream(struct wr_h1_transfer *t, size_t len)
{
  if (len == 0) return;
  wr_buf_drop(&t->out, len);
  t->has_streamed = true;
}

// Counts `len` bytes, taken by the socket in the order head, body, stream; returns those of none.
static size_t sent(struct wr_h1_transfer *t, size_t len)
{
  size_t head = t->head.len - t->head_sent;
  if (head > len) head = len;
  t->head_sent += head;
  len -= head;
  size_t body = t->body.len - t->body_sent;
  if (body > len) body = len;
  t->body_sent += body;
  len -= body;
  size_t out = t->out.len < len ? t->out.len : len;
  sent_stream(t, out);
  return len - out;
}

static size_t add_piece(struct iovec *pieces, size_t count, const char *ptr, size_t len)
{
  if (len == 0) return count;
  pieces[count] = (struct iovec){(char *)ptr, len};
  return count + 1;
}

// Sends all that waits and `extra` pieces behind it; returns how many bytes of these were taken.
static size_t send_all(struct wr_h1_transfer *t, const struct iovec *extra, size_t extra_count)
{
  struct iovec pieces[6];
  size_t total = 0;
  size_t count =
      add_piece(pieces, 0, wr_buf_str(&t->head).ptr + t->head_sent, t->head.len - t->head_sent);
  count = add_piece(pieces, count, t->body.ptr + t->body_sent, t->body.len - t->body_sent);
  count = add_piece(pieces, count, wr_buf_str(&t->out).ptr, t->out.len);
  for (size_t i = 0; i < extra_count; i++) pieces[count++] = extra[i];
  for (size_t i = 0; i < count; i++) total += pieces[i].iov_len;
  const struct wr_channel *channel = t->conn->channel;
  if (count == 0 && channel == NULL) return 0; // sealed records may wait, too
  ssize_t took =
      channel ? wr_h1_tls_send(t->conn, pieces, count) : wr_io_send(t->conn->io.fd, pieces, count);
  if (took < 0 && errno != EAGAIN) {
    // Perhaps it has answered and closed: reading tells.
    t->is_send_broken = true;
    return 0;
  }
  t->is_send_blocked = took < 0 || (size_t)took < total || (channel && channel->unsent > 0);
  return sent(t, took < 0 ? 0 : (size_t)took);
}

static void shut(struct wr_h1_transfer *t)
{
  t->is_shut = true;
  if (t->conn->channel != NULL) {
    wr_h1_tls_shut(t->conn);
    t->is_send_blocked = t->conn->channel->unsent > 0;
  } else {
    shutdown(t->conn->io.fd, SHUT_WR);
  }
}

static void sending_is_over(struct wr_h1_transfer *t)
{
  if (t->phase == WR_H1_PHASE_SEND && wr_h1_send_is_done(t)) {
    wr_h1_transfer_set_phase(t, WR_H1_PHASE_HEAD);
  }
  if (t->is_tunnel && t->is_written && t->out.len == 0 && !t->is_shut) {
    shut(t);
  }
  uint64_t waiting = t->out.len < t->written ? t->out.len : t->written;
  t->stats.sent_bytes =
      t->body_kind == WR_TRANSFER_BODY_STREAM ? t->written - waiting : t->body_sent;
}

static bool may_send(const struct wr_h1_transfer *t)
{
  return t->conn != NULL && !t->is_send_blocked && !t->is_send_broken;
}

void wr_h1_send_flush(struct wr_h1_transfer *t)
{
  if (!may_send(t)) return;
  send_all(t, NULL, 0);
  sending_is_over(t);
}

// Streams

static void keep(struct wr_h1_transfer *t, const char *ptr, size_t len)
{
  if (wr_buf_append(&t->out, ptr, len)) return;
  wr_h1_transfer_fail_later(t, WR_ERROR_INVALID,
                            "the body was written faster than it could be sent");
}

static void send_framed(struct wr_h1_transfer *t, struct wr_str data)
{
  char line[WR_BODY_CHUNK_HEAD_MAX];
  struct iovec pieces[3];
  size_t count = 0;
  size_t taken = 0;
  if (!t->has_length) {
    count = add_piece(pieces, count, line, wr_body_chunk_head(line, data.len));
  }
  count = add_piece(pieces, count, data.ptr, data.len);
  if (!t->has_length) count = add_piece(pieces, count, "\r\n", 2);
  if (t->out.len + data.len >= AT_ONCE && may_send(t)) {
    taken = send_all(t, pieces, count);
    if (taken > 0) t->has_streamed = true;
  }
  for (size_t i = 0; i < count; i++) {
    size_t cut = taken < pieces[i].iov_len ? taken : pieces[i].iov_len;
    keep(t, (const char *)pieces[i].iov_base + cut, pieces[i].iov_len - cut);
    taken -= cut;
  }
}

bool wr_h1_send_piece(struct wr_h1_transfer *t, struct wr_str data)
{
  if (t->is_written) {
    wr_h1_transfer_fail_later(t, WR_ERROR_INVALID, "the body was written to after its end");
  } else if (t->has_length && data.len > t->length - t->written) {
    wr_h1_transfer_fail_later(t, WR_ERROR_INVALID, "the body is longer than announced");
  } else if (data.len > 0) {
    t->written += data.len;
    if (t->is_tunnel) t->phase_ns = wr_loop_now(t->tr->base.loop);
    // What the peer does not take any more is not kept: its answer is what is waited for.
    if (!t->is_send_broken) send_framed(t, data);
    sending_is_over(t);
    if (t->out.len >= WR_TRANSFER_UPLOAD_HIGH) t->is_full = true;
  }
  wr_loop_defer(t->tr->base.loop, &t->work);
  return !t->is_full;
}

void wr_h1_send_end(struct wr_h1_transfer *t)
{
  if (t->is_written) return;
  t->is_written = true;
  if (t->has_length && t->written < t->length && !t->is_tunnel) {
    wr_h1_transfer_fail_later(t, WR_ERROR_INVALID, "the body is shorter than announced");
    return;
  }
  if (!t->has_length && !t->is_send_broken) keep(t, "0\r\n\r\n", 5);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

void wr_h1_send_tell_room(struct wr_h1_transfer *t)
{
  bool has_room = t->out.len <= WR_TRANSFER_UPLOAD_LOW || t->is_send_broken;
  if (!t->is_full || !has_room || t->is_ended) return;
  t->is_full = false;
  t->events.on_writable(t->ctx, &t->base);
}
