#include "upstream/curl_transfer.h"

#include "base/alloc.h"
#include "upstream/curl_request.h"

#include <stdio.h>

// The end

static void leave_multi(struct wr_curl_transfer *t)
{
  if (!t->is_added) return;
  t->is_added = false;
  t->tr->added--;
  curl_multi_remove_handle(t->tr->multi.curl, t->easy);
}

void wr_curl_transfer_free(struct wr_curl_transfer *t)
{
  leave_multi(t);
  if (t->easy) curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->fields);
  curl_slist_free_all(t->route);
  wr_upload_fini(&t->upload);
  wr_curl_response_fini(&t->response);
  wr_loop_undefer(&t->work);
  wr_list_remove(&t->link);
  wr_free(t);
}

void wr_curl_transfer_silence(struct wr_curl_transfer *t)
{
  t->is_ended = true;
  wr_timer_stop(&t->phase_timer);
  wr_timer_stop(&t->total_timer);
  wr_resolver_cancel(&t->query);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

void wr_curl_transfer_finish(struct wr_curl_transfer *t, const struct wr_error *error)
{
  if (t->is_ended) return;
  wr_curl_transfer_silence(t);
  struct wr_error copy = *error;
  t->events.on_end(t->ctx, &t->base, &copy);
}

void wr_curl_transfer_complete(struct wr_curl_transfer *t)
{
  const struct wr_headers *trailers = &t->response.trailers;
  if (!t->is_ended && trailers->count > 0 && t->events.on_trailers) {
    t->events.on_trailers(t->ctx, &t->base, trailers);
  }
  wr_curl_transfer_finish(t, &(struct wr_error){.kind = WR_ERROR_NONE, .sent = WR_SENT_BODY});
}

static void describe(struct wr_curl_transfer *t, struct wr_error *e, enum wr_error_kind kind,
                     const char *cause)
{
  const char *at = t->stats.address[0] && strstr(t->endpoint, t->stats.address) == NULL
                       ? t->stats.address
                       : NULL;
  wr_error_set(e, kind, "%.90s%s%s%s: %s", t->endpoint, at ? " (" : "", at ? at : "", at ? ")" : "",
               cause);
  if (t->sends > 0) e->sent = t->upload.taken > 0 ? WR_SENT_BODY : WR_SENT_HEAD;
  e->retryable = e->sent == WR_SENT_NOTHING || (t->is_idempotent && !t->response.is_final);
}

void wr_curl_transfer_fail(struct wr_curl_transfer *t, enum wr_error_kind kind, const char *cause)
{
  struct wr_error error;
  describe(t, &error, kind, cause);
  wr_curl_transfer_finish(t, &error);
}

void wr_curl_transfer_fail_later(struct wr_curl_transfer *t, enum wr_error_kind kind,
                                 const char *cause)
{
  if (t->failure.kind == WR_ERROR_NONE) describe(t, &t->failure, kind, cause);
}

// Time

void wr_curl_transfer_set_phase(struct wr_curl_transfer *t, enum wr_curl_phase phase,
                                uint64_t limit_ns)
{
  t->phase = phase;
  if (limit_ns > 0) {
    wr_timer_start(&t->phase_timer, limit_ns);
  } else {
    wr_timer_stop(&t->phase_timer);
  }
}

void wr_curl_transfer_await_head(struct wr_curl_transfer *t)
{
  if (t->response.is_final || t->phase == WR_CURL_PHASE_FIRST_BYTE) return;
  wr_curl_transfer_set_phase(t, WR_CURL_PHASE_FIRST_BYTE, t->timeouts.first_byte_ns);
}

void wr_curl_transfer_await_body(struct wr_curl_transfer *t)
{
  wr_curl_transfer_set_phase(t, WR_CURL_PHASE_BODY,
                             t->is_paused ? 0 : t->timeouts.between_bytes_ns);
}

void wr_curl_transfer_await_connect(struct wr_curl_transfer *t)
{
  if (t->timeouts.connect_ns == 0) {
    wr_curl_transfer_set_phase(t, WR_CURL_PHASE_CONNECT, 0);
    return;
  }
  uint64_t end = t->started_ns + t->timeouts.connect_ns;
  uint64_t now = wr_loop_now(t->tr->base.loop);
  uint64_t untried = t->addresses.count > t->address_at ? t->addresses.count - t->address_at : 1;
  uint64_t left = end > now ? (end - now) / untried : 0;
  wr_curl_transfer_set_phase(t, WR_CURL_PHASE_CONNECT, left ? left : 1);
}

// Connections

void wr_curl_transfer_note_address(struct wr_curl_transfer *t, const char *ip, int port)
{
  if (t->is_path) return;
  snprintf(t->stats.address, sizeof(t->stats.address), strchr(ip, ':') ? "[%.45s]:%d" : "%.45s:%d",
           ip, port);
}

void wr_curl_transfer_enter(struct wr_curl_transfer *t)
{
  t->opened = t->own = CURL_SOCKET_BAD;
  t->is_added = true;
  t->tr->added++;
  WR_CHECK(curl_multi_add_handle(t->tr->multi.curl, t->easy) == CURLM_OK);
}

void wr_curl_transfer_connect(struct wr_curl_transfer *t)
{
  const struct wr_dns_address *address = &t->addresses.items[t->address_at];
  wr_curl_transfer_note_address(t, address->text, t->port);
  t->route = wr_curl_request_route(t->easy, t->route, address, t->port);
  wr_curl_transfer_await_connect(t);
  wr_curl_transfer_enter(t);
}

bool wr_curl_transfer_try_next(struct wr_curl_transfer *t)
{
  if (t->sends > 0 || t->address_at + 1 >= t->addresses.count) return false;
  leave_multi(t);
  t->address_at++;
  wr_curl_transfer_connect(t);
  return true;
}

void wr_curl_transfer_start_again(struct wr_curl_transfer *t)
{
  t->is_spent = false;
  leave_multi(t);
  curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
  wr_curl_transfer_await_connect(t);
  wr_curl_transfer_enter(t);
}

// Time is up

static void fail_timeout(struct wr_curl_transfer *t, const char *what, uint64_t limit_ns)
{
  char cause[80];
  snprintf(cause, sizeof(cause), "%s within %llu ms", what,
           (unsigned long long)(limit_ns / 1000000u));
  wr_curl_transfer_fail(t, WR_ERROR_TIMEOUT, cause);
}

void wr_curl_transfer_on_total(struct wr_timer *timer)
{
  struct wr_curl_transfer *t = WR_CONTAINER(timer, struct wr_curl_transfer, total_timer);
  uint64_t at = t->timeouts.total_at_ns;
  fail_timeout(t, "no complete response", at > t->started_ns ? at - t->started_ns : 0);
}

void wr_curl_transfer_on_phase(struct wr_timer *timer)
{
  struct wr_curl_transfer *t = WR_CONTAINER(timer, struct wr_curl_transfer, phase_timer);
  switch (t->phase) {
  case WR_CURL_PHASE_CONNECT:
    if (t->addresses.count == 0 && !t->is_path) {
      fail_timeout(t, "the name did not resolve", t->timeouts.connect_ns);
    } else if (!wr_curl_transfer_try_next(t)) {
      fail_timeout(t, "no connection", t->timeouts.connect_ns);
    }
    break;
  case WR_CURL_PHASE_FIRST_BYTE:
    fail_timeout(t, "no response head", t->timeouts.first_byte_ns);
    break;
  case WR_CURL_PHASE_BODY:
    fail_timeout(t, "no more of the body", t->timeouts.between_bytes_ns);
    break;
  case WR_CURL_PHASE_SEND: WR_UNREACHABLE("sending has no timer");
  }
}
