#include "http/connection.h"

#include "arena/clients.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "http/h2.h"
#include "http/handshake.h"
#include "http/input.h"
#include "http/output.h"
#include "http/request.h"
#include "http/tls_session.h"

#include <unistd.h>

enum {
  LINGER_MAX = 1 << 20, // bytes thrown away while lingering
};

// All that a client who waits for its next request costs.
_Static_assert(sizeof(struct wr_connection) <= 480, "little for each of 10,000 clients");

#define LINGER_NS (5 * WR_SECOND)
#define NEVER UINT64_MAX

// Ending

void wr_connection_fail(struct wr_connection *c, enum wr_error_kind kind, const char *text)
{
  if (c->failure != WR_ERROR_NONE) return;
  c->failure = kind;
  c->failure_text = text;
}

static void on_released(struct wr_io *io)
{
  struct wr_connection *c = WR_CONTAINER(io, struct wr_connection, io);
  c->is_released = true;
  wr_connection_advance(c);
}

void wr_connection_close(struct wr_connection *c, bool reset)
{
  if (c->state == WR_CONNECTION_CLOSED) return;
  c->state = WR_CONNECTION_CLOSED;
  wr_list_remove(&c->idle);
  wr_clients_leave(c->server->options.arena, c->server->options.slot, c->seat);
  wr_timer_stop(&c->timer);
  wr_io_close(&c->io, on_released);
  wr_channel_close(&c->channel, reset);
  c->server->stats.open--;
  wr_server_has_room(c->server);
}

// Both the handle and the layer above have let go.
static void free_connection(struct wr_connection *c)
{
  struct wr_server *s = c->server;
  wr_loop_undefer(&c->work);
  wr_list_remove(&c->link);
  wr_h2_close(c);
  wr_channel_free(&c->channel);
  wr_free(c->ends);
  wr_free(c);
  wr_server_check_drained(s);
}

// Closing with input unread sends RST, which may overtake our last words in the client's kernel. So
// our side is shut first, and the client's bytes are thrown away until it closes, or for a while.
void wr_connection_linger(struct wr_connection *c)
{
  if (c->saw_fin) {
    wr_connection_close(c, false);
    return;
  }
  wr_channel_finish(&c->channel);
  c->state = WR_CONNECTION_LINGER;
  c->since_ns = wr_loop_now(c->server->loop);
  c->discarded = 0;
}

void wr_connection_drain(struct wr_connection *c)
{
  c->must_close = true;
  if (c->state == WR_CONNECTION_H2) wr_h2_drain(c);
  bool has_input = c->ws && (c->ws->in.len > 0 || c->ws->view.len > 0);
  if (c->state == WR_CONNECTION_HEAD && !has_input) {
    wr_connection_close(c, false);
  }
  wr_connection_poke(c);
}

// Steps: each returns true when it changed anything that lets another one go on.

static void become_idle(struct wr_connection *c)
{
  c->state = WR_CONNECTION_HEAD;
  wr_list_push(&c->server->idle, &c->idle);
  c->since_ns = wr_loop_now(c->server->loop);
}

void wr_connection_wake(struct wr_connection *c)
{
  if (!wr_connection_is_idle(c)) return;
  c->since_ns = wr_loop_now(c->server->loop);
  wr_list_remove(&c->idle);
}

// Over TLS client and server have agreed what they speak (RFC 9113 3.2).
static void begin(struct wr_connection *c)
{
  if (wr_str_eq(wr_tls_session_facts(&c->channel)->protocol, WR_STR("h2"))) {
    wr_h2_open(c);
  } else {
    become_idle(c);
  }
}

static bool step_handshake(struct wr_connection *c)
{
  switch (wr_handshake_judge(c)) {
  case WR_HANDSHAKE_WAIT: return false;
  case WR_HANDSHAKE_DONE: begin(c); break;
  case WR_HANDSHAKE_LINGER: wr_connection_linger(c); break;
  case WR_HANDSHAKE_CLOSE: wr_connection_close(c, false); break;
  }
  return true;
}

