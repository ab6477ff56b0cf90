#include "upstream/h2_link.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/h2_call.h"
#include "upstream/h2_dial.h"
#include "upstream/h2_events.h"
#include "upstream/outbound_tls.h"

enum {
  OUT_SIZE = 4 << 20,
  OUT_MARK = 64 * 1024, // frames are made while less than this waits for the socket
};

static const char CLOSED[] = "the connection closed before a response";

static void on_work(struct wr_deferred *d);
static void on_timer(struct wr_timer *timer);

// Its end

static void lose_calls(struct wr_h2_link *l, enum wr_error_kind kind, const char *cause)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&l->calls)) != NULL) {
    struct wr_h2_call *c = WR_CONTAINER(node, struct wr_h2_call, on_link);
    wr_list_remove(&c->ready);
    l->count--;
    c->link = NULL;
    wr_h2_call_lose(c, kind, cause);
  }
}

void wr_h2_link_close(struct wr_h2_link *l)
{
  WR_CHECK(l->count == 0);
  wr_resolver_cancel(&l->query);
  wr_timer_stop(&l->timer);
  wr_loop_undefer(&l->work);
  wr_h2_dial_drop(l);
  if (l->session) nghttp2_session_del(l->session);
  wr_list_remove(&l->link);
  wr_buf_fini(&l->out);
  wr_client_tls_unref(l->tls);
  wr_free(l->name);
  wr_free(l->host);
  wr_free(l);
}

void wr_h2_link_give_up(struct wr_h2_link *l, enum wr_error_kind kind, const char *cause)
{
  l->is_going = true; // nobody joins it meanwhile
  lose_calls(l, kind, cause);
  wr_h2_link_close(l);
}

static void fall_out(struct wr_h2_link *l, enum wr_error_kind kind, const char *why)
{
  l->broken = why;
  l->broken_kind = kind;
}

// Opening

static nghttp2_option *new_options(void)
{
  nghttp2_option *options;
  WR_CHECK(nghttp2_option_new(&options) == 0);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_peer_max_concurrent_streams(options, WR_TRANSPORT_H2_STREAMS_MAX);
  return options;
}

static void open_session(struct wr_h2_link *l)
{
  nghttp2_session_callbacks *callbacks = wr_h2_events_new();
  nghttp2_option *options = new_options();
  WR_CHECK(nghttp2_session_client_new2(&l->session, callbacks, l, options) == 0);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WR_H2_LINK_WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 32 * 1024},
  };
  // Over TLS it went before the handshake.
  if (l->tls == NULL) WR_CHECK(wr_buf_append(&l->out, l->preamble, l->preamble_len));
  WR_CHECK(nghttp2_submit_settings(l->session, NGHTTP2_FLAG_NONE, settings, WR_COUNT(settings)) ==
           0);
  WR_CHECK(nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, 0,
                                                 WR_H2_LINK_CONNECTION_WINDOW) == 0);
}

static void digest(struct wr_h2_link *l, size_t len)
{
  l->heard_ns = wr_loop_now(l->tr->base.loop);
  ssize_t used = nghttp2_session_mem_recv(l->session, (uint8_t *)l->tr->scratch, len);
  if (used < 0) fall_out(l, WR_ERROR_PROTOCOL, nghttp2_strerror((int)used));
}

void wr_h2_link_on_open(struct wr_h2_link *l, size_t early)
{
  open_session(l);
  WR_LIST_EACH(&l->calls, node) {
    wr_h2_call_submit(WR_CONTAINER(node, struct wr_h2_call, on_link));
  }
  digest(l, early);
  if (l->channel.is_ended) fall_out(l, WR_ERROR_RESET, CLOSED);
  wr_h2_link_poke(l);
}

// Progress

static bool make_frames(struct wr_h2_link *l)
{
  while (l->out.len < OUT_MARK) {
    const uint8_t *bytes;
    ssize_t len = nghttp2_session_mem_send(l->session, &bytes);
    if (len < 0) fall_out(l, WR_ERROR_RESET, nghttp2_strerror((int)len));
    if (len <= 0) return len == 0;
    WR_CHECK(wr_buf_append(&l->out, bytes, (size_t)len));
  }
  return true;
}

// What the peer said before it closed may still be read: reading tells of its end.
static void stop_sending(struct wr_h2_link *l)
{
  wr_buf_clear(&l->out);
  l->is_going = true;
}

