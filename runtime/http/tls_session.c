#include "http/tls_session.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "http/tls_client.h"
#include "http/tls_fault.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH,
  READ_MIN = 4 * 1024,  // a record should not come in crumbs when little is asked for
  READ_MAX = 64 * 1024, // what a channel's owner may ask for
  SEAL_MAX = 64 * 1024, // sealed before the socket is asked to take it
};

// A record that was not whole may come on top of what is asked for.
_Static_assert(WR_CHANNEL_SLACK >= READ_MIN + 18 * 1024, "room for READ_MIN and a record");

struct wr_tls_work {
  BIO_METHOD *method;
  BIO *bio;             // of all sessions: it keeps nothing from one call to the next
  struct wr_str window; // what came and OpenSSL has not taken; empty outside of a read
  struct wr_buf out;    // records on their way
  char in[READ_MAX + READ_MIN];
  char stage[RECORD_MAX]; // small pieces that share a record
};

struct wr_tls_session {
  SSL *ssl;
  struct wr_tls_work *work;
  struct wr_buf kept; // sealed, and not taken by the socket
  enum wr_tls_state state;
  enum wr_tls_failure failure;
  bool is_client;   // we are
  bool is_begun;    // a first byte came
  bool is_broken;   // no more TLS on this socket
  bool is_mute;     // as a client: the socket takes no more; what came may still be read
  bool is_finished; // our side is over; what comes is thrown away
  struct wr_tls_facts facts;
  struct wr_tls_origin *origin; // as a client
  char *reason;                 // as a client: why it broke
};

// --- between OpenSSL and our memory -------------------------------------------------------------

static int on_bio_read(BIO *bio, char *to, int len)
{
  struct wr_tls_work *w = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (w->window.len == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t take = (size_t)len < w->window.len ? (size_t)len : w->window.len;
  memcpy(to, w->window.ptr, take);
  w->window.ptr += take;
  w->window.len -= take;
  return (int)take;
}

static int on_bio_write(BIO *bio, const char *from, int len)
{
  struct wr_tls_work *w = BIO_get_data(bio);
  return wr_buf_append(&w->out, from, (size_t)len) ? len : -1;
}

static long on_bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
  (void)bio;
  (void)number;
  (void)pointer;
  return what == BIO_CTRL_FLUSH;
}

struct wr_tls_work *wr_tls_work_new(void)
{
  struct wr_tls_work *w = wr_alloc(sizeof(*w));
  w->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir channel");
  WR_CHECK(w->method != NULL);
  BIO_meth_set_read(w->method, on_bio_read);
  BIO_meth_set_write(w->method, on_bio_write);
  BIO_meth_set_ctrl(w->method, on_bio_ctrl);
  w->bio = BIO_new(w->method);
  WR_CHECK(w->bio != NULL);
  BIO_set_data(w->bio, w);
  BIO_set_init(w->bio, 1);
  wr_buf_init(&w->out, 1 << 20);
  return w;
}

void wr_tls_work_free(struct wr_tls_work *w)
{
  if (w == NULL) return;
  BIO_free(w->bio);
  BIO_meth_free(w->method);
  wr_buf_fini(&w->out);
  wr_free(w);
}

// --- faults -------------------------------------------------------------------------------------

static void break_off(struct wr_channel *ch, enum wr_tls_failure failure, const char *fault)
{
  struct wr_tls_session *s = ch->tls;
  s->is_broken = true;
  ch->fault = fault;
  if (s->is_client) s->failure = failure; // its owner asks when it has shaken hands, too
  if (s->state != WR_TLS_SHAKING) return;
  s->state = WR_TLS_FAILED;
  s->failure = failure;
}

static void give_reason(struct wr_tls_session *s, unsigned long error)
{
  char text[WR_TLS_FAULT_SIZE];
  if (!s->is_client || s->reason != NULL) return;
  wr_tls_fault_tell(text, s->ssl, error);
  s->reason = wr_strdup(text);
}

