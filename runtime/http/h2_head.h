#pragma once
/// A request head of HTTP/2: fields as they are unpacked, then the same `wr_head` that an HTTP/1
/// request has, under the same rules (RFC 9113 8.2 and 8.3).
///
/// nghttp2 sees to it that pseudo fields are there, once, in front and nowhere else, that names are
/// in lower case, and that no field of a connection comes but `te: trailers`. All that HTTP/1 would
/// refuse is refused here: methods that are no tokens, targets, hosts, lengths. Pure.

#include "http/parser.h"

enum {
  /// A list may unpack to so many times its limit before the connection is ended: what is past the
  /// limit alone is answered with 431.
  WR_H2_HEAD_CEILING = 8,
  WR_H2_HEAD_FIELD_COST = 32, ///< what each field counts beside its bytes (RFC 9113 6.5.2)
};

struct wr_h2_head {
  struct wr_region *region;
  const struct wr_parser_limits *limits;
  struct wr_str method, scheme, authority, path;
  struct wr_headers fields;  // without cookies
  struct wr_headers cookies; // RFC 9113 8.2.3: they may come in crumbs
  size_t size;
  int status;        // why it is refused; 0: not yet
  const char *fault; // constant text
};

/// Starts empty; copies go to `region`. Both arguments are borrowed.
void wr_h2_head_init(struct wr_h2_head *h, struct wr_region *region,
                     const struct wr_parser_limits *limits);

/// Takes one field, pseudo or not. False when the list has grown past all measure.
bool wr_h2_head_add(struct wr_h2_head *h, struct wr_str name, struct wr_str value);

/// Counts one field as `wr_h2_head_add` does, and forgets it: one of the trailers. False as there.
bool wr_h2_head_drop(struct wr_h2_head *h, struct wr_str name, struct wr_str value);

/// The list is complete: fills `head`. `has_body`: more than the head comes. 0, or the status with
/// which the request is refused, 400, 414 or 431, and a constant text; `head` then has what is
/// needed to answer.
int wr_h2_head_read(struct wr_h2_head *h, bool has_body, struct wr_head *head, const char **fault);
