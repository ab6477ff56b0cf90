#include "upstream/transport_curl.h"

#include "base/alloc.h"
#include "upstream/curl_error.h"
#include "upstream/curl_multi.h"
#include "upstream/curl_request.h"
#include "upstream/curl_response.h"
#include "upstream/curl_upload.h"

#include <stdio.h>

struct curl_transport {
  struct wr_transport base;
  struct wr_loop *loop;
  struct wr_resolver *resolver;
  struct wr_transport_curl_options options;
  struct wr_curl_multi multi;
  struct wr_list live; // struct curl_transfer, also those that ended in this turn
  struct wr_deferred close;
  bool is_closing;
  void (*on_closed)(void *ctx);
  void *on_closed_ctx;
};

// What the phase timer waits for.
enum phase { PHASE_CONNECT, PHASE_SEND, PHASE_FIRST_BYTE, PHASE_BODY };

struct curl_transfer {
  struct wr_transfer base;
  struct wr_list link;
  struct curl_transport *tr;
  struct wr_transfer_events events;
  void *ctx;
  struct wr_deferred work; // what may not be done where it was asked for; see on_work
  bool is_ended;           // told or cancelled: nothing is delivered any more

  char endpoint[288]; // for messages
  char method[32];
  uint16_t port;
  bool is_idempotent;
  struct wr_transfer_timeouts timeouts;

  struct wr_resolver_query query;
  struct wr_dns_answer addresses;
  size_t address_at;

  CURL *easy;
  bool is_added; // to the multi handle
  struct curl_slist *fields;
  struct curl_slist *route;
  char detail[CURL_ERROR_SIZE];

  curl_socket_t opened;    // by this transfer and not yet connected; CURL_SOCKET_BAD: none
  curl_socket_t own;       // the connection this transfer opened
  int sends;               // times the request was given to a connection
  bool is_spent;           // the pooled connection was not fit: start again on a fresh one
  struct wr_error failure; // found inside a callback of libcurl, which then ends with its own error

  struct wr_curl_upload upload;
  bool is_send_held; // the read callback said pause
  struct wr_curl_response response;
  bool is_paused;    // by on_data
  bool is_recv_held; // the write callback said pause
  bool is_early;     // complete before the request was: to be ended by us

  enum phase phase;
  struct wr_timer phase_timer;
  struct wr_timer total_timer;
  uint64_t started_ns;
  struct wr_transfer_stats stats;
};

static struct curl_transport *transport_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct curl_transport, base);
}

static struct curl_transfer *transfer_of(const struct wr_transfer *t)
{
  return WR_CONTAINER(t, struct curl_transfer, base);
}

// The end

static void leave_multi(struct curl_transfer *t)
{
  if (!t->is_added) return;
  t->is_added = false;
  curl_multi_remove_handle(t->tr->multi.curl, t->easy);
}

// Outside of libcurl only: removing a handle inside one of its callbacks is not allowed.
static void free_transfer(struct curl_transfer *t)
{
  leave_multi(t);
  if (t->easy) curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->fields);
  curl_slist_free_all(t->route);
  wr_curl_upload_fini(&t->upload);
  wr_curl_response_fini(&t->response);
  wr_loop_undefer(&t->work);
  wr_list_remove(&t->link);
  wr_free(t);
}

static void silence(struct curl_transfer *t)
{
  t->is_ended = true;
  wr_timer_stop(&t->phase_timer);
  wr_timer_stop(&t->total_timer);
  wr_resolver_cancel(&t->query);
  wr_loop_defer(t->tr->loop, &t->work);
}

static void finish(struct curl_transfer *t, const struct wr_error *error)
{
  if (t->is_ended) return;
  silence(t);
  struct wr_error copy = *error;
  t->events.on_end(t->ctx, &t->base, &copy);
}

static void complete(struct curl_transfer *t)
{
  finish(t, &(struct wr_error){.kind = WR_ERROR_NONE, .sent = WR_SENT_BODY});
}

