#include "http/output.h"

enum {
  KEEP = 64 * 1024,         // a larger buffer is given back once empty
  SEND_AT_ONCE = 16 * 1024, // from here on a copy costs more than a system call
};

static void sent(struct wr_connection *c, size_t len)
{
  c->head_left -= len < c->head_left ? len : c->head_left;
  c->sent_ns = wr_loop_now(c->server->loop);
}

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
  c->is_blocked = (size_t)took < total || c->channel.unsent > 0;
  sent(c, (size_t)took);
  return (size_t)took;
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
  if (left < before) sent(c, 0);
  c->is_blocked = left > 0;
}

void wr_output_flush(struct wr_connection *c)
{
  if (c->out.len == 0 || c->is_blocked || c->failure || c->state == WR_CONNECTION_CLOSED) return;
  struct iovec all = {wr_buf_head(&c->out), c->out.len};
  wr_buf_drop(&c->out, send_pieces(c, &all, 1));
  if (c->out.len == 0 && c->out.cap > KEEP) wr_buf_fini(&c->out);
}

static void append(struct wr_connection *c, struct wr_str s)
{
  if (!wr_buf_append_str(&c->out, s)) {
    wr_connection_fail(c, WR_ERROR_TOO_LARGE, "more is waiting for the client than may");
  }
}

// Sends what was waiting and the pieces in one call, and keeps what the socket did not take.
static void send_at_once(struct wr_connection *c, const struct wr_str *pieces, int count)
{
  struct iovec all[WR_OUTPUT_PIECES_MAX + 1];
  all[0] = (struct iovec){wr_buf_head(&c->out), c->out.len};
  for (int i = 0; i < count; i++) all[i + 1] = (struct iovec){(char *)pieces[i].ptr, pieces[i].len};
  size_t took = send_pieces(c, all, (size_t)count + 1);
  if (c->failure) return;
  size_t waiting = took < c->out.len ? took : c->out.len;
  wr_buf_drop(&c->out, waiting);
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
  size_t total = c->out.len;
  for (int i = 0; i < count; i++) total += pieces[i].len;
  if (total >= SEND_AT_ONCE && !c->is_blocked) {
    // With nothing waiting the buffer has no memory to point at, and needs none.
    if (c->out.data == NULL) wr_buf_reserve(&c->out, 1);
    send_at_once(c, pieces, count);
  } else {
    for (int i = 0; i < count; i++) append(c, pieces[i]);
  }
  wr_connection_poke(c);
}