static bool step_head(struct wr_connection *c)
{
  bool is_idle = c->ws->view.len == 0;
  if (is_idle && c->must_close) {
    wr_connection_close(c, false);
    return true;
  }
  if (!is_idle && wr_request_begin(c)) return true;
  if (!c->saw_fin) return false;
  wr_connection_close(c, false);
  return true;
}

static void rest_of_body(struct wr_connection *c)
{
  c->state = WR_CONNECTION_REST;
  c->since_ns = wr_loop_now(c->server->loop);
  c->discarded = 0;
}

// The exchange is over; what becomes of the connection?
static void finish(struct wr_connection *c)
{
  struct wr_workspace *ws = c->ws;
  struct wr_exchange *x = &ws->x;
  bool is_open = c->state != WR_CONNECTION_CLOSED;
  x->stats.is_complete = x->is_ended && is_open;
  if (ws->head_left > 0) x->stats.status = 0;
  size_t unsent = wr_output_unsent(c);
  x->stats.sent_bytes -= unsent < x->stats.sent_bytes ? unsent : x->stats.sent_bytes;
  wr_exchange_finish(x);
  wr_buf_clear(&ws->out);
  ws->head_left = 0;
  if (!is_open) return;
  bool reuse = ws->keep_alive && !c->must_close && !x->has_excess;
  if (reuse && x->is_body_done) {
    become_idle(c);
  } else if (reuse && !c->saw_fin) {
    rest_of_body(c);
  } else if (x->is_body_done && !x->head.keep_alive && c->ws->view.len == 0 && !c->must_close) {
    // The client asked for the end and has nothing under way.
    wr_connection_close(c, false);
  } else {
    wr_connection_linger(c);
  }
}

// All that the client sent was taken, nothing more comes, and it counts as gone for that.
static bool left_by_fin(const struct wr_connection *c)
{
  return c->server->options.fin_is_gone && c->saw_fin && c->ws->view.len == 0 &&
         !c->ws->x.is_ended && !c->ws->x.is_tunnel;
}

static bool step_exchange(struct wr_connection *c)
{
  struct wr_exchange *x = &c->ws->x;
  wr_exchange_deliver(x);
  wr_output_flush(c);
  if (c->failure) return true;
  if (x->is_aborted) {
    // An incomplete body shows by itself, unless only the connection's end would end it.
    bool is_unclear = !x->is_responded || x->framing == WR_FRAMING_CLOSE;
    wr_connection_close(c, c->ws->head_left > 0 || is_unclear);
    return true;
  }
  if (x->is_ended && wr_output_unsent(c) == 0) {
    finish(c);
    return true;
  }
  if (wr_exchange_go_on(x)) return true;
  if (!left_by_fin(c)) return false;
  wr_connection_fail(c, WR_ERROR_CANCELLED, "the client closed the connection");
  return true;
}

static bool step_rest(struct wr_connection *c)
{
  enum wr_body_status status = WR_BODY_MORE;
  while (c->ws->view.len > 0 && status == WR_BODY_MORE) {
    size_t used = 0;
    struct wr_str piece;
    status = wr_body_feed(&c->ws->body, c->ws->view.ptr, c->ws->view.len, &used, &piece);
    wr_connection_consume(c, used);
    c->discarded += (uint32_t)used;
  }
  if (status == WR_BODY_DONE) {
    become_idle(c);
    return true;
  }
  // What somebody had begun to read was promised to be taken: then only time bounds it.
  bool is_much = c->discarded > WR_CONNECTION_DISCARD && !c->ws->x.has_read;
  bool is_enough = status == WR_BODY_BAD || is_much;
  if (!is_enough && !c->saw_fin && !c->must_close) return false;
  wr_connection_linger(c);
  return true;
}