static void describe(struct curl_transfer *t, struct wr_error *e, enum wr_error_kind kind,
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

static void fail(struct curl_transfer *t, enum wr_error_kind kind, const char *cause)
{
  struct wr_error error;
  describe(t, &error, kind, cause);
  finish(t, &error);
}

// Inside libcurl's callbacks: remembers why; the library then ends the transfer.
static void fail_later(struct curl_transfer *t, enum wr_error_kind kind, const char *cause)
{
  if (t->failure.kind == WR_ERROR_NONE) describe(t, &t->failure, kind, cause);
}

// Time

static void set_phase(struct curl_transfer *t, enum phase phase, uint64_t limit_ns)
{
  t->phase = phase;
  if (limit_ns > 0) {
    wr_timer_start(&t->phase_timer, limit_ns);
  } else {
    wr_timer_stop(&t->phase_timer);
  }
}

static void await_head(struct curl_transfer *t)
{
  if (t->response.is_final || t->phase == PHASE_FIRST_BYTE) return;
  set_phase(t, PHASE_FIRST_BYTE, t->timeouts.first_byte_ns);
}

static void await_body(struct curl_transfer *t)
{
  set_phase(t, PHASE_BODY, t->is_paused ? 0 : t->timeouts.between_bytes_ns);
}

// The addresses still untried share what is left of the time to connect.
static void await_connect(struct curl_transfer *t)
{
  if (t->timeouts.connect_ns == 0) {
    set_phase(t, PHASE_CONNECT, 0);
    return;
  }
  uint64_t end = t->started_ns + t->timeouts.connect_ns;
  uint64_t now = wr_loop_now(t->tr->loop);
  uint64_t untried = t->addresses.count > t->address_at ? t->addresses.count - t->address_at : 1;
  uint64_t left = end > now ? (end - now) / untried : 0;
  set_phase(t, PHASE_CONNECT, left ? left : 1);
}

static void fail_timeout(struct curl_transfer *t, const char *what, uint64_t limit_ns)
{
  char cause[80];
  snprintf(cause, sizeof(cause), "%s within %llu ms", what,
           (unsigned long long)(limit_ns / 1000000u));
  fail(t, WR_ERROR_TIMEOUT, cause);
}

static void on_total_timer(struct wr_timer *timer)
{
  struct curl_transfer *t = WR_CONTAINER(timer, struct curl_transfer, total_timer);
  uint64_t at = t->timeouts.total_at_ns;
  fail_timeout(t, "no complete response", at > t->started_ns ? at - t->started_ns : 0);
}

static bool try_next_address(struct curl_transfer *t);

static void on_phase_timer(struct wr_timer *timer)
{
  struct curl_transfer *t = WR_CONTAINER(timer, struct curl_transfer, phase_timer);
  switch (t->phase) {
  case PHASE_CONNECT:
    if (t->addresses.count == 0) {
      fail_timeout(t, "the name did not resolve", t->timeouts.connect_ns);
    } else if (!try_next_address(t)) {
      fail_timeout(t, "no connection", t->timeouts.connect_ns);
    }
    break;
  case PHASE_FIRST_BYTE: fail_timeout(t, "no response head", t->timeouts.first_byte_ns); break;
  case PHASE_BODY: fail_timeout(t, "no more of the body", t->timeouts.between_bytes_ns); break;
  case PHASE_SEND: WR_UNREACHABLE("sending has no timer");
  }
}

// Connections

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
  (void)purpose;
  struct curl_transfer *t = ctx;
  if (t->is_ended) return CURL_SOCKET_BAD;
  t->opened = wr_curl_multi_open(&t->tr->multi, address);
  // The library tries again by itself: connecting has its limit then too.
  if (t->sends > 0) set_phase(t, PHASE_CONNECT, t->timeouts.connect_ns);
  return t->opened;
}

static void note_address(struct curl_transfer *t, const char *ip, int port)
{
  snprintf(t->stats.address, sizeof(t->stats.address), strchr(ip, ':') ? "[%.45s]:%d" : "%.45s:%d",
           ip, port);
}