// --- sending ------------------------------------------------------------------------------------

// What a server said before it closed may tell why, and is still read.
static void fall_mute(struct wr_channel *ch)
{
  ch->tls->is_mute = true;
  wr_buf_fini(&ch->tls->kept);
  ch->unsent = 0;
}

// Gives the socket what it takes. Negative when it is broken.
static ssize_t push(struct wr_channel *ch, struct wr_str data)
{
  ssize_t took;
  do {
    took = send(ch->fd, data.ptr, data.len, MSG_NOSIGNAL);
  } while (took < 0 && errno == EINTR);
  if (took >= 0) return took;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  if (ch->tls->is_client) {
    fall_mute(ch);
  } else {
    break_off(ch, WR_TLS_CLOSED, "the client closed the connection");
  }
  return -1;
}

bool wr_tls_session_flush(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  if (s->kept.len == 0) return true;
  ssize_t took = push(ch, wr_buf_str(&s->kept));
  if (took < 0) return false;
  wr_buf_drop(&s->kept, (size_t)took);
  ch->unsent = s->kept.len;
  if (s->kept.len > 0) return true;
  wr_buf_fini(&s->kept);
  if (s->is_finished) shutdown(ch->fd, SHUT_WR);
  return true;
}

// Sends the records that OpenSSL has made just now, after those that wait already.
static bool send_records(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  struct wr_buf *out = &s->work->out;
  if (out->len == 0) return true;
  ssize_t took = -1;
  if (!s->is_mute) took = s->kept.len > 0 ? 0 : push(ch, wr_buf_str(out));
  if (took >= 0) {
    wr_buf_drop(out, (size_t)took);
    WR_CHECK(wr_buf_append_str(&s->kept, wr_buf_str(out)));
  }
  wr_buf_clear(out);
  ch->unsent = s->kept.len;
  return took >= 0;
}

// The next record's worth of the pieces, as one piece: in place when that is whole, else gathered.
static struct wr_str gather(struct wr_tls_work *w, struct iovec **pieces, size_t *count)
{
  size_t len = 0;
  while (*count > 0 && len < RECORD_MAX) {
    struct iovec *piece = *pieces;
    size_t take = piece->iov_len < RECORD_MAX - len ? piece->iov_len : RECORD_MAX - len;
    char *from = piece->iov_base;
    piece->iov_base = from + take;
    piece->iov_len -= take;
    if (piece->iov_len == 0) {
      (*pieces)++;
      (*count)--;
    }
    if (len == 0 && (take == RECORD_MAX || *count == 0)) return (struct wr_str){from, take};
    memcpy(w->stage + len, from, take);
    len += take;
  }
  return (struct wr_str){w->stage, len};
}

ssize_t wr_tls_session_send(struct wr_channel *ch, struct iovec *pieces, size_t count)
{
  struct wr_tls_session *s = ch->tls;
  if (s->is_broken || s->is_finished || s->is_mute || !wr_tls_session_flush(ch)) return -1;
  ssize_t taken = 0;
  while (count > 0 && ch->unsent == 0) {
    while (count > 0 && s->work->out.len < SEAL_MAX) {
      struct wr_str piece = gather(s->work, &pieces, &count);
      if (piece.len == 0) continue;
      ERR_clear_error();
      if (SSL_write(s->ssl, piece.ptr, (int)piece.len) != (int)piece.len) {
        give_reason(s, ERR_peek_error());
        break_off(ch, WR_TLS_PROTOCOL, "the TLS connection is broken");
        wr_buf_clear(&s->work->out);
        return -1;
      }
      taken += (ssize_t)piece.len;
    }
    if (!send_records(ch)) return -1;
  }
  return taken;
}

// --- reading ------------------------------------------------------------------------------------

