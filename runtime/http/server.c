#include "http/server.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "http/connection.h"
#include "http/date.h"
#include "http/h1.h"
#include "http/h2.h"
#include "http/listener.h"
#include "http/preface.h"
#include "http/tls_session.h"

#include <stdio.h>
#include <unistd.h>

const struct wr_server_options wr_server_options_default = {
    .handshake_timeout_ns = 10 * WR_SECOND,
    .head_timeout_ns = 10 * WR_SECOND,
    .body_timeout_ns = 30 * WR_SECOND,
    .send_timeout_ns = 30 * WR_SECOND,
    .keep_alive_timeout_ns = 60 * WR_SECOND,
    .preface_timeout_ns = 5 * WR_SECOND,
    .connections_max = 10000,
    .limits = {.head_max = 32 * 1024, .line_max = 8 * 1024, .fields_max = 100},
};

// Date

struct wr_str wr_server_date(struct wr_server *s)
{
  uint64_t now = wr_loop_now(s->loop);
  if (now >= s->date_until_ns) {
    uint64_t wall = wr_loop_wall();
    wr_date_write(s->date, (int64_t)(wall / WR_SECOND));
    s->date_until_ns = now + WR_SECOND - wall % WR_SECOND;
  }
  return (struct wr_str){s->date, WR_DATE_LEN};
}

// Ending

static bool is_empty(const struct wr_server *s)
{
  return wr_list_is_empty(&s->connections) && wr_list_is_empty(&s->listeners) &&
         wr_list_is_empty(&s->prefaces) && s->listeners_closing == 0;
}

void wr_server_check_drained(struct wr_server *s)
{
  if (!s->is_draining || s->on_drained == NULL || !is_empty(s)) return;
  void (*on_drained)(void *ctx) = s->on_drained;
  s->on_drained = NULL;
  on_drained(s->drained_ctx);
}

static void on_drained_work(struct wr_deferred *d)
{
  wr_server_check_drained(WR_CONTAINER(d, struct wr_server, drained_work));
}

// Nobody was asked for anything yet.
static void close_prefaces(struct wr_server *s)
{
  WR_LIST_EACH(&s->prefaces, node) {
    wr_preface_close(WR_CONTAINER(node, struct wr_preface, link));
  }
}

static void stop_accepting(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx)
{
  s->is_draining = true;
  s->on_drained = on_drained;
  s->drained_ctx = ctx;
  wr_timer_stop(&s->accept_timer);
  wr_listener_close_all(s);
}

// Who waits for a request may have one on its way, and a connection that closes then would lose it.
void wr_server_retire(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx)
{
  WR_CHECK(!s->is_draining);
  s->is_retiring = true;
  stop_accepting(s, on_drained, ctx);
  WR_LIST_EACH(&s->connections, node) {
    struct wr_connection *c = WR_CONTAINER(node, struct wr_connection, link);
    if (c->state != WR_CONNECTION_H2) continue;
    wr_h2_drain(c);
    wr_connection_poke(c);
  }
  wr_loop_defer(s->loop, &s->drained_work);
}

void wr_server_resume(struct wr_server *s)
{
  s->is_retiring = false;
  s->is_draining = false;
  s->on_drained = NULL;
}

int wr_server_descriptor(const struct wr_exchange *x)
{
  return wr_h1_connection(x)->io.fd;
}

void wr_server_drain(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx)
{
  WR_CHECK(!s->is_draining || s->is_retiring);
  s->is_retiring = false;
  stop_accepting(s, on_drained, ctx);
  close_prefaces(s);
  WR_LIST_EACH(&s->connections, node) {
    wr_connection_drain(WR_CONTAINER(node, struct wr_connection, link));
  }
  wr_loop_defer(s->loop, &s->drained_work);
}

void wr_server_abort(struct wr_server *s)
{
  close_prefaces(s);
  WR_LIST_EACH(&s->connections, node) {
    struct wr_connection *c = WR_CONTAINER(node, struct wr_connection, link);
    wr_connection_fail(c, WR_ERROR_CANCELLED, "the server breaks off");
    wr_connection_poke(c);
  }
}

// Life

struct wr_server *wr_server_new(struct wr_loop *l, const struct wr_server_options *options,
                                const struct wr_http_hooks *hooks, void *ctx)
{
  struct wr_server *s = wr_alloc(sizeof(*s));
  s->loop = l;
  s->options = *options;
  s->hooks = *hooks;
  s->ctx = ctx;
  s->is_accepting = true;
  if (options->via != NULL && !options->is_admin) {
    char text[256];
    int len = snprintf(text, sizeof(text), "1.1 %s", options->via);
    WR_CHECK(len > 0 && (size_t)len < sizeof(text));
    s->via = wr_str_of(wr_strndup(text, (size_t)len));
    s->options.via = s->via.ptr + 4;
  } else {
    s->options.via = NULL;
  }
  if (options->server_name != NULL) s->server_name = wr_str_of(wr_strdup(options->server_name));
  s->options.server_name = s->server_name.ptr;
  s->scratch = wr_alloc(WR_SERVER_READ_MAX + WR_SERVER_SLACK_MAX);
  wr_rng_init(&s->rng, wr_loop_entropy());
  wr_list_init(&s->connections);
  wr_list_init(&s->idle);
  wr_list_init(&s->prefaces);
  wr_listener_setup(s);
  wr_deferred_init(&s->drained_work, on_drained_work);
  return s;
}

const struct wr_server_stats *wr_server_stats(const struct wr_server *s)
{
  return &s->stats;
}

void wr_server_free(struct wr_server *s)
{
  WR_CHECK(is_empty(s));
  wr_timer_stop(&s->accept_timer);
  wr_loop_undefer(&s->drained_work);
  if (s->reserve_fd >= 0) close(s->reserve_fd);
  wr_free((char *)s->via.ptr);
  wr_free((char *)s->server_name.ptr);
  wr_workspace_clear(s);
  wr_tls_work_free(s->tls_work);
  wr_free(s->scratch);
  wr_free(s);
}
