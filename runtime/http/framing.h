#pragma once
/// What the fields of a head say about its message: where the body ends, whose host it is for,
/// whether the connection lives on (RFC 9112 3.2, 6, 9). The part of the parser that knows field
/// names.
///
/// Fields are noted one by one, as their lines are read, so that a bad one is refused at once.
/// Pure.

#include "http/authority.h"
#include "http/parser.h"

/// Most options in all Connection fields of a head: more would only cost time in every hop.
enum { WR_FRAMING_OPTIONS_MAX = 32 };

struct wr_framing_facts {
  int minor;       ///< set by the caller
  bool is_request; ///< set by the caller
  struct wr_authority host;
  uint64_t length;
  size_t option_count;
  bool has_host;
  bool has_length;
  bool is_chunked;
  bool has_close;
  bool has_keep_alive;
  bool has_upgrade_option;
  bool has_upgrade;
  bool has_expect;
};

/// Takes note of one field. NULL, or a constant text why the message is refused; then `*status` is
/// 400 or 501.
const char *wr_framing_note(struct wr_framing_facts *f, const struct wr_header *field, int *status);

/// After the last field of a request with its method known: fills framing, content length and the
/// flags of `head`. NULL, or a constant text why it is refused.
const char *wr_framing_settle_request(const struct wr_framing_facts *f, struct wr_head *head);

/// After the last field of a response to `method`, its status known: never refuses.
void wr_framing_settle_response(const struct wr_framing_facts *f, struct wr_str method,
                                struct wr_head *head);