static bool step_linger(struct wr_connection *c)
{
  c->discarded += (uint32_t)c->ws->view.len;
  wr_connection_consume(c, c->ws->view.len);
  if (!c->saw_fin && c->discarded <= LINGER_MAX) return false;
  wr_connection_close(c, false);
  return true;
}

// The socket failed or is closed: whoever works on the exchange must hear it.
static bool step_closed(struct wr_connection *c)
{
  if (c->h2 != NULL) return wr_h2_step_closed(c);
  struct wr_exchange *x = &c->ws->x;
  if (!x->is_live) return false;
  wr_exchange_tell_gone(x, c->failure ? c->failure : WR_ERROR_CANCELLED,
                        c->failure_text ? c->failure_text : "the connection was closed");
  if (!x->is_ended && !x->is_aborted) return false;
  finish(c);
  return true;
}

// The time that passed without what had to come in it.
static bool step_expired(struct wr_connection *c)
{
  struct wr_server_stats *stats = &c->server->stats;
  c->is_expired = false;
  if (c->state == WR_CONNECTION_HEAD && !wr_connection_is_idle(c)) {
    stats->head_timeouts++;
    wr_request_refuse(c, 408, "the request head did not arrive in time");
  } else if (c->state == WR_CONNECTION_H2) {
    wr_h2_expire(c);
  } else if (c->state != WR_CONNECTION_EXCHANGE) {
    wr_connection_close(c, false);
  } else if (wr_output_unsent(c) > 0) {
    stats->send_timeouts++;
    wr_connection_fail(c, WR_ERROR_TIMEOUT, "the client did not take the response in time");
  } else {
    stats->body_timeouts++;
    wr_exchange_refuse_body(&c->ws->x, WR_ERROR_TIMEOUT, "the request body did not arrive in time");
  }
  return true;
}

static bool step(struct wr_connection *c)
{
  if (c->state == WR_CONNECTION_HANDSHAKE) return step_handshake(c);
  if (c->failure && c->state != WR_CONNECTION_CLOSED) {
    const struct wr_exchange *x = &c->ws->x;
    bool is_endless = x->is_live && x->is_responded && x->framing == WR_FRAMING_CLOSE;
    wr_connection_close(c, c->must_reset || is_endless);
  }
  if (c->is_expired && c->state != WR_CONNECTION_CLOSED) return step_expired(c);
  switch (c->state) {
  case WR_CONNECTION_HANDSHAKE: break;
  case WR_CONNECTION_HEAD: return step_head(c);
  case WR_CONNECTION_EXCHANGE: return step_exchange(c);
  case WR_CONNECTION_H2: return wr_h2_step(c);
  case WR_CONNECTION_REST: return step_rest(c);
  case WR_CONNECTION_LINGER: return step_linger(c);
  case WR_CONNECTION_CLOSED: return step_closed(c);
  }
  WR_UNREACHABLE("state of a connection");
}

void wr_connection_consume(struct wr_connection *c, size_t len)
{
  WR_CHECK(len <= c->ws->view.len);
  c->ws->view.ptr += len;
  c->ws->view.len -= len;
}

// Waiting

static void want(struct wr_connection *c)
{
  int events = 0;
  if (wr_input_room(c) > 0) events |= WR_IO_READ;
  if (c->is_blocked && wr_output_unsent(c) > 0) events |= WR_IO_WRITE;
  wr_io_want(&c->io, events ? events : WR_IO_ERROR);
}

static uint64_t after(uint64_t from, uint64_t ns)
{
  return ns > NEVER - from ? NEVER : from + ns;
}

static uint64_t body_deadline(const struct wr_server_options *o, const struct wr_exchange *x)
{
  if (x->is_tunnel || x->is_body_done || !x->is_reading) return NEVER;
  return after(x->body_ns, o->body_timeout_ns);
}

