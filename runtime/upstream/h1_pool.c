#include "upstream/h1_pool.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/h1_dial.h"
#include "upstream/h1_transfer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_NS WR_SECOND

enum { KEY_SIZE = 300, IN_SIZE = 256 * 1024, IN_KEEP = 16 * 1024 };

// Pools

// Host, port, and whether guarded, in bytes that no host has.
static struct wr_str write_key(const struct wr_transfer_request *rq, char *key)
{
  size_t len = rq->host.len < KEY_SIZE - 4 ? rq->host.len : KEY_SIZE - 4;
  memcpy(key, rq->host.ptr, len);
  key[len] = rq->is_guarded ? '!' : '/';
  key[len + 1] = (char)(rq->port >> 8);
  key[len + 2] = (char)(rq->port & 0xff);
  return (struct wr_str){key, len + 3};
}

static char *write_url(const struct wr_transfer_request *rq)
{
  char url[KEY_SIZE + 32];
  bool is_ipv6 = memchr(rq->host.ptr, ':', rq->host.len) != NULL;
  snprintf(url, sizeof(url), is_ipv6 ? "http://[%.*s]:%u" : "http://%.*s:%u", WR_STR_ARG(rq->host),
           (unsigned)rq->port);
  return wr_strdup(url);
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
  pool->url = write_url(rq);
  wr_map_put(&tr->pools, key, pool);
  return pool;
}

struct wr_h1_pool *wr_h1_pool_of(struct wr_h1_transport *tr, const struct wr_transfer_request *rq)
{
  char text[KEY_SIZE];
  struct wr_str key = write_key(rq, text);
  struct wr_h1_pool *pool = wr_map_get(&tr->pools, key);
  if (pool == NULL) pool = new_pool(tr, rq, key);
  pool->idle_max_ns = rq->pool_idle_ns ? rq->pool_idle_ns : tr->options.idle_ns;
  return pool;
}

static void free_pool(struct wr_h1_pool *pool)
{
  wr_map_remove(&pool->tr->pools, pool->key);
  wr_free((char *)pool->key.ptr);
  wr_free(pool->host);
  wr_free(pool->url);
  wr_free(pool);
}

static uint64_t idle_limit(const struct wr_h1_connection *c, uint64_t wanted_ns)
{
  return wanted_ns < c->keep_ns ? wanted_ns : c->keep_ns;
}

static bool has_idled(const struct wr_h1_connection *c, uint64_t limit_ns)
{
  return wr_loop_now(c->pool->tr->loop) - c->idle_ns >= idle_limit(c, limit_ns);
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

// Anything to read on an idle connection, its end included, makes it useless: nobody has asked.
static bool is_quiet(const struct wr_h1_connection *c)
{
  char byte;
  return recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EINTR);
}

struct wr_h1_connection *wr_h1_pool_take(struct wr_h1_pool *pool, uint64_t idle_max_ns)
{
  WR_LIST_EACH(&pool->idle, node) {
    struct wr_h1_connection *c = WR_CONTAINER(node, struct wr_h1_connection, link);
    // What comes behind has idled for longer, but perhaps it may.
    if (has_idled(c, idle_max_ns)) continue;
    if (is_quiet(c)) {
      wr_list_remove(&c->link);
      wr_list_push(&pool->busy, &c->link);
      c->is_idle = false;
      pool->idle_count--;
      return c;
    }
    wr_h1_connection_close(c);
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
  c->idle_ns = wr_loop_now(pool->tr->loop);
  if (pool->idle_count >= WR_H1_IDLE_MAX || pool->tr->is_closing) {
    wr_h1_connection_close(c);
    return;
  }
  wr_list_remove(&c->link);
  wr_list_push(pool->idle.next, &c->link);
  c->is_idle = true;
  pool->idle_count++;
  wr_io_want(&c->io, WR_IO_READ);
  if (!wr_timer_is_running(&pool->tr->sweep)) wr_timer_start(&pool->tr->sweep, SWEEP_NS);
}

// Connections

static void on_ready(struct wr_io *io, int events)
{
  struct wr_h1_connection *c = WR_CONTAINER(io, struct wr_h1_connection, io);
  if (c->dial != NULL) {
    wr_h1_dial_on_ready(c->dial);
  } else if (c->user != NULL) {
    wr_h1_transfer_on_ready(c->user, events);
  } else {
    wr_h1_connection_close(c);
  }
}

struct wr_h1_connection *wr_h1_connection_new(struct wr_h1_pool *pool, int fd,
                                              struct wr_h1_dial *dial)
{
  struct wr_h1_connection *c = wr_alloc(sizeof(*c));
  if (wr_io_open(&c->io, pool->tr->loop, fd, "upstream connection", on_ready) != 0) {
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
  if (c->is_idle) c->pool->idle_count--;
  if (c->dial == NULL) c->pool->open--;
  wr_list_remove(&c->link);
  wr_io_close(&c->io, on_closed);
  close(fd);
}