// Whether the request may be given to a connection once more.
static bool may_send(struct curl_transfer *t)
{
  if (t->sends == 0) return true;
  return t->sends == 1 && t->is_idempotent && wr_curl_upload_rewind(&t->upload);
}

// Called each time the library is about to send the request, the first time and any other.
static int on_prereq(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
  (void)local_ip;
  struct curl_transfer *t = ctx;
  if (t->is_ended || !may_send(t)) return CURL_PREREQFUNC_ABORT;
  bool is_fresh = t->opened != CURL_SOCKET_BAD;
  if (is_fresh) {
    wr_curl_multi_connected(&t->tr->multi, t->opened, local_port, port);
  } else if (wr_curl_multi_is_spent(&t->tr->multi, local_port, port)) {
    t->is_spent = true;
    return CURL_PREREQFUNC_ABORT;
  }
  t->own = t->opened;
  t->opened = CURL_SOCKET_BAD;
  t->sends++;
  t->is_send_held = false;
  t->stats.is_reused = !is_fresh;
  t->stats.connect_ns = wr_loop_now(t->tr->loop) - t->started_ns;
  note_address(t, ip, port);
  wr_curl_response_reset(&t->response);
  curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L); // should there be a second sending
  set_phase(t, PHASE_SEND, 0);
  if (wr_curl_upload_is_done(&t->upload)) await_head(t);
  return CURL_PREREQFUNC_OK;
}

static void enter_multi(struct curl_transfer *t)
{
  t->opened = t->own = CURL_SOCKET_BAD;
  t->is_added = true;
  WR_CHECK(curl_multi_add_handle(t->tr->multi.curl, t->easy) == CURLM_OK);
}

static void connect_to(struct curl_transfer *t)
{
  const struct wr_dns_address *address = &t->addresses.items[t->address_at];
  note_address(t, address->text, t->port);
  t->route = wr_curl_request_route(t->easy, t->route, address, t->port);
  await_connect(t);
  enter_multi(t);
}

static bool try_next_address(struct curl_transfer *t)
{
  if (t->sends > 0 || t->address_at + 1 >= t->addresses.count) return false;
  leave_multi(t);
  t->address_at++;
  connect_to(t);
  return true;
}

// Body up

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
  struct curl_transfer *t = ctx;
  if (t->is_ended) return CURL_READFUNC_ABORT;
  size_t got = wr_curl_upload_take(&t->upload, out, size * count);
  if (wr_curl_upload_is_done(&t->upload)) {
    await_head(t);
  } else if (got == 0) {
    t->is_send_held = true;
    return CURL_READFUNC_PAUSE;
  }
  t->stats.sent_bytes = t->upload.taken;
  if (t->upload.is_full && t->upload.buf.len <= WR_CURL_UPLOAD_LOW) {
    t->upload.is_full = false;
    if (!t->upload.is_ended && t->events.on_writable) t->events.on_writable(t->ctx, &t->base);
  }
  return t->is_ended ? CURL_READFUNC_ABORT : got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
  struct curl_transfer *t = ctx;
  bool is_start = origin == SEEK_SET && offset == 0;
  if (t->is_ended || !is_start || !wr_curl_upload_rewind(&t->upload)) return CURL_SEEKFUNC_FAIL;
  return CURL_SEEKFUNC_OK;
}

// Head and body down

// The response is whole although the request is not: libcurl would go on sending.
static void check_early(struct curl_transfer *t)
{
  const struct wr_head *head = &t->response.head;
  if (t->is_ended || t->is_early || wr_curl_upload_is_done(&t->upload)) return;
  bool is_whole =
      head->framing == WR_FRAMING_NONE ||
      (head->framing == WR_FRAMING_LENGTH && t->stats.received_bytes == head->content_length);
  if (!is_whole) return;
  t->is_early = true;
  wr_loop_defer(t->tr->loop, &t->work);
}

static bool begins_with(struct wr_str text, struct wr_str start)
{
  return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}