static uint64_t deadline_of(const struct wr_connection *c)
{
  const struct wr_server_options *o = &c->server->options;
  switch (c->state) {
  case WR_CONNECTION_HANDSHAKE: return after(c->since_ns, o->handshake_timeout_ns);
  case WR_CONNECTION_HEAD:
    if (wr_connection_is_idle(c)) return after(c->since_ns, o->keep_alive_timeout_ns);
    return after(c->since_ns, o->head_timeout_ns);
  case WR_CONNECTION_EXCHANGE:
    if (wr_output_unsent(c) > 0) return after(c->ws->sent_ns, o->send_timeout_ns);
    return body_deadline(o, &c->ws->x);
  case WR_CONNECTION_H2: return wr_h2_deadline(c);
  case WR_CONNECTION_REST:
  case WR_CONNECTION_LINGER: return after(c->since_ns, LINGER_NS);
  case WR_CONNECTION_CLOSED: return NEVER;
  }
  WR_UNREACHABLE("state of a connection");
}

static void set_timer(struct wr_connection *c)
{
  wr_timer_start_at(&c->timer, deadline_of(c));
}

static void on_timer(struct wr_timer *t)
{
  struct wr_connection *c = WR_CONTAINER(t, struct wr_connection, timer);
  if (deadline_of(c) > wr_loop_now(c->server->loop)) {
    set_timer(c);
    return;
  }
  c->is_expired = true;
  wr_connection_advance(c);
}

static void on_ready(struct wr_io *io, int events)
{
  struct wr_connection *c = WR_CONTAINER(io, struct wr_connection, io);
  if (events & WR_IO_ERROR) {
    wr_connection_fail(c, WR_ERROR_CANCELLED, "the client reset the connection");
  } else {
    if (events & WR_IO_WRITE) wr_output_resume(c);
    if (events & WR_IO_READ) wr_input_receive(c);
    if (wr_input_put_off(c)) return;
  }
  wr_connection_advance(c);
}

void wr_connection_advance(struct wr_connection *c)
{
  WR_CHECK(!c->is_advancing);
  c->is_advancing = true;
  wr_input_open(c);
  while (step(c)) {
  }
  wr_input_close(c);
  c->is_advancing = false;
  if (c->state == WR_CONNECTION_CLOSED) {
    if (c->is_released && c->ws == NULL && !wr_h2_is_busy(c)) free_connection(c);
    return;
  }
  want(c);
  set_timer(c);
}

void wr_connection_poke(struct wr_connection *c)
{
  if (!c->is_advancing) wr_loop_defer(c->server->loop, &c->work);
}

static void on_work(struct wr_deferred *d)
{
  wr_connection_advance(WR_CONTAINER(d, struct wr_connection, work));
}

bool wr_connection_open(struct wr_server *s, const struct wr_connection_start *start)
{
  struct wr_connection *c = wr_alloc(sizeof(*c));
  if (wr_io_open(&c->io, s->loop, start->fd, "http connection", on_ready) != 0) {
    wr_clients_leave(s->options.arena, s->options.slot, start->seat);
    close(start->fd);
    wr_free(c);
    return false;
  }
  c->server = s;
  wr_channel_open(&c->channel, start->fd);
  wr_timer_init(&c->timer, s->loop, on_timer);
  wr_deferred_init(&c->work, on_work);
  wr_list_init(&c->idle);
  c->peer = start->peer;
  wr_ends_tell(c, start->told);
  c->seat = start->seat;
  c->is_h1 = start->no_h2 || start->tls || s->options.is_admin;
  wr_list_push(&s->connections, &c->link);
  s->stats.open++;
  if (start->tls) {
    wr_tls_session_open(&c->channel, start->tls, s->tls_work);
    c->state = WR_CONNECTION_HANDSHAKE;
    c->since_ns = wr_loop_now(s->loop);
  } else {
    become_idle(c);
  }
  want(c);
  set_timer(c);
  return true;
}
