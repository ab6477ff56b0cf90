#include "upstream/outbound_tls.h"

#include "base/alloc.h"
#include "base/check.h"
#include "http/authority.h"
#include "loop/io.h"

#include <curl/curl.h>
#include <errno.h>

struct wr_outbound_tls {
  struct wr_tls_roots *roots;
  struct wr_client_tls *none; // of requests that come with no settings
  struct wr_tls_work *work;   // NULL: nothing has been opened yet
};

struct wr_outbound_tls *wr_outbound_tls_new(const char *ca_file)
{
  static const struct wr_tls_file absent;
  const struct wr_client_tls_options nothing = {.ca = &absent, .cert = &absent, .key = &absent};
  struct wr_error error;
  struct wr_outbound_tls *o = wr_alloc(sizeof(*o));
  // One truth for all that weir connects to, whatever connects.
  o->roots = wr_tls_roots_new(ca_file ? ca_file : curl_version_info(CURLVERSION_NOW)->cainfo);
  o->none = wr_client_tls_new(&nothing, &error);
  WR_CHECK(o->none != NULL);
  return o;
}

void wr_outbound_tls_free(struct wr_outbound_tls *o)
{
  if (o == NULL) return;
  wr_client_tls_unref(o->none);
  wr_tls_roots_free(o->roots);
  wr_tls_work_free(o->work);
  wr_free(o);
}

struct wr_client_tls *wr_outbound_tls_of(const struct wr_outbound_tls *o,
                                         const struct wr_transfer_request *rq)
{
  return rq->tls ? rq->tls : o->none;
}

bool wr_outbound_tls_name(const struct wr_transfer_request *rq, char name[WR_OUTBOUND_TLS_NAME])
{
  struct wr_authority host;
  struct wr_str given = rq->tls ? rq->tls->server_name : (struct wr_str){NULL, 0};
  if (wr_authority_parse(&host, given.len > 0 ? given : rq->authority) != NULL) return false;
  wr_authority_write_host(&host, name);
  return true;
}

size_t wr_outbound_tls_key(const struct wr_client_tls *tls, const char *name,
                           char key[WR_OUTBOUND_TLS_KEY])
{
  size_t len = strlen(name);
  memcpy(key, tls->digest, WR_CLIENT_TLS_DIGEST);
  memcpy(key + WR_CLIENT_TLS_DIGEST, name, len);
  return WR_CLIENT_TLS_DIGEST + len;
}

// Beginning

// A socket that is new takes it whole.
static bool send_preamble(struct wr_channel *ch, struct wr_str preamble, struct wr_error *error)
{
  if (preamble.len == 0) return true;
  struct iovec piece = {(char *)preamble.ptr, preamble.len};
  if (wr_io_send(ch->fd, &piece, 1) == (ssize_t)preamble.len) return true;
  wr_error_set(error, WR_ERROR_RESET, "the connection closed before the TLS handshake");
  return false;
}

bool wr_outbound_tls_begin(struct wr_outbound_tls *o, struct wr_channel *ch,
                           const struct wr_outbound_tls_ask *ask, struct wr_error *error)
{
  struct wr_tls_origin *origin = wr_client_tls_origin(ask->tls, o->roots, error);
  if (origin == NULL || !send_preamble(ch, ask->preamble, error)) return false;
  if (o->work == NULL) o->work = wr_tls_work_new();
  const struct wr_tls_ask shake = {
      .origin = origin, .name = ask->name, .protocol = ask->protocol, .resume = ask->resume};
  wr_tls_session_connect(ch, &shake, o->work);
  return true;
}

// Going on

static enum wr_tls_state read_once(struct wr_channel *ch, struct wr_outbound_tls_step *step)
{
  ssize_t got = wr_channel_read(ch, step->to, step->room);
  enum wr_tls_state state = wr_tls_session_state(ch);
  bool is_over = got == 0 || (step->is_failed && ch->is_dry);
  // It may also break with what follows the handshake.
  if (got == WR_CHANNEL_BROKEN || (state == WR_TLS_SHAKING && is_over)) state = WR_TLS_FAILED;
  if (state == WR_TLS_FAILED) step->reason = wr_tls_session_reason(ch);
  step->got = got > 0 ? (size_t)got : 0;
  return state;
}

enum wr_tls_state wr_outbound_tls_step(struct wr_channel *ch, struct wr_outbound_tls_step *step)
{
  enum wr_tls_state state;
  wr_channel_flush(ch); // a socket that takes no more may have told why
  do {
    state = read_once(ch, step);
  } while (step->is_failed && state == WR_TLS_SHAKING);
  return state;
}
