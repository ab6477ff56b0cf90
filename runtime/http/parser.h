#pragma once
/// HTTP/1.1 heads, requests and responses: one strict, bounded pass over bytes held in one piece.
///
/// Strictness is what a gateway lives by: what is ambiguous is refused, never repaired (RFC 9112;
/// the rules one by one are research/gateways.md §4, items 1–13 and 15). No I/O, no allocation but
/// header lists in the caller's region. Pure; any thread.

#include "http/headers.h"

#include <stdint.h>

enum wr_parser_status {
  WR_PARSER_DONE, ///< a whole head was read
  WR_PARSER_MORE, ///< the bytes so far are a proper beginning; call again with more
  WR_PARSER_BAD,  ///< refuse: see wr_parser_error
};

/// How the body ends (RFC 9112 6.3).
enum wr_framing {
  WR_FRAMING_NONE,   ///< no body at all
  WR_FRAMING_LENGTH, ///< content_length bytes
  WR_FRAMING_CHUNKED,
  WR_FRAMING_CLOSE, ///< responses only: until the connection closes
};

struct wr_parser_limits {
  size_t head_max;   ///< bytes of the whole head; 431 past it (a response: bad)
  size_t line_max;   ///< bytes of the request line or one field line; 414 for the target, else 431
  size_t fields_max; ///< fields; 431 past it. Above WR_PARSER_FIELDS_CEILING counts as that
};

/// Most fields a head can have whatever the limits say: they are collected on the stack first.
enum { WR_PARSER_FIELDS_CEILING = 256 };

/// 32 KiB head, 8 KiB line, 100 fields.
extern const struct wr_parser_limits wr_parser_limits_default;

struct wr_parser_error {
  int status;          ///< for a request: 400, 414, 431, 501 or 505; for a response 502
  const char *message; ///< constant text naming the rule that was broken
  size_t offset;       ///< of the offending byte
};

struct wr_head {
  struct wr_str method; ///< requests
  struct wr_str target; ///< requests: as sent (origin-form, absolute-form, "*", or authority-form)
  struct wr_str host;   ///< requests: authority of an absolute target, else of Host; lower case, no
                        ///< default port, no trailing dot; a copy in the region
  struct wr_str path;   ///< requests: target's path, "*" for OPTIONS *; query excluded
  struct wr_str query;  ///< requests: after "?", absent without one
  int status;           ///< responses
  struct wr_str reason; ///< responses
  int minor;            ///< version is 1.<minor>: 0 or 1
  struct wr_headers headers;
  enum wr_framing framing;
  uint64_t content_length; ///< for WR_FRAMING_LENGTH; for HEAD and 304 responses: what was claimed
  bool has_content_length;
  bool keep_alive;      ///< what version and Connection say about reuse
  bool expect_continue; ///< requests: Expect: 100-continue
  bool is_upgrade;      ///< Connection: upgrade with an Upgrade field
};

/// Reads a request head from the first `len` bytes. `head` borrows `bytes`. On DONE `*used` is the
/// length of the head with its empty line. Empty lines before the request line are skipped (RFC
/// 9112 2.2), at most one. BAD comes with the byte or the line's end that makes a good head
/// impossible; `region` is used only when the head is complete. Each call reads from the start: 32
/// KiB that come byte by byte cost some 0.15 s in all, no more than reading them does. `head` is
/// meaningless unless DONE.
enum wr_parser_status wr_parser_request(const char *bytes, size_t len,
                                        const struct wr_parser_limits *limits,
                                        struct wr_region *region, struct wr_head *head,
                                        size_t *used, struct wr_parser_error *error);

/// Reads a response head. `method` is that of the request, for it decides whether a body follows.
enum wr_parser_status wr_parser_response(const char *bytes, size_t len, struct wr_str method,
                                         const struct wr_parser_limits *limits,
                                         struct wr_region *region, struct wr_head *head,
                                         size_t *used, struct wr_parser_error *error);