// Bytes behind a response that is chunked or has no body are dropped by libcurl, which keeps the
// connection and only says so in its debug text. So that is listened to for these responses.
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *ctx)
{
  (void)ctx;
  struct wr_str text = {data, size};
  if (type == CURLINFO_TEXT && (begins_with(text, WR_STR("Leftovers after chunking")) ||
                                begins_with(text, WR_STR("Excess found")))) {
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  return 0;
}

static void deliver_head(struct curl_transfer *t)
{
  const struct wr_head *head = &t->response.head;
  struct wr_transfer_head out = {
      .status = head->status,
      .minor = t->response.is_h2 ? 2 : head->minor,
      .headers = &head->headers,
      .has_length = head->has_content_length,
      .length = head->content_length,
  };
  if (t->response.is_h2 && t->own != CURL_SOCKET_BAD) {
    wr_curl_multi_is_h2(&t->tr->multi, t->own);
  }
  bool is_sized = head->framing == WR_FRAMING_LENGTH && head->content_length > 0;
  if (!is_sized) curl_easy_setopt(t->easy, CURLOPT_VERBOSE, 1L);
  t->stats.first_byte_ns = wr_loop_now(t->tr->loop) - t->started_ns;
  await_body(t);
  t->events.on_head(t->ctx, &t->base, &out);
  check_early(t);
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
  struct curl_transfer *t = ctx;
  size_t len = size * count;
  if (t->is_ended) return 0;
  struct wr_str line = {data, len};
  switch (wr_curl_response_line(&t->response, line, wr_str_of(t->method))) {
  case WR_CURL_RESPONSE_MORE: return len;
  case WR_CURL_RESPONSE_FINAL: deliver_head(t); return t->is_ended ? 0 : len;
  case WR_CURL_RESPONSE_BAD: fail_later(t, WR_ERROR_PROTOCOL, t->response.reason); return 0;
  }
  WR_UNREACHABLE("response status");
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
  struct curl_transfer *t = ctx;
  size_t len = size * count;
  if (t->is_ended) return 0;
  if (t->is_paused) {
    t->is_recv_held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!t->response.is_final) {
    fail_later(t, WR_ERROR_PROTOCOL, "a body without a head");
    return 0;
  }
  t->stats.received_bytes += len;
  if (!t->events.on_data(t->ctx, &t->base, (struct wr_str){data, len})) t->is_paused = true;
  if (t->is_ended) return 0;
  await_body(t);
  check_early(t);
  return len;
}

// Results

static void start_again(struct curl_transfer *t)
{
  t->is_spent = false;
  leave_multi(t);
  curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
  await_connect(t);
  enter_multi(t);
}

static const char *cause_of(struct curl_transfer *t, CURLcode result)
{
  bool is_refused_again = result == CURLE_ABORTED_BY_CALLBACK || result == CURLE_SEND_FAIL_REWIND;
  if (is_refused_again) return "the connection closed before a response";
  if (result == CURLE_GOT_NOTHING) return "the connection closed before a response";
  if (result == CURLE_PARTIAL_FILE) return "the connection closed before the response was complete";
  return wr_curl_error_cause(t->easy, result, t->detail);
}

static void settle(struct curl_transfer *t, CURLcode result)
{
  if (t->is_ended) return;
  if (t->is_spent) {
    start_again(t);
  } else if (t->failure.kind != WR_ERROR_NONE) {
    finish(t, &t->failure);
  } else if (result == CURLE_OK && t->response.is_final) {
    complete(t);
  } else if (result == CURLE_OK) {
    fail(t, WR_ERROR_RESET, "the connection closed before a response");
  } else if (result == CURLE_COULDNT_CONNECT && try_next_address(t)) {
    return;
  } else {
    fail(t, wr_curl_error_kind(result, t->detail), cause_of(t, result));
  }
}

static void on_done(CURL *easy, CURLcode result)
{
  char *ctx = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ctx);
  settle((struct curl_transfer *)(void *)ctx, result);
}

// What could not be done where it was asked for: at the end of the turn, outside of libcurl.

