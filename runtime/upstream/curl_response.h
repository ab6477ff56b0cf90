#pragma once
/// What comes back: libcurl's header lines gathered into whole heads and read by our own strict
/// parser.
///
/// libcurl is lenient about heads; nothing of what it accepts is believed. Interim (1xx) heads are
/// checked and dropped. Private to transport_curl.c.

#include "base/buf.h"
#include "http/parser.h"

enum wr_curl_response_status {
  WR_CURL_RESPONSE_MORE,
  WR_CURL_RESPONSE_FINAL, ///< `head` is complete
  WR_CURL_RESPONSE_BAD,   ///< `reason` says which rule was broken
};

struct wr_curl_response {
  struct wr_buf lines;
  struct wr_region region; ///< the field list
  struct wr_head head;     ///< after FINAL; valid until fini
  bool is_final;
  bool is_h2;
  struct wr_headers trailers; ///< complete when the body is; valid until fini
  int interim_count;
  const char *reason; ///< constant text
};

/// Starts before the first line.
void wr_curl_response_init(struct wr_curl_response *r);
/// Gives the memory back; `head` dies.
void wr_curl_response_fini(struct wr_curl_response *r);

/// Forgets everything: the request is sent a second time.
void wr_curl_response_reset(struct wr_curl_response *r);

/// Takes one line with its end, as the peer sent it. `method` is the request's.
enum wr_curl_response_status wr_curl_response_line(struct wr_curl_response *r, struct wr_str line,
                                                   struct wr_str method);
