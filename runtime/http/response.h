#pragma once
/// Response heads and problem documents as bytes. What is written is checked here, whoever asked
/// for it: no field leaves with a name that is not a token or with CR, LF or NUL in its value.
/// Pure; any thread.

#include "base/buf.h"
#include "http/parser.h"

struct wr_response {
  int status; ///< 200 to 999, or 101
  const struct wr_headers
      *headers; ///< end-to-end fields; invalid and hop-by-hop ones are left out; may be NULL
  enum wr_framing framing; ///< LENGTH and CHUNKED are announced
  uint64_t length;
  struct wr_str upgrade;     ///< 101: the protocol; announced in place of the next two
  bool is_close;             ///< announces the end of the connection
  bool is_keep_alive;        ///< announces that it stays, for HTTP/1.0 clients
  struct wr_str date;        ///< added unless the fields have one
  struct wr_str via;         ///< appended to what the fields have; absent adds none
  struct wr_str server_name; ///< added unless the fields have one; absent adds none
  struct wr_str request_id;  ///< replaces what the fields have; absent lets it pass
};

/// Appends the head with its empty line. False when `out` is full; nothing is appended then.
bool wr_response_write(const struct wr_response *r, struct wr_buf *out);

/// May this field, which came from above, leave with the response?
bool wr_response_may_leave(const struct wr_response *r, const struct wr_header *field);

/// "Not Found"; "Unknown" for what has no name.
struct wr_str wr_response_reason(int status);

/// Appends an application/problem+json body (RFC 9457). `request_id` may be absent.
void wr_response_problem(struct wr_buf *out, int status, const char *detail,
                         struct wr_str request_id);
