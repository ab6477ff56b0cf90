#include "http/h2.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "http/h2_internal.h"
#include "http/output.h"

#define NEVER UINT64_MAX
// How long a client that does not answer our PING may still send requests after the first GOAWAY.
#define NOTICE_NS WR_SECOND

static const struct wr_str preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};

enum wr_h2_preface wr_h2_preface(struct wr_str bytes)
{
  size_t len = bytes.len < preface.len ? bytes.len : preface.len;
  if (len > 0 && memcmp(bytes.ptr, preface.ptr, len) != 0) return WR_H2_PREFACE_NO;
  return len == preface.len ? WR_H2_PREFACE_YES : WR_H2_PREFACE_MAYBE;
}

// Nobody is at work: it may wait so long, or make room for others.
static void note_idle(struct wr_h2 *h2)
{
  struct wr_connection *c = h2->c;
  if (c->state == WR_CONNECTION_CLOSED) return;
  c->since_ns = wr_loop_now(c->server->loop);
  wr_list_push(&c->server->idle, &c->idle);
}

// Opening

static nghttp2_option *new_options(void)
{
  nghttp2_option *o;
  WR_CHECK(nghttp2_option_new(&o) == 0);
  nghttp2_option_set_no_auto_window_update(o, 1);
  nghttp2_option_set_no_closed_streams(o, 1);
  nghttp2_option_set_max_continuations(o, WR_H2_CONTINUATIONS_MAX);
  nghttp2_option_set_max_outbound_ack(o, WR_H2_ANSWERS_MAX);
  // Types that nobody knows are told of only when somebody asks for them, and we count them.
  for (int type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++) {
    nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
  }
  // Ours bites first; without it nghttp2's would end the connection with another code.
  nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
  return o;
}

static void *take_memory(size_t size, void *user)
{
  (void)user;
  return wr_alloc(size);
}

static void *take_cleared(size_t count, size_t size, void *user)
{
  (void)user;
  return wr_alloc(count * size);
}

static void *resize(void *ptr, size_t size, void *user)
{
  (void)user;
  return wr_realloc(ptr, size);
}

static void give_back(void *ptr, void *user)
{
  (void)user;
  wr_free(ptr);
}

static void on_more(struct wr_timer *t)
{
  wr_connection_advance(WR_CONTAINER(t, struct wr_h2, more)->c);
}

static void submit_settings(struct wr_h2 *h2)
{
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, WR_H2_STREAMS_MAX},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WR_H2_STREAM_WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h2->c->server->options.limits.head_max},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  WR_CHECK(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, WR_COUNT(settings)) ==
           0);
  WR_CHECK(nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                 WR_H2_CONNECTION_WINDOW) == 0);
}

void wr_h2_open(struct wr_connection *c)
{
  struct wr_h2 *h2 = wr_alloc(sizeof(*h2));
  h2->c = c;
  wr_list_init(&h2->streams);
  wr_list_init(&h2->ready);
  wr_h2_strain_init(&h2->strain, wr_loop_now(c->server->loop));
  wr_timer_init(&h2->more, c->server->loop, on_more);
  nghttp2_mem memory = {
      .malloc = take_memory, .calloc = take_cleared, .realloc = resize, .free = give_back};
  nghttp2_session_callbacks *callbacks = wr_h2_callbacks_new();
  nghttp2_option *options = new_options();
  WR_CHECK(nghttp2_session_server_new3(&h2->session, callbacks, h2, options, &memory) == 0);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
  c->h2 = h2;
  c->state = WR_CONNECTION_H2;
  c->server->stats.h2_connections++;
  note_idle(h2);
  submit_settings(h2);
  bool is_last = c->must_close || c->server->is_retiring; // while TLS shook hands
  if (is_last) wr_h2_drain(c);
}

// Ending

bool wr_h2_strain(struct wr_h2 *h2, enum wr_h2_strain_kind kind)
{
  if (wr_h2_strain_add(&h2->strain, kind, wr_loop_now(h2->c->server->loop))) return true;
  if (!h2->is_strained) h2->c->server->stats.h2_floods[kind]++;
  h2->is_strained = true;
  return false;
}