static void flush(struct wr_h2_link *l)
{
  while (!l->is_blocked && l->broken == NULL && make_frames(l) && l->out.len > 0) {
    struct iovec piece = {(char *)wr_buf_str(&l->out).ptr, l->out.len};
    ssize_t sent = wr_channel_send(&l->channel, &piece, 1);
    if (sent < 0) {
      stop_sending(l);
      return;
    }
    wr_buf_drop(&l->out, (size_t)sent);
    l->is_blocked = l->out.len > 0 || l->channel.unsent > 0;
  }
}

static void step_calls(struct wr_h2_link *l)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&l->ready)) != NULL) {
    wr_h2_call_step(WR_CONTAINER(node, struct wr_h2_call, ready));
  }
}

static bool is_over(struct wr_h2_link *l)
{
  bool is_done = !nghttp2_session_want_read(l->session) && !nghttp2_session_want_write(l->session);
  bool is_last = l->is_going || l->tr->is_resting;
  return (l->count == 0 && is_last && l->out.len == 0) || (is_done && l->out.len == 0);
}

static void rest(struct wr_h2_link *l)
{
  bool may_read = l->channel.unsent <= WR_CHANNEL_UNSENT_MAX;
  wr_io_want(&l->socket->io, (may_read ? WR_IO_READ : 0) | (l->is_blocked ? WR_IO_WRITE : 0));
  if (l->count > 0) {
    wr_timer_stop(&l->timer);
  } else if (!wr_timer_is_running(&l->timer)) {
    l->heard_ns = wr_loop_now(l->tr->base.loop);
    wr_timer_start(&l->timer, l->idle_max_ns);
  }
}

static void advance(struct wr_h2_link *l)
{
  step_calls(l);
  flush(l);
  step_calls(l);
  if (l->broken != NULL) {
    wr_h2_link_give_up(l, l->broken_kind, l->broken);
  } else if (is_over(l)) {
    wr_h2_link_give_up(l, WR_ERROR_RESET, CLOSED);
  } else {
    rest(l);
  }
}

static void on_work(struct wr_deferred *d)
{
  struct wr_h2_link *l = WR_CONTAINER(d, struct wr_h2_link, work);
  if (l->session != NULL) {
    advance(l);
  } else if (l->count == 0) {
    wr_h2_link_close(l); // nobody waits for it any more
  } else if (!l->is_begun) {
    l->is_begun = true;
    wr_h2_dial_start(l);
  }
}

// Behind the last one it is at its end, though calls that came later had more time: they, and those
// to come, would wait for nothing.
static void end_address(struct wr_h2_link *l)
{
  char cause[80];
  snprintf(cause, sizeof(cause), "%s within %llu ms", wr_h2_dial_late(l),
           (unsigned long long)(l->connect_ns / WR_MS));
  if (!wr_h2_dial_next(l)) wr_h2_link_give_up(l, WR_ERROR_TIMEOUT, cause);
}

static void on_timer(struct wr_timer *timer)
{
  struct wr_h2_link *l = WR_CONTAINER(timer, struct wr_h2_link, timer);
  if (l->session == NULL) {
    end_address(l);
  } else if (l->count == 0) {
    wr_h2_link_close(l);
  }
}

// Its end, in good order or not: streams say themselves whether they are whole. A server of TLS 1.3
// says only after the handshake that it does not like our certificate.
static void on_end(struct wr_h2_link *l)
{
  bool is_told = l->channel.tls != NULL && wr_tls_session_failure(&l->channel) != WR_TLS_CLOSED;
  if (is_told) {
    fall_out(l, WR_ERROR_TLS, wr_tls_session_reason(&l->channel));
  } else {
    fall_out(l, WR_ERROR_RESET, CLOSED);
  }
}

static void receive(struct wr_h2_link *l, bool is_failed)
{
  ssize_t got = wr_channel_read(&l->channel, l->tr->scratch, WR_H2_LINK_READ);
  bool may_go_on = !is_failed || (l->channel.tls != NULL && !l->channel.is_dry);
  if (got == WR_CHANNEL_AGAIN && may_go_on) return;
  if (got > 0) digest(l, (size_t)got);
  if (l->broken == NULL && (got <= 0 || l->channel.is_ended)) on_end(l);
}

void wr_h2_link_on_ready(struct wr_io *io, int events)
{
  struct wr_h2_link *l = WR_CONTAINER(io, struct wr_h2_socket, io)->owner;
  if (l->session == NULL) {
    wr_h2_dial_on_ready(l, events);
    return;
  }
  if ((events & WR_IO_WRITE) && !wr_channel_flush(&l->channel)) stop_sending(l);
  if (events & WR_IO_READ) receive(l, false);
  // After an error libuv watches no more: all that is left is read now.
  while ((events & WR_IO_ERROR) && l->broken == NULL) receive(l, true);
  // TLS has something to say of its own at times.
  l->is_blocked = l->channel.unsent > 0 || (l->is_blocked && !(events & WR_IO_WRITE));
  advance(l);
}

