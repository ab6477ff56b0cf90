#include "upstream/h1_tls.h"

#include "base/alloc.h"
#include "upstream/outbound_tls.h"

#include <errno.h>

bool wr_h1_tls_begin(struct wr_h1_connection *c, struct wr_error *error)
{
  const struct wr_h1_transfer *t = c->dial->user;
  const struct wr_h1_pool *pool = c->pool;
  const struct wr_outbound_tls_ask ask = {
      .tls = pool->tls,
      .name = pool->server_name,
      .protocol = WR_TLS_HTTP1,
      .preamble = {wr_buf_str(&t->head).ptr, t->preamble},
      .resume = {pool->key.ptr, pool->is_private ? 0 : pool->key.len},
  };
  c->channel = wr_alloc(sizeof(*c->channel));
  wr_channel_open(c->channel, c->io.fd);
  return wr_outbound_tls_begin(c->tr->options.tls, c->channel, &ask, error);
}

enum wr_tls_state wr_h1_tls_shake(struct wr_h1_connection *c, int events, const char **reason)
{
  struct wr_outbound_tls_step step = {
      .to = c->tr->scratch, .room = WR_H1_READ_SIZE, .is_failed = events & WR_IO_ERROR};
  enum wr_tls_state state = wr_outbound_tls_step(c->channel, &step);
  if (step.got > 0) WR_CHECK(wr_buf_append(&c->in, step.to, step.got));
  if (state == WR_TLS_READY && c->channel->is_ended) c->is_failed = true;
  *reason = step.reason;
  return state;
}

// The loop tells nothing of an end that came with the last bytes, nor of a socket that failed.
static bool goes_on(const struct wr_h1_connection *c, ssize_t got)
{
  return got == WR_CHANNEL_AGAIN && c->is_failed && !c->channel->is_dry;
}

ssize_t wr_h1_tls_read(struct wr_h1_connection *c, char *to)
{
  ssize_t got;
  do {
    got = wr_channel_read(c->channel, to, WR_H1_READ_SIZE);
  } while (goes_on(c, got));
  if (c->channel->is_ended) c->is_failed = c->user->is_send_broken = true;
  if (c->channel->unsent > 0) c->user->is_send_blocked = true;
  if (got >= 0) return got;
  errno = got == WR_CHANNEL_AGAIN ? EAGAIN : ECONNRESET;
  return -1;
}

ssize_t wr_h1_tls_send(struct wr_h1_connection *c, struct iovec *pieces, size_t count)
{
  ssize_t took = wr_channel_flush(c->channel) ? 0 : -1;
  if (took == 0 && count > 0) took = wr_channel_send(c->channel, pieces, count);
  if (took < 0) errno = ECONNRESET;
  return took;
}

const char *wr_h1_tls_fault(const struct wr_h1_connection *c)
{
  bool is_tls = wr_tls_session_failure(c->channel) != WR_TLS_CLOSED;
  return is_tls ? wr_tls_session_reason(c->channel) : NULL;
}

int wr_h1_tls_wants(const struct wr_h1_connection *c, int events)
{
  return c->channel->unsent > WR_CHANNEL_UNSENT_MAX ? events & ~WR_IO_READ : events;
}

void wr_h1_tls_shut(struct wr_h1_connection *c)
{
  wr_tls_session_shut(c->channel);
}

void wr_h1_tls_close(struct wr_h1_connection *c)
{
  wr_channel_close(c->channel, false);
  wr_channel_free(c->channel);
  wr_free(c->channel);
  c->channel = NULL;
}