static void know_client(struct wr_tls_session *s)
{
  struct wr_tls_facts *f = &s->facts;
  const char *sni = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
  if (sni) f->sni = wr_strdup(sni);
  for (char *at = f->sni; at && *at; at++) *at = wr_str_lower(*at);
  f->is_told = wr_tls_is_told(f->tls);
  f->certificate = wr_tls_chosen(s->ssl);
  X509 *client = SSL_get0_peer_certificate(s->ssl);
  bool is_good = client && SSL_get_verify_result(s->ssl) == X509_V_OK;
  if (is_good) f->client = wr_tls_client_read(client);
}

static void know(struct wr_tls_session *s)
{
  struct wr_tls_facts *f = &s->facts;
  const unsigned char *protocol = NULL;
  unsigned len = 0;
  SSL_get0_alpn_selected(s->ssl, &protocol, &len);
  f->version = SSL_version(s->ssl) == TLS1_3_VERSION ? "1.3" : "1.2";
  f->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(s->ssl));
  if (len > 0) f->protocol = (struct wr_str){(const char *)protocol, len};
  f->is_resumed = SSL_session_reused(s->ssl) == 1;
  if (!s->is_client) know_client(s);
}

// Opens the records of the window. The count of bytes, or as wr_channel_read.
static ssize_t open_records(struct wr_channel *ch, char *to, size_t size)
{
  struct wr_tls_session *s = ch->tls;
  size_t total = 0;
  int got = 1;
  while (got > 0 && total < size) {
    ERR_clear_error();
    got = SSL_read(s->ssl, to + total, (int)(size - total));
    if (got > 0) total += (size_t)got;
  }
  int status = got > 0 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, got);
  if (s->state == WR_TLS_SHAKING && SSL_is_init_finished(s->ssl)) {
    s->state = WR_TLS_READY;
    know(s);
  }
  if (status == SSL_ERROR_ZERO_RETURN) {
    ch->is_ended = true;
    s->work->window.len = 0; // nothing that follows close_notify counts
  } else if (status != SSL_ERROR_WANT_READ) {
    // Success would mean that bytes wait in OpenSSL, which nobody would be told of: there is room
    // for all that can have come.
    give_reason(s, ERR_peek_error());
    break_off(ch, wr_tls_fault_of(ERR_peek_error()), "the client broke the rules of TLS");
  }
  ERR_clear_error();
  send_records(ch);
  if (s->is_broken) return WR_CHANNEL_BROKEN;
  if (total > 0) return (ssize_t)total;
  return ch->is_ended ? 0 : WR_CHANNEL_AGAIN;
}

static bool is_upper(char c)
{
  return c >= 'A' && c <= 'Z';
}

// A first byte that begins no handshake begins no record either; a server may begin with an alert.
static bool is_foreign(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  if (s->is_begun) return false;
  s->is_begun = true;
  char first = s->work->window.ptr[0];
  if (first == SSL3_RT_HANDSHAKE || (s->is_client && first == SSL3_RT_ALERT)) return false;
  s->work->window.len = 0;
  if (s->is_client) s->reason = wr_strdup("it does not speak TLS");
  break_off(ch, is_upper(first) ? WR_TLS_PLAIN : WR_TLS_PROTOCOL, "the client does not speak TLS");
  return true;
}

static ssize_t receive(struct wr_channel *ch, char *to, size_t room)
{
  ssize_t got = read(ch->fd, to, room);
  ch->is_dry = got < 0;
  if (got >= 0) return got;
  if (errno == EAGAIN || errno == EINTR) return WR_CHANNEL_AGAIN;
  break_off(ch, WR_TLS_CLOSED, "the client reset the connection");
  return WR_CHANNEL_BROKEN;
}