void wr_h2_link_poke(struct wr_h2_link *l)
{
  wr_loop_defer(l->tr->base.loop, &l->work);
}

// Calls on it

void wr_h2_link_join(struct wr_h2_link *l, struct wr_h2_call *call)
{
  wr_list_push(&l->calls, &call->on_link);
  l->count++;
  call->link = l;
  call->stats.is_reused = l->session != NULL;
  l->idle_max_ns = call->idle_max_ns;
  memcpy(call->stats.address, l->address, sizeof(l->address));
  if (l->session != NULL) wr_h2_call_submit(call);
  wr_h2_link_poke(l);
}

void wr_h2_link_leave(struct wr_h2_link *l, struct wr_h2_call *call)
{
  wr_list_remove(&call->on_link);
  wr_list_remove(&call->ready);
  l->count--;
  call->link = NULL;
  if (call->id > 0 && !call->is_closed) {
    nghttp2_session_set_stream_user_data(l->session, call->id, NULL);
    nghttp2_submit_rst_stream(l->session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
  }
  wr_h2_link_poke(l);
}

// Finding one

static size_t write_key(const struct wr_h2_call *c, char key[WR_H2_LINK_KEY_MAX])
{
  size_t len = strlen(c->host);
  WR_CHECK(len + 3 + c->preamble.len + WR_OUTBOUND_TLS_KEY <= WR_H2_LINK_KEY_MAX);
  memcpy(key, c->host, len);
  key[len] = (c->tls ? "?#" : "/!")[c->is_guarded];
  key[len + 1] = (char)(c->port >> 8);
  key[len + 2] = (char)(c->port & 0xff);
  len += 3;
  if (c->preamble.len > 0) memcpy(key + len, c->preamble.ptr, c->preamble.len);
  len += c->preamble.len;
  return c->tls ? len + wr_outbound_tls_key(c->tls, c->name, key + len) : len;
}

static size_t room_of(const struct wr_h2_link *l)
{
  uint32_t max = WR_TRANSPORT_H2_STREAMS_MAX;
  if (l->session != NULL) {
    uint32_t allowed =
        nghttp2_session_get_remote_settings(l->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (allowed < max) max = allowed;
  }
  return l->count < max ? max - l->count : 0;
}

static bool is_fit(const struct wr_h2_link *l, const struct wr_h2_call *call, uint64_t idle_max_ns)
{
  if (l->is_going || l->broken != NULL || room_of(l) == 0) return false;
  if (l->session == NULL) return !call->is_fresh;
  return nghttp2_session_check_request_allowed(l->session) &&
         wr_loop_now(l->tr->base.loop) - l->heard_ns < idle_max_ns;
}

static struct wr_h2_link *new_link(struct wr_h2_transport *tr, const struct wr_h2_call *call)
{
  struct wr_h2_link *l = wr_alloc(sizeof(*l));
  l->tr = tr;
  l->key_len = write_key(call, l->key);
  l->host = wr_strdup(call->host);
  l->port = call->port;
  l->is_guarded = call->is_guarded;
  if (call->tls) l->tls = wr_client_tls_ref(call->tls);
  if (call->tls) l->name = wr_strdup(call->name);
  l->preamble_len = call->preamble.len;
  if (l->preamble_len > 0) memcpy(l->preamble, call->preamble.ptr, l->preamble_len);
  l->connect_ns = call->timeouts.connect_ns;
  if (call->timeouts.connect_ns > 0) {
    l->open_by_ns = wr_loop_now(tr->base.loop) + call->timeouts.connect_ns;
  }
  wr_list_init(&l->calls);
  wr_list_init(&l->ready);
  wr_buf_init(&l->out, OUT_SIZE);
  wr_timer_init(&l->timer, tr->base.loop, on_timer);
  wr_deferred_init(&l->work, on_work);
  wr_list_push(&tr->links, &l->link);
  return l;
}

struct wr_h2_link *wr_h2_link_for(struct wr_h2_transport *tr, const struct wr_h2_call *call,
                                  uint64_t idle_max_ns)
{
  char key[WR_H2_LINK_KEY_MAX];
  size_t len = write_key(call, key);
  WR_LIST_EACH(&tr->links, node) {
    struct wr_h2_link *l = WR_CONTAINER(node, struct wr_h2_link, link);
    bool is_same = l->key_len == len && memcmp(l->key, key, len) == 0;
    if (is_same && is_fit(l, call, idle_max_ns)) return l;
  }
  return new_link(tr, call);
}
