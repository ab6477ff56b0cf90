#include "http/input.h"

#include "http/h2.h"
#include "http/output.h"
#include "http/tls_session.h"

void wr_input_open(struct wr_connection *c)
{
  if (c->ws == NULL) c->ws = wr_workspace_take(c);
  if (!c->ws->is_scratch) c->ws->view = wr_buf_str(&c->ws->in);
}

static bool needs_workspace(const struct wr_connection *c)
{
  switch (c->state) {
  case WR_CONNECTION_EXCHANGE:
  case WR_CONNECTION_REST: return true;
  case WR_CONNECTION_CLOSED: return c->ws->x.is_live;
  default: return c->ws->in.len > 0 || wr_output_unsent(c) > 0;
  }
}

void wr_input_close(struct wr_connection *c)
{
  struct wr_buf *in = &c->ws->in;
  if (c->ws->is_scratch) {
    if (c->state != WR_CONNECTION_CLOSED) WR_CHECK(wr_buf_append_str(in, c->ws->view));
  } else {
    wr_buf_drop(in, in->len - c->ws->view.len);
  }
  c->ws->is_scratch = false;
  c->ws->view = (struct wr_str){NULL, 0};
  if (!needs_workspace(c)) wr_workspace_give(c);
}

size_t wr_input_room(const struct wr_connection *c)
{
  if (c->saw_fin || c->state == WR_CONNECTION_CLOSED) return 0;
  if (c->channel.unsent > WR_CHANNEL_UNSENT_MAX) return 0;
  if (c->state == WR_CONNECTION_H2) return wr_h2_read_room(c);
  size_t kept = wr_connection_kept(c);
  if (c->state != WR_CONNECTION_EXCHANGE) {
    return kept == 0 ? WR_SERVER_READ_MAX : WR_CONNECTION_AHEAD;
  }
  const struct wr_exchange *x = &c->ws->x;
  if (x->is_reading && !x->is_body_done && kept == 0) return WR_SERVER_READ_MAX;
  return kept < WR_CONNECTION_AHEAD ? WR_CONNECTION_AHEAD - kept : 0;
}

void wr_input_receive(struct wr_connection *c)
{
  size_t room = wr_input_room(c);
  if (room == 0) return;
  if (c->ws == NULL) c->ws = wr_workspace_take(c);
  c->ws->is_scratch = c->ws->in.len == 0;
  char *to = c->ws->is_scratch ? c->server->scratch
                               : wr_buf_reserve(&c->ws->in, room + wr_channel_slack(&c->channel));
  WR_CHECK(to != NULL);
  ssize_t got = wr_channel_read(&c->channel, to, room);
  if (got == WR_CHANNEL_BROKEN) wr_connection_fail(c, WR_ERROR_CANCELLED, c->channel.fault);
  if (got == 0 || c->channel.is_ended) c->saw_fin = true;
  if (c->channel.unsent > 0) c->is_blocked = true;
  size_t len = got > 0 ? (size_t)got : 0;
  if (len > 0) c->ws->x.body_ns = wr_loop_now(c->server->loop);
  if (c->ws->is_scratch) {
    c->ws->view = (struct wr_str){to, len};
  } else {
    wr_buf_grow(&c->ws->in, len);
  }
}

bool wr_input_put_off(struct wr_connection *c)
{
  struct wr_workspace *ws = c->ws;
  if (ws == NULL || !ws->is_scratch || c->state == WR_CONNECTION_H2) return false;
  if (c->failure || c->saw_fin || ws->view.len == 0 || ws->view.len > WR_IO_PUT_OFF) return false;
  WR_CHECK(wr_buf_append_str(&ws->in, ws->view));
  ws->is_scratch = false;
  wr_connection_wake(c);
  wr_connection_poke(c);
  return true;
}