static void terminate(struct wr_h2 *h2, uint32_t code)
{
  h2->is_broken = true;
  nghttp2_session_terminate_session(h2->session, code);
}

// nghttp2 can read no further: it, or a callback, has had enough.
static void give_up(struct wr_h2 *h2, ssize_t rc)
{
  if (rc == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) wr_h2_strain(h2, WR_H2_STRAIN_CONTINUATION);
  if (rc == NGHTTP2_ERR_FLOODED) wr_h2_strain(h2, WR_H2_STRAIN_ANSWERS);
  terminate(h2, h2->is_strained ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
}

void wr_h2_drain(struct wr_connection *c)
{
  struct wr_h2 *h2 = c->h2;
  if (h2->notice_ns != 0) return;
  // RFC 9113 6.8: requests that are on their way now must not be lost, so the last stream is told
  // only when the client is known to have heard.
  h2->notice_ns = wr_loop_now(c->server->loop);
  nghttp2_submit_shutdown_notice(h2->session);
  nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
  wr_connection_poke(c);
}

void wr_h2_noticed(struct wr_h2 *h2)
{
  if (h2->notice_ns == 0 || h2->is_going) return;
  h2->is_going = true;
  nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR,
                        NULL, 0);
}

bool wr_h2_is_busy(const struct wr_connection *c)
{
  return c->h2 != NULL && c->h2->live > 0;
}

void wr_h2_close(struct wr_connection *c)
{
  struct wr_h2 *h2 = c->h2;
  if (h2 == NULL) return;
  c->h2 = NULL;
  WR_LIST_EACH(&h2->streams, node) {
    wr_h2_stream_free(WR_CONTAINER(node, struct wr_h2_stream, link));
  }
  wr_timer_stop(&h2->more);
  nghttp2_session_del(h2->session);
  wr_free(h2);
}

// Steps

static bool read_input(struct wr_h2 *h2)
{
  struct wr_connection *c = h2->c;
  if (c->ws->view.len == 0) return false;
  if (h2->is_broken) {
    wr_connection_consume(c, c->ws->view.len);
    return true;
  }
  if (wr_output_unsent(c) > WR_EXCHANGE_HIGH) return false;
  ssize_t used =
      nghttp2_session_mem_recv(h2->session, (const uint8_t *)c->ws->view.ptr, c->ws->view.len);
  if (used < 0) give_up(h2, used);
  wr_connection_consume(c, c->ws->view.len);
  return true;
}

// A hundred requests that come in one read are not served in one turn: others have a turn in
// between, and the worker's heart beats.
static bool may_serve(struct wr_h2 *h2)
{
  const struct wr_connection *c = h2->c;
  uint64_t now = wr_loop_now(c->server->loop);
  if (h2->turn_ns != now) h2->served = 0;
  h2->turn_ns = now;
  if (c->failure || c->state == WR_CONNECTION_CLOSED) return true;
  if (h2->served++ < WR_H2_TURN_MAX) return true;
  if (!wr_list_is_empty(&h2->ready)) wr_timer_start(&h2->more, 1); // not in this turn
  return false;
}

static bool step_streams(struct wr_h2 *h2)
{
  bool was_idle = wr_connection_is_idle(h2->c);
  bool moved = false;
  struct wr_list *node;
  while (may_serve(h2) && (node = wr_list_pop(&h2->ready)) != NULL) {
    wr_h2_stream_step(WR_CONTAINER(node, struct wr_h2_stream, ready));
    moved = true;
  }
  if (was_idle && h2->live > 0) wr_list_remove(&h2->c->idle);
  if (!was_idle && h2->live == 0) note_idle(h2);
  return moved;
}

