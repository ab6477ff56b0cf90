#pragma once
/// TLS on one connection, as its server or as its client: the other implementation of a channel
/// (channel.h).
///
/// OpenSSL never sees the socket. A read takes what has come, up to what was asked for, into memory
/// that all connections of a server share, and opens every whole record of it; sending seals up to
/// 64 KiB there and hands that to the socket with one system call. What the socket does not take is
/// kept until it does, and no more is sealed before. So an idle connection has no buffers, and
/// nothing waits inside OpenSSL but the part of a record that is not whole.

#include "http/channel.h"
#include "http/tls.h"
#include "http/tls_facts.h"
#include "http/tls_origin.h"

/// Memory that the connections of a server use one after the other.
struct wr_tls_work;

/// One for each server.
struct wr_tls_work *wr_tls_work_new(void);

/// Frees it; NULL is fine.
void wr_tls_work_free(struct wr_tls_work *w);

enum wr_tls_state { WR_TLS_SHAKING, WR_TLS_READY, WR_TLS_FAILED };

/// Begins a handshake on the channel as its server. `tls` gets a holder more, `work` is borrowed.
void wr_tls_session_open(struct wr_channel *ch, struct wr_tls *tls, struct wr_tls_work *work);

/// Begins one as its client, and sends its first message. `ask` is borrowed but for its origin,
/// which gets a holder more. A server's certificate has been verified when the state is READY, and
/// what it chose by ALPN is among the facts.
void wr_tls_session_connect(struct wr_channel *ch, const struct wr_tls_ask *ask,
                            struct wr_tls_work *work);

/// Progress is made by reading.
enum wr_tls_state wr_tls_session_state(const struct wr_channel *ch);

/// Why it failed, if it has; else WR_TLS_CLOSED. As a client also why it broke later.
enum wr_tls_failure wr_tls_session_failure(const struct wr_channel *ch);

/// As a client: why it failed or broke, as text; until the session is freed.
const char *wr_tls_session_reason(const struct wr_channel *ch);

/// Says that we send no more (close_notify). What comes is still read.
void wr_tls_session_shut(struct wr_channel *ch);

/// Sends text in the clear to a client that does not speak TLS.
void wr_tls_session_say_plain(struct wr_channel *ch, struct wr_str text);

/// What is known since the handshake; constant, until the session is freed.
const struct wr_tls_facts *wr_tls_session_facts(const struct wr_channel *ch);

/// As those of channel.h, which call them.
ssize_t wr_tls_session_read(struct wr_channel *ch, char *to, size_t room);
ssize_t wr_tls_session_send(struct wr_channel *ch, struct iovec *pieces, size_t count);
bool wr_tls_session_flush(struct wr_channel *ch);
void wr_tls_session_finish(struct wr_channel *ch);
void wr_tls_session_close(struct wr_channel *ch, bool reset);
void wr_tls_session_free(struct wr_channel *ch);
