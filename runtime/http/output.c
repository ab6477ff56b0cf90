#include "http/output.h"

enum { SEND_AT_ONCE = 16 * 1024 }; // from here on a copy costs more than a system call

// Sends `pieces`; returns how many bytes the channel took.
static size_t send_pieces(struct wr_connection *c, struct iovec *pieces, size_t count)
{
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += pieces[i].iov_len;
  ssize_t took = wr_channel_send(&c->channel, pieces, count);
  if (took < 0) {
    wr_connection_fail(c, WR_ERROR_CANCELLED, c->channel.fault);
    return 0;
  }
  // A socket that did not take all is full: its readiness says when to go on.
  size_t sent = (size_t)took;
  c->is_blocked = sent < total || c->channel.unsent > 0;
  c->ws->head_left -= sent < c->ws->head_left ? sent : c->ws->head_left;
  c->ws->sent_ns = wr_loop_now(c->server->loop);
  return sent;
}

void wr_output_resume(struct wr_connection *c)
{
  size_t before = c->channel.unsent;
  c->is_blocked = false;
  if (before == 0) return;
  if (!wr_channel_flush(&c->channel)) {
    wr_connection_fail(c, WR_ERROR_CANCELLED, c->channel.fault);
  }
  size_t left = c->channel.unsent;
  if (left < before) c->ws->sent_ns = wr_loop_now(c->server->loop);
  c->is_blocked = left > 0;
}

void wr_output_flush(struct wr_connection *c)
{
  struct wr_buf *out = &c->ws->out;
  if (out->len == 0 || c->is_blocked || c->failure || c->state == WR_CONNECTION_CLOSED) return;
  struct iovec all = {wr_buf_head(out), out->len};
  wr_buf_drop(out, send_pieces(c, &all, 1));
  if (out->len == 0 && out->cap > WR_WORKSPACE_KEEP) wr_buf_fini(out);
}

static void append(struct wr_connection *c, struct wr_str s)
{
  if (!wr_buf_append_str(&c->ws->out, s)) {
    wr_connection_fail(c, WR_ERROR_TOO_LARGE, "more is waiting for the client than may");
  }
}

// Sends what was waiting and the pieces in one call, and keeps what the socket did not take.
static void send_at_once(struct wr_connection *c, const struct wr_str *pieces, int count)
{
  struct wr_buf *out = &c->ws->out;
  struct iovec all[WR_OUTPUT_PIECES_MAX + 1];
  all[0] = (struct iovec){wr_buf_head(out), out->len};
  for (int i = 0; i < count; i++) all[i + 1] = (struct iovec){(char *)pieces[i].ptr, pieces[i].len};
  size_t took = send_pieces(c, all, (size_t)count + 1);
  if (c->failure) return;
  size_t waiting = took < out->len ? took : out->len;
  wr_buf_drop(out, waiting);
  took -= waiting;
  for (int i = 0; i < count; i++) {
    size_t cut = took < pieces[i].len ? took : pieces[i].len;
    append(c, (struct wr_str){pieces[i].ptr + cut, pieces[i].len - cut});
    took -= cut;
  }
}

void wr_output_send(struct wr_connection *c, const struct wr_str *pieces, int count)
{
  WR_CHECK(count <= WR_OUTPUT_PIECES_MAX);
  struct wr_buf *out = &c->ws->out;
  size_t total = out->len;
  for (int i = 0; i < count; i++) total += pieces[i].len;
  if (total >= SEND_AT_ONCE && !c->is_blocked) {
    // With nothing waiting the buffer has no memory to point at, and needs none.
    if (out->data == NULL) wr_buf_reserve(out, 1);
    send_at_once(c, pieces, count);
  } else {
    for (int i = 0; i < count; i++) append(c, pieces[i]);
  }
  wr_connection_poke(c);
}