static bool write_output(struct wr_h2 *h2)
{
  struct wr_connection *c = h2->c;
  bool moved = false;
  while (!c->is_blocked && !c->failure && wr_output_unsent(c) < WR_H2_OUT_MARK) {
    const uint8_t *bytes;
    ssize_t len = nghttp2_session_mem_send(h2->session, &bytes);
    if (len < 0) wr_connection_fail(c, WR_ERROR_CANCELLED, "HTTP/2 could not go on");
    if (len <= 0) break;
    moved = true;
    if (!wr_buf_append(&c->ws->out, bytes, (size_t)len)) {
      wr_connection_fail(c, WR_ERROR_TOO_LARGE, "more is waiting for the client than may");
    }
  }
  wr_output_flush(c);
  return moved;
}

static void wake_all(struct wr_h2 *h2)
{
  WR_LIST_EACH(&h2->streams, node) {
    wr_h2_stream_wake(WR_CONTAINER(node, struct wr_h2_stream, link));
  }
}

// Nothing comes and nothing goes any more; the client has all that we had to say.
static bool end(struct wr_h2 *h2)
{
  struct wr_connection *c = h2->c;
  bool is_over =
      !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
  if (!is_over || wr_output_unsent(c) > 0) return false;
  if (h2->live > 0) {
    wr_connection_fail(c, WR_ERROR_CANCELLED, "the client broke the rules of HTTP/2");
  } else {
    wr_connection_linger(c);
  }
  return true;
}

static bool end_by_fin(struct wr_connection *c)
{
  if (!c->saw_fin || c->ws->view.len > 0) return false;
  wr_connection_fail(c, WR_ERROR_CANCELLED, "the client closed the connection");
  return true;
}

bool wr_h2_step(struct wr_connection *c)
{
  struct wr_h2 *h2 = c->h2;
  bool moved = read_input(h2);
  moved = step_streams(h2) || moved;
  moved = write_output(h2) || moved;
  if (c->failure) return true;
  return moved || end(h2) || end_by_fin(c);
}

bool wr_h2_step_closed(struct wr_connection *c)
{
  if (c->h2->live == 0) return false;
  wake_all(c->h2);
  size_t before = c->h2->live;
  step_streams(c->h2);
  return c->h2->live < before;
}

// Waiting

size_t wr_h2_read_room(const struct wr_connection *c)
{
  bool is_full = wr_connection_kept(c) > 0 || wr_output_unsent(c) > WR_EXCHANGE_HIGH;
  return is_full ? 0 : WR_SERVER_READ_MAX;
}

static uint64_t after(uint64_t from, uint64_t ns)
{
  return ns > NEVER - from ? NEVER : from + ns;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

uint64_t wr_h2_deadline(const struct wr_connection *c)
{
  const struct wr_server_options *o = &c->server->options;
  const struct wr_h2 *h2 = c->h2;
  uint64_t at = NEVER;
  if (wr_output_unsent(c) > 0) at = after(c->ws->sent_ns, o->send_timeout_ns);
  if (h2->head_ns != 0) at = sooner(at, after(h2->head_ns, o->head_timeout_ns));
  if (h2->notice_ns != 0 && !h2->is_going) at = sooner(at, after(h2->notice_ns, NOTICE_NS));
  if (h2->live == 0) at = sooner(at, after(c->since_ns, o->keep_alive_timeout_ns));
  return at;
}

void wr_h2_expire(struct wr_connection *c)
{
  const struct wr_server_options *o = &c->server->options;
  struct wr_server_stats *stats = &c->server->stats;
  struct wr_h2 *h2 = c->h2;
  uint64_t now = wr_loop_now(c->server->loop);
  if (wr_output_unsent(c) > 0 && now >= after(c->ws->sent_ns, o->send_timeout_ns)) {
    stats->send_timeouts++;
    wr_connection_fail(c, WR_ERROR_TIMEOUT, "the client did not take the response in time");
  } else if (h2->head_ns != 0 && now >= after(h2->head_ns, o->head_timeout_ns)) {
    stats->head_timeouts++;
    h2->head_ns = 0;
    terminate(h2, NGHTTP2_ENHANCE_YOUR_CALM);
  } else if (h2->notice_ns != 0 && !h2->is_going) {
    wr_h2_noticed(h2);
  } else {
    terminate(h2, NGHTTP2_NO_ERROR);
  }
}
