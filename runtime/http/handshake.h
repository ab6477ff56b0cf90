#pragma once
/// The time between accepting a client over TLS and its first request. Private to http/.

#include "http/connection.h"

/// What becomes of the connection.
enum wr_handshake {
  WR_HANDSHAKE_WAIT,
  WR_HANDSHAKE_DONE,
  WR_HANDSHAKE_LINGER, ///< failed, and the client should get to read why
  WR_HANDSHAKE_CLOSE,  ///< failed, and nobody listens
};

/// Looks how far it is, and counts it once it is over; forgets a failure of the connection that is
/// the handshake's.
enum wr_handshake wr_handshake_judge(struct wr_connection *c);