static void apply_pauses(struct curl_transfer *t)
{
  bool hold_recv = t->is_recv_held && t->is_paused;
  bool hold_send = t->is_send_held && t->upload.buf.len == 0 && !t->upload.is_ended;
  if (hold_recv == t->is_recv_held && hold_send == t->is_send_held) return;
  t->is_recv_held = hold_recv;
  t->is_send_held = hold_send;
  int mask = (hold_recv ? CURLPAUSE_RECV : 0) | (hold_send ? CURLPAUSE_SEND : 0);
  // Delivers what was held back, so anything may happen in here.
  CURLcode result = curl_easy_pause(t->easy, mask);
  if (result != CURLE_OK) settle(t, result);
}

static void on_work(struct wr_deferred *d)
{
  struct curl_transfer *t = WR_CONTAINER(d, struct curl_transfer, work);
  if (!t->is_ended) {
    if (t->failure.kind != WR_ERROR_NONE) {
      finish(t, &t->failure);
    } else if (t->is_early) {
      complete(t);
    } else if (t->is_added) {
      apply_pauses(t);
    }
  }
  if (t->is_ended) free_transfer(t);
}

// Starting

static bool set_callbacks(struct curl_transfer *t)
{
  CURL *easy = t->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->detail);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, t);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
  curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
  wr_curl_multi_attach(&t->tr->multi, easy, on_open, t);
  // Not every build has it, and without it nothing guards against a second sending.
  return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq) == CURLE_OK;
}

static void on_resolved(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                        const struct wr_error *error)
{
  struct curl_transfer *t = WR_CONTAINER(q, struct curl_transfer, query);
  if (answer == NULL) {
    fail(t, WR_ERROR_DNS, error->message);
    return;
  }
  t->addresses = *answer;
  connect_to(t);
}

static void name_endpoint(struct curl_transfer *t, const struct wr_transfer_request *rq)
{
  bool is_ipv6 = rq->host.len > 0 && memchr(rq->host.ptr, ':', rq->host.len) != NULL;
  snprintf(t->endpoint, sizeof(t->endpoint), is_ipv6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u",
           rq->is_https ? "https" : "http", WR_STR_ARG(rq->host), (unsigned)rq->port);
}

static struct curl_transfer *new_transfer(struct curl_transport *tr,
                                          const struct wr_transfer_request *rq)
{
  struct curl_transfer *t = wr_alloc(sizeof(*t));
  t->base.transport = &tr->base;
  t->tr = tr;
  t->events = *rq->events;
  t->ctx = rq->ctx;
  t->port = rq->port;
  t->is_idempotent = rq->is_idempotent;
  t->timeouts = rq->timeouts;
  t->started_ns = wr_loop_now(tr->loop);
  t->opened = t->own = CURL_SOCKET_BAD;
  name_endpoint(t, rq);
  snprintf(t->method, sizeof(t->method), "%.*s", WR_STR_ARG(rq->method));
  wr_deferred_init(&t->work, on_work);
  wr_timer_init(&t->phase_timer, tr->loop, on_phase_timer);
  wr_timer_init(&t->total_timer, tr->loop, on_total_timer);
  wr_curl_upload_init(&t->upload, rq);
  wr_curl_response_init(&t->response);
  wr_list_push(&tr->live, &t->link);
  return t;
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct curl_transport *tr = transport_of(transport);
  struct curl_transfer *t = new_transfer(tr, rq);
  const char *refused = wr_curl_request_check(rq);
  if (tr->is_closing) refused = "the transport is closing";
  if (refused) {
    fail_later(t, WR_ERROR_INVALID, refused);
    wr_loop_defer(tr->loop, &t->work);
    return &t->base;
  }
  t->easy = curl_easy_init();
  WR_CHECK(t->easy != NULL && set_callbacks(t));
  t->fields = wr_curl_request_apply(rq, &tr->options, t->easy);
  if (t->timeouts.total_at_ns > 0) wr_timer_start_at(&t->total_timer, t->timeouts.total_at_ns);
  await_connect(t);
  wr_resolver_query(tr->resolver, rq->host, &t->query, on_resolved);
  return &t->base;
}

