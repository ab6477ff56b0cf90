#include "upstream/h1_pool.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/h1_dial.h"
#include "upstream/h1_tls.h"
#include "upstream/outbound_tls.h"
#include "upstream/transfer.h"

#include <stdio.h>
#include <unistd.h>

#define SWEEP_NS WR_SECOND

enum { KEY_SIZE = 800, IN_SIZE = 256 * 1024, IN_KEEP = 16 * 1024 };

// Pools

static size_t write_tls_key(const struct wr_h1_transport *tr, const struct wr_transfer_request *rq,
                            char *key)
{
  char name[WR_OUTBOUND_TLS_NAME];
  WR_CHECK(wr_outbound_tls_name(rq, name));
  return wr_outbound_tls_key(wr_outbound_tls_of(tr->options.tls, rq), name, key);
}

// Host, port, and whether guarded, in bytes that no host has; the preamble, and TLS.
static struct wr_str write_key(const struct wr_h1_transport *tr,
                               const struct wr_transfer_request *rq, char *key)
{
  size_t len = rq->host.len;
  WR_CHECK(len + 3 + rq->preamble.len + WR_OUTBOUND_TLS_KEY <= KEY_SIZE);
  memcpy(key, rq->host.ptr, len);
  key[len] = (rq->is_https ? "?#" : "/!")[rq->is_guarded];
  key[len + 1] = (char)(rq->port >> 8);
  key[len + 2] = (char)(rq->port & 0xff);
  len += 3;
  if (rq->preamble.len > 0) memcpy(key + len, rq->preamble.ptr, rq->preamble.len);
  len += rq->preamble.len;
  if (rq->is_https) len += write_tls_key(tr, rq, key + len);
  return (struct wr_str){key, len};
}

static char *write_url(const struct wr_transfer_request *rq)
{
  char url[KEY_SIZE + 32];
  const char *scheme = rq->is_https ? "https" : "http";
  bool is_ipv6 = memchr(rq->host.ptr, ':', rq->host.len) != NULL;
  const char *format = is_ipv6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u";
  if (wr_transfer_is_path(rq->host)) format = "%s://unix:%.*s";
  snprintf(url, sizeof(url), format, scheme, WR_STR_ARG(rq->host), (unsigned)rq->port);
  return wr_strdup(url);
}

static void secure(struct wr_h1_pool *pool, const struct wr_transfer_request *rq)
{
  char name[WR_OUTBOUND_TLS_NAME];
  WR_CHECK(wr_outbound_tls_name(rq, name));
  pool->tls = wr_client_tls_ref(wr_outbound_tls_of(pool->tr->options.tls, rq));
  pool->server_name = wr_strdup(name);
}

static struct wr_h1_pool *new_pool(struct wr_h1_transport *tr, const struct wr_transfer_request *rq,
                                   struct wr_str key)
{
  struct wr_h1_pool *pool = wr_alloc(sizeof(*pool));
  pool->tr = tr;
  wr_list_init(&pool->idle);
  wr_list_init(&pool->busy);
  wr_list_init(&pool->waiting);
  pool->key = (struct wr_str){wr_strndup(key.ptr, key.len), key.len};
  pool->host = wr_strndup(rq->host.ptr, rq->host.len);
  pool->port = rq->port;
  pool->is_private = rq->preamble.len > 0;
  pool->url = write_url(rq);
  if (rq->is_https) secure(pool, rq);
  wr_map_put(&tr->pools, key, pool);
  return pool;
}

struct wr_h1_pool *wr_h1_pool_of(struct wr_h1_transport *tr, const struct wr_transfer_request *rq)
{
  char text[KEY_SIZE];
  struct wr_str key = write_key(tr, rq, text);
  struct wr_h1_pool **recent = &tr->recent[rq->port % WR_H1_POOL_RECENT];
  struct wr_h1_pool *pool = *recent;
  if (pool == NULL || !wr_str_eq(pool->key, key)) pool = wr_map_get(&tr->pools, key);
  if (pool == NULL) pool = new_pool(tr, rq, key);
  *recent = pool;
  pool->idle_max_ns = rq->pool_idle_ns ? rq->pool_idle_ns : tr->options.idle_ns;
  return pool;
}

static void free_pool(struct wr_h1_pool *pool)
{
  struct wr_h1_pool **recent = &pool->tr->recent[pool->port % WR_H1_POOL_RECENT];
  if (*recent == pool) *recent = NULL;
  wr_map_remove(&pool->tr->pools, pool->key);
  wr_free((char *)pool->key.ptr);
  wr_free(pool->host);
  wr_client_tls_unref(pool->tls);
  wr_free(pool->server_name);
  wr_free(pool->url);
  wr_free(pool);
}

static uint64_t idle_limit(const struct wr_h1_connection *c, uint64_t wanted_ns)
{
  return wanted_ns < c->keep_ns ? wanted_ns : c->keep_ns;
}

static bool has_idled(const struct wr_h1_connection *c, uint64_t limit_ns)
{
  return wr_loop_now(c->pool->tr->base.loop) - c->idle_ns >= idle_limit(c, limit_ns);
}

static void sweep_pool(struct wr_h1_pool *pool, bool is_all)
{
  WR_LIST_EACH(&pool->idle, node) {
    struct wr_h1_connection *c = WR_CONTAINER(node, struct wr_h1_connection, link);
    if (is_all || has_idled(c, pool->idle_max_ns)) wr_h1_connection_close(c);
  }
}

