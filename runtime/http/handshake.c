#include "http/handshake.h"

#include "base/buf.h"
#include "http/response.h"
#include "http/tls_session.h"

enum { ANSWER_MAX = 1024 };

// Who speaks HTTP to a port for TLS took the wrong scheme, and can only be told in the clear.
static void answer_plain(struct wr_connection *c)
{
  struct wr_buf body;
  struct wr_buf all;
  wr_buf_init(&body, ANSWER_MAX);
  wr_buf_init(&all, 2 * ANSWER_MAX);
  wr_response_problem(&body, 400, "this port is for https", (struct wr_str){NULL, 0});
  wr_buf_printf(&all,
                "HTTP/1.1 400 Bad Request\r\n"
                "Content-Type: application/problem+json\r\n"
                "Content-Length: %zu\r\n"
                "Connection: close\r\n\r\n",
                body.len);
  wr_buf_append_str(&all, wr_buf_str(&body));
  wr_tls_session_say_plain(&c->channel, wr_buf_str(&all));
  wr_buf_fini(&body);
  wr_buf_fini(&all);
}

static enum wr_handshake fail(struct wr_connection *c, enum wr_tls_failure why)
{
  c->server->stats.tls_failures[why]++;
  c->is_expired = false;
  if (why == WR_TLS_CLOSED || why == WR_TLS_TIMEOUT) return WR_HANDSHAKE_CLOSE;
  c->failure = WR_ERROR_NONE;
  if (why == WR_TLS_PLAIN) answer_plain(c);
  return WR_HANDSHAKE_LINGER;
}

enum wr_handshake wr_handshake_judge(struct wr_connection *c)
{
  enum wr_tls_state state = wr_tls_session_state(&c->channel);
  if (c->is_expired) return fail(c, WR_TLS_TIMEOUT);
  if (state == WR_TLS_FAILED || c->failure) return fail(c, wr_tls_session_failure(&c->channel));
  if (state == WR_TLS_SHAKING && c->saw_fin) return fail(c, WR_TLS_CLOSED);
  if (state == WR_TLS_SHAKING) return WR_HANDSHAKE_WAIT;
  const struct wr_tls_facts *facts = wr_tls_session_facts(&c->channel);
  c->server->stats.tls_handshakes[facts->version[2] == '3'][facts->is_resumed]++;
  return WR_HANDSHAKE_DONE;
}
