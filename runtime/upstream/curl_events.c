#include "upstream/curl_events.h"

#include <sys/socket.h>

// NOLINTBEGIN(readability-non-const-parameter): the types of the callbacks are libcurl's.

// Connections

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
  (void)purpose;
  struct wr_curl_transfer *t = ctx;
  if (t->is_ended) return CURL_SOCKET_BAD;
  t->opened = wr_curl_multi_open(&t->tr->multi, address);
  // The library tries again by itself: connecting has its limit then too.
  if (t->sends > 0) wr_curl_transfer_set_phase(t, WR_CURL_PHASE_CONNECT, t->timeouts.connect_ns);
  return t->opened;
}

// The preamble goes out where libcurl has connected and sent nothing: over TLS before the
// handshake, else before the request. A socket that is new takes it whole. libcurl's own
// (HAPROXYPROTOCOL) is of version 1 and names its own socket as the client.
static bool send_preamble(const struct wr_curl_transfer *t)
{
  if (t->preamble_len == 0) return true;
  ssize_t sent = send(t->opened, t->preamble, t->preamble_len, MSG_NOSIGNAL);
  return sent == (ssize_t)t->preamble_len;
}

static CURLcode on_tls(CURL *easy, void *tls, void *ctx)
{
  (void)easy;
  (void)tls;
  return send_preamble(ctx) ? CURLE_OK : CURLE_SEND_ERROR;
}

// Whether the request may be given to a connection once more.
static bool may_send(struct wr_curl_transfer *t)
{
  if (t->sends == 0) return true;
  return t->sends == 1 && t->is_idempotent && wr_upload_rewind(&t->upload);
}

// Called each time the library is about to send the request, the first time and any other.
static int on_prereq(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
  (void)local_ip;
  struct wr_curl_transfer *t = ctx;
  if (t->is_ended || !may_send(t)) return CURL_PREREQFUNC_ABORT;
  bool is_fresh = t->opened != CURL_SOCKET_BAD;
  if (is_fresh && !t->is_https && !send_preamble(t)) return CURL_PREREQFUNC_ABORT;
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
  t->stats.connect_ns = wr_loop_now(t->tr->base.loop) - t->started_ns;
  wr_curl_transfer_note_address(t, ip, port);
  wr_curl_response_reset(&t->response);
  curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L); // should there be a second sending
  wr_curl_transfer_set_phase(t, WR_CURL_PHASE_SEND, 0);
  if (wr_upload_is_done(&t->upload)) wr_curl_transfer_await_head(t);
  return CURL_PREREQFUNC_OK;
}

// Body up

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
  struct wr_curl_transfer *t = ctx;
  if (t->is_ended) return CURL_READFUNC_ABORT;
  size_t got = wr_upload_take(&t->upload, out, size * count);
  if (wr_upload_is_done(&t->upload)) {
    wr_curl_transfer_await_head(t);
  } else if (got == 0) {
    t->is_send_held = true;
    return CURL_READFUNC_PAUSE;
  }
  t->stats.sent_bytes = t->upload.taken;
  if (t->upload.is_full && t->upload.buf.len <= WR_TRANSFER_UPLOAD_LOW) {
    t->upload.is_full = false;
    if (!t->upload.is_ended && t->events.on_writable) t->events.on_writable(t->ctx, &t->base);
  }
  return t->is_ended ? CURL_READFUNC_ABORT : got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
  struct wr_curl_transfer *t = ctx;
  bool is_start = origin == SEEK_SET && offset == 0;
  if (t->is_ended || !is_start || !wr_upload_rewind(&t->upload)) return CURL_SEEKFUNC_FAIL;
  return CURL_SEEKFUNC_OK;
}

// Head and body down

// The response is whole although the request is not: libcurl would go on sending.
static void check_early(struct wr_curl_transfer *t)
{
  const struct wr_head *head = &t->response.head;
  if (t->is_ended || t->is_early || wr_upload_is_done(&t->upload)) return;
  bool is_whole =
      head->framing == WR_FRAMING_NONE ||
      (head->framing == WR_FRAMING_LENGTH && t->stats.received_bytes == head->content_length);
  if (!is_whole) return;
  t->is_early = true;
  wr_loop_defer(t->tr->base.loop, &t->work);
}

// Bytes behind a response that is chunked or has no body are dropped by libcurl, which keeps the
// connection and only says so in its debug text. So that is listened to for these responses.
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *ctx)
{
  (void)ctx;
  struct wr_str text = {data, size};
  if (type == CURLINFO_TEXT && (wr_str_begins(text, WR_STR("Leftovers after chunking")) ||
                                wr_str_begins(text, WR_STR("Excess found")))) {
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  return 0;
}

static void deliver_head(struct wr_curl_transfer *t)
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
  t->stats.first_byte_ns = wr_loop_now(t->tr->base.loop) - t->started_ns;
  wr_curl_transfer_await_body(t);
  t->events.on_head(t->ctx, &t->base, &out);
  check_early(t);
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
  struct wr_curl_transfer *t = ctx;
  size_t len = size * count;
  if (t->is_ended) return 0;
  struct wr_str line = {data, len};
  switch (wr_curl_response_line(&t->response, line, wr_str_of(t->method))) {
  case WR_CURL_RESPONSE_MORE: return len;
  case WR_CURL_RESPONSE_FINAL: deliver_head(t); return t->is_ended ? 0 : len;
  case WR_CURL_RESPONSE_BAD:
    wr_curl_transfer_fail_later(t, WR_ERROR_PROTOCOL, t->response.reason);
    return 0;
  }
  WR_UNREACHABLE("response status");
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
  struct wr_curl_transfer *t = ctx;
  size_t len = size * count;
  if (t->is_ended) return 0;
  if (t->is_paused) {
    t->is_recv_held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!t->response.is_final) {
    wr_curl_transfer_fail_later(t, WR_ERROR_PROTOCOL, "a body without a head");
    return 0;
  }
  t->stats.received_bytes += len;
  if (!t->events.on_data(t->ctx, &t->base, (struct wr_str){data, len})) t->is_paused = true;
  if (t->is_ended) return 0;
  wr_curl_transfer_await_body(t);
  check_early(t);
  return len;
}

// NOLINTEND(readability-non-const-parameter)

bool wr_curl_events_set(struct wr_curl_transfer *t)
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
  if (t->is_https && t->preamble_len > 0) {
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
  }
  wr_curl_multi_attach(&t->tr->multi, easy, on_open, t);
  // Not every build has it, and without it nothing guards against a second sending.
  return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq) == CURLE_OK;
}