ssize_t wr_tls_session_read(struct wr_channel *ch, char *to, size_t room)
{
  struct wr_tls_session *s = ch->tls;
  if (s->is_finished) return receive(ch, to, room);
  if (s->is_broken) return WR_CHANNEL_BROKEN;
  if (ch->is_ended) return 0;
  size_t want = room < READ_MIN ? READ_MIN : room;
  WR_CHECK(want <= sizeof(s->work->in));
  ssize_t got = receive(ch, s->work->in, want);
  if (got < 0) return got;
  if (got == 0) {
    // RFC 8446 6.1: an end without close_notify may be somebody else's doing.
    break_off(ch, WR_TLS_CLOSED, "the client cut the connection off");
    return WR_CHANNEL_BROKEN;
  }
  s->work->window = (struct wr_str){s->work->in, (size_t)got};
  if (is_foreign(ch)) return WR_CHANNEL_BROKEN;
  ssize_t opened = open_records(ch, to, room + WR_CHANNEL_SLACK);
  s->work->window = (struct wr_str){NULL, 0}; // the next to read is somebody else
  return opened;
}

// --- life ---------------------------------------------------------------------------------------

static struct wr_tls_session *begin(struct wr_channel *ch, SSL *ssl, struct wr_tls_work *work)
{
  struct wr_tls_session *s = wr_alloc(sizeof(*s));
  s->work = work;
  s->ssl = ssl;
  BIO_up_ref(work->bio);
  SSL_set_bio(s->ssl, work->bio, work->bio);
  wr_buf_init(&s->kept, 1 << 20);
  ch->tls = s;
  return s;
}

void wr_tls_session_open(struct wr_channel *ch, struct wr_tls *tls, struct wr_tls_work *work)
{
  begin(ch, wr_tls_begin(tls), work)->facts.tls = wr_tls_ref(tls);
}

void wr_tls_session_connect(struct wr_channel *ch, const struct wr_tls_ask *ask,
                            struct wr_tls_work *work)
{
  struct wr_tls_session *s = begin(ch, wr_tls_origin_begin(ask), work);
  s->is_client = true;
  s->origin = wr_tls_origin_ref(ask->origin);
  ERR_clear_error();
  SSL_do_handshake(s->ssl); // its first message; all else takes an answer
  ERR_clear_error();
  send_records(ch);
}

void wr_tls_session_say_plain(struct wr_channel *ch, struct wr_str text)
{
  WR_CHECK(ch->tls->is_broken);
  push(ch, text);
}

enum wr_tls_state wr_tls_session_state(const struct wr_channel *ch)
{
  return ch->tls->state;
}

enum wr_tls_failure wr_tls_session_failure(const struct wr_channel *ch)
{
  return ch->tls->failure;
}

const char *wr_tls_session_reason(const struct wr_channel *ch)
{
  const char *reason = ch->tls->reason;
  return reason ? reason : "the connection closed during the TLS handshake";
}

const struct wr_tls_facts *wr_tls_session_facts(const struct wr_channel *ch)
{
  return &ch->tls->facts;
}

static void notify(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  if (s->is_broken || s->is_finished || s->is_mute || s->state != WR_TLS_READY) return;
  ERR_clear_error();
  SSL_shutdown(s->ssl);
  ERR_clear_error();
  send_records(ch);
}

void wr_tls_session_shut(struct wr_channel *ch)
{
  notify(ch);
}

void wr_tls_session_finish(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  notify(ch);
  s->is_finished = true;
  if (s->kept.len == 0) shutdown(ch->fd, SHUT_WR);
}

void wr_tls_session_close(struct wr_channel *ch, bool reset)
{
  struct wr_tls_session *s = ch->tls;
  if (!reset) notify(ch);
  SSL_free(s->ssl);
  s->ssl = NULL;
  s->is_broken = true;
  wr_buf_fini(&s->kept);
  ch->unsent = 0;
}

void wr_tls_session_free(struct wr_channel *ch)
{
  struct wr_tls_session *s = ch->tls;
  wr_tls_client_free(s->facts.client);
  wr_free(s->facts.sni);
  wr_tls_unref(s->facts.tls);
  wr_tls_origin_unref(s->origin);
  wr_free(s->reason);
  wr_free(s);
  ch->tls = NULL;
}
