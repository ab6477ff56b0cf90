#pragma once
/// TLS of the connections that a worker's own transports open: what all of them share, and how one
/// begins.
///
/// One worker's loop.

#include "http/tls_session.h"
#include "upstream/transport.h"

enum {
  WR_OUTBOUND_TLS_NAME = 264, ///< longest name and its NUL
  WR_OUTBOUND_TLS_KEY = WR_CLIENT_TLS_DIGEST + WR_OUTBOUND_TLS_NAME,
};

struct wr_outbound_tls;

/// `ca_file`: PEM file of trusted roots; NULL: those that libcurl takes. They are read when an
/// upstream without a `ca` of its own is first connected to, and no more.
struct wr_outbound_tls *wr_outbound_tls_new(const char *ca_file);

/// Frees it; its connections must be closed. NULL is fine.
void wr_outbound_tls_free(struct wr_outbound_tls *o);

/// The settings that a request comes with, or those of one that has none; borrowed.
struct wr_client_tls *wr_outbound_tls_of(const struct wr_outbound_tls *o,
                                         const struct wr_transfer_request *rq);

/// The name that a request's endpoint must prove: as set, or its authority's host. False when that
/// is none.
bool wr_outbound_tls_name(const struct wr_transfer_request *rq, char name[WR_OUTBOUND_TLS_NAME]);

/// Writes what connections must have in common to be shared; returns its length.
size_t wr_outbound_tls_key(const struct wr_client_tls *tls, const char *name,
                           char key[WR_OUTBOUND_TLS_KEY]);

/// What one connection asks for; everything is borrowed.
struct wr_outbound_tls_ask {
  struct wr_client_tls *tls;
  const char *name;
  enum wr_tls_protocol protocol;
  struct wr_str preamble; ///< goes out first
  struct wr_str resume;   ///< its sessions are kept under this; absent: they are not
};

/// Begins on a socket that has just connected and said nothing. False with a set error.
bool wr_outbound_tls_begin(struct wr_outbound_tls *o, struct wr_channel *ch,
                           const struct wr_outbound_tls_ask *ask, struct wr_error *error);

/// What a step of a handshake may read into, and what it found.
struct wr_outbound_tls_step {
  char *to;
  size_t room;        ///< and WR_CHANNEL_SLACK bytes more
  bool is_failed;     ///< the loop tells nothing more of the socket
  size_t got;         ///< READY: bytes of what follows the handshake
  const char *reason; ///< FAILED: until the channel is freed
};

/// Makes progress with the handshake: sends what waits, reads what came. SHAKING: wait until the
/// channel can be read, and written to if it has bytes unsent.
enum wr_tls_state wr_outbound_tls_step(struct wr_channel *ch, struct wr_outbound_tls_step *step);