static bool write_body(struct wr_transfer *transfer, struct wr_str data)
{
  struct curl_transfer *t = transfer_of(transfer);
  const char *reason;
  if (t->is_ended) return true;
  if (!wr_curl_upload_write(&t->upload, data, &reason)) fail_later(t, WR_ERROR_INVALID, reason);
  wr_loop_defer(t->tr->loop, &t->work);
  return !t->upload.is_full;
}

static void write_end(struct wr_transfer *transfer)
{
  struct curl_transfer *t = transfer_of(transfer);
  const char *reason;
  if (t->is_ended || t->upload.is_ended) return;
  if (!wr_curl_upload_end(&t->upload, &reason)) fail_later(t, WR_ERROR_INVALID, reason);
  wr_loop_defer(t->tr->loop, &t->work);
}

static void resume(struct wr_transfer *transfer)
{
  struct curl_transfer *t = transfer_of(transfer);
  if (t->is_ended || !t->is_paused) return;
  t->is_paused = false;
  await_body(t);
  wr_loop_defer(t->tr->loop, &t->work);
}

static void cancel(struct wr_transfer *transfer)
{
  struct curl_transfer *t = transfer_of(transfer);
  if (!t->is_ended) silence(t);
}

static const struct wr_transfer_stats *stats(const struct wr_transfer *transfer)
{
  return &transfer_of(transfer)->stats;
}

// Life of the transport

static void on_multi_closed(struct wr_curl_multi *m)
{
  struct curl_transport *tr = WR_CONTAINER(m, struct curl_transport, multi);
  void (*on_closed)(void *) = tr->on_closed;
  void *ctx = tr->on_closed_ctx;
  wr_free(tr);
  curl_global_cleanup();
  if (on_closed) on_closed(ctx);
}

static void on_close(struct wr_deferred *d)
{
  struct curl_transport *tr = WR_CONTAINER(d, struct curl_transport, close);
  WR_LIST_EACH(&tr->live, node)
  {
    struct curl_transfer *t = WR_CONTAINER(node, struct curl_transfer, link);
    cancel(&t->base);
    free_transfer(t);
  }
  wr_curl_multi_close(&tr->multi, on_multi_closed);
}

static void close_transport(struct wr_transport *transport, void (*on_closed)(void *ctx), void *ctx)
{
  struct curl_transport *tr = transport_of(transport);
  WR_CHECK(!tr->is_closing);
  tr->is_closing = true;
  tr->on_closed = on_closed;
  tr->on_closed_ctx = ctx;
  wr_loop_defer(tr->loop, &tr->close);
}

static const struct wr_transport_ops ops = {
    .name = "curl",
    .start = start,
    .write = write_body,
    .write_end = write_end,
    .resume = resume,
    .cancel = cancel,
    .stats = stats,
    .close = close_transport,
};

struct wr_transport *wr_transport_curl_new(struct wr_loop *l, struct wr_resolver *resolver,
                                           const struct wr_transport_curl_options *options)
{
  WR_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
  struct curl_transport *tr = wr_alloc(sizeof(*tr));
  tr->base.ops = &ops;
  tr->loop = l;
  tr->resolver = resolver;
  if (options) tr->options = *options;
  if (tr->options.connections_max == 0) tr->options.connections_max = 256;
  uint64_t idle_s = tr->options.idle_ns ? tr->options.idle_ns / 1000000000u : 4;
  // libcurl counts whole seconds and lets pass what has not idled for more than it was told.
  tr->options.idle_s = idle_s > 1 ? (unsigned)idle_s - 1 : 0;
  wr_list_init(&tr->live);
  wr_deferred_init(&tr->close, on_close);
  wr_curl_multi_init(&tr->multi, l, (long)tr->options.endpoint_connections_max,
                     (long)tr->options.connections_max);
  tr->multi.on_done = on_done;
  return &tr->base;
}
