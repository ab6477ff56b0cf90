#pragma once
/// HTTP/2 on a client connection (RFC 9113): what connection.c needs to know of it. Private to
/// http/.

#include "http/connection.h"

enum wr_h2_preface {
  WR_H2_PREFACE_NO,    ///< something else
  WR_H2_PREFACE_MAYBE, ///< a beginning of it
  WR_H2_PREFACE_YES,
};

/// Is this how an HTTP/2 client begins (RFC 9113 3.4)?
enum wr_h2_preface wr_h2_preface(struct wr_str bytes);

/// Goes over to HTTP/2: the preface is the next input. Our SETTINGS leave with the next `advance`.
void wr_h2_open(struct wr_connection *c);

/// Does all that can be done now. Calls hooks. True when anything changed.
bool wr_h2_step(struct wr_connection *c);

/// The socket is gone: whoever works on a stream hears it. Calls hooks. True when anything changed.
bool wr_h2_step_closed(struct wr_connection *c);

/// Is anybody above still at work?
bool wr_h2_is_busy(const struct wr_connection *c);

/// Says that the connection ends, and lets requests that are under way or on their way finish.
void wr_h2_drain(struct wr_connection *c);

/// When it has waited too long for what has to come; UINT64_MAX: for nothing.
uint64_t wr_h2_deadline(const struct wr_connection *c);

/// That time has passed.
void wr_h2_expire(struct wr_connection *c);

/// How much may be read now.
size_t wr_h2_read_room(const struct wr_connection *c);

/// Frees the session, nobody being at work. Nothing happens on a connection that has none.
void wr_h2_close(struct wr_connection *c);