void wr_h1_pool_sweep(struct wr_h1_transport *tr, bool is_all)
{
  size_t at = 0;
  struct wr_h1_pool *pool;
  struct wr_h1_pool *empty = NULL;
  while ((pool = wr_map_next(&tr->pools, &at, NULL)) != NULL) {
    sweep_pool(pool, is_all);
    if (pool->open > 0 || pool->transfers > 0) continue;
    pool->next_empty = empty;
    empty = pool;
  }
  while (empty != NULL) {
    pool = empty;
    empty = pool->next_empty;
    free_pool(pool);
  }
  if (tr->pools.count > 0 && !is_all) wr_timer_start(&tr->sweep, SWEEP_NS);
}

// Taking and giving

static void set_idle(struct wr_h1_connection *c, bool is_idle)
{
  struct wr_h1_pool *pool = c->pool;
  if (c->is_idle == is_idle) return;
  c->is_idle = is_idle;
  pool->idle_count += is_idle ? 1 : (size_t)-1;
  if (pool->is_private) pool->tr->private_idle += is_idle ? 1 : (size_t)-1;
}

// Each client has a pool of its own where connections begin with its name: they count together.
static bool has_idle_room(const struct wr_h1_pool *pool)
{
  size_t count = pool->is_private ? pool->tr->private_idle : pool->idle_count;
  return count < WR_H1_IDLE_MAX && !pool->tr->is_resting;
}

struct wr_h1_connection *wr_h1_pool_take(struct wr_h1_pool *pool, uint64_t idle_max_ns)
{
  WR_LIST_EACH(&pool->idle, node) {
    struct wr_h1_connection *c = WR_CONTAINER(node, struct wr_h1_connection, link);
    // What comes behind has idled for longer, but perhaps it may.
    if (has_idled(c, idle_max_ns)) continue;
    wr_list_remove(&c->link);
    wr_list_push(&pool->busy, &c->link);
    set_idle(c, false);
    return c;
  }
  return NULL;
}

static bool has_room(const struct wr_h1_pool *pool)
{
  unsigned max = pool->tr->options.endpoint_connections_max;
  return max == 0 || pool->open < max;
}

bool wr_h1_pool_may_serve(const struct wr_h1_pool *pool)
{
  return pool->idle_count > 0 || has_room(pool);
}

bool wr_h1_pool_make_room(struct wr_h1_pool *pool)
{
  if (has_room(pool)) return true;
  if (wr_list_is_empty(&pool->idle)) return false;
  wr_h1_connection_close(WR_CONTAINER(pool->idle.prev, struct wr_h1_connection, link));
  return true;
}

void wr_h1_pool_give(struct wr_h1_connection *c, uint64_t keep_ns)
{
  struct wr_h1_pool *pool = c->pool;
  c->user = NULL;
  c->keep_ns = keep_ns;
  wr_buf_clear(&c->in);
  if (c->in.cap > IN_KEEP) wr_buf_fini(&c->in);
  c->is_reused = true;
  c->idle_ns = wr_loop_now(pool->tr->base.loop);
  if (!has_idle_room(pool)) {
    wr_h1_connection_close(c);
    return;
  }
  wr_list_remove(&c->link);
  wr_list_push(pool->idle.next, &c->link);
  set_idle(c, true);
  wr_io_want(&c->io, WR_IO_READ);
  if (!wr_timer_is_running(&pool->tr->sweep)) wr_timer_start(&pool->tr->sweep, SWEEP_NS);
}

// Connections

static void on_ready(struct wr_io *io, int events)
{
  struct wr_h1_connection *c = WR_CONTAINER(io, struct wr_h1_connection, io);
  if (c->dial != NULL) {
    wr_h1_dial_on_ready(c->dial, events);
  } else if (c->user != NULL) {
    wr_h1_transfer_on_ready(c->user, events);
  } else {
    // Anything to read while it is idle, its end included, makes it useless: nobody has asked.
    wr_h1_connection_close(c);
  }
}

struct wr_h1_connection *wr_h1_connection_new(struct wr_h1_pool *pool, int fd,
                                              struct wr_h1_dial *dial)
{
  struct wr_h1_connection *c = wr_alloc(sizeof(*c));
  if (wr_io_open(&c->io, pool->tr->base.loop, fd, "upstream connection", on_ready) != 0) {
    close(fd);
    wr_free(c);
    return NULL;
  }
  c->tr = pool->tr;
  c->pool = pool;
  c->dial = dial;
  c->keep_ns = UINT64_MAX;
  wr_buf_init(&c->in, IN_SIZE);
  wr_list_push(&pool->busy, &c->link);
  pool->tr->connections++;
  return c;
}

static void on_closed(struct wr_io *io)
{
  struct wr_h1_connection *c = WR_CONTAINER(io, struct wr_h1_connection, io);
  struct wr_h1_transport *tr = c->tr;
  wr_buf_fini(&c->in);
  wr_free(c);
  tr->connections--;
  wr_h1_transport_check_closed(tr);
}

void wr_h1_connection_close(struct wr_h1_connection *c)
{
  int fd = c->io.fd;
  set_idle(c, false);
  if (c->dial == NULL) c->pool->open--;
  wr_list_remove(&c->link);
  wr_io_close(&c->io, on_closed);
  if (c->channel != NULL) {
    wr_h1_tls_close(c);
  } else {
    close(fd);
  }
}
