#pragma once
/// Body framing: finds where a body ends while its bytes stream past (RFC 9112 6 and 7).
///
/// Chunk extensions are bounded and dropped, trailers are bounded and checked, and dropped unless
/// somebody keeps them. Bare LF,
/// missing CRLF, signs, spaces and oversized chunk sizes are refused; so is white space around
/// extensions, and a trailer that frames or routes (Content-Length, Host, …). Pure; any thread.

#include "base/buf.h"
#include "http/parser.h"

enum wr_body_status {
  WR_BODY_MORE, ///< all input was used; the body goes on
  WR_BODY_DONE, ///< the body is complete; input past `*used` belongs to the next message
  WR_BODY_BAD,  ///< the framing is broken: answer 400 (or 502) and close
};

enum {
  WR_BODY_EXTENSION_MAX = 256,   ///< bytes of the extensions of one chunk
  WR_BODY_EXTENSIONS_MAX = 4096, ///< bytes of all extensions of a body
  WR_BODY_TRAILERS_MAX = 8192,   ///< bytes of all trailers of a body
};

struct wr_body {
  enum wr_framing framing;
  uint64_t left;           ///< read-only: bytes still due of this length or chunk
  uint64_t total;          ///< read-only: payload bytes seen
  int state;               // private: of the chunked decoder
  size_t line;             // private: bytes of the current size line or of all trailers
  size_t extensions;       // private: bytes of all chunk extensions
  size_t name_len;         // private: of a trailer, counted up to one more than `name` holds
  char name[20];           // private: of a trailer; no forbidden one is longer
  const char *reason;      ///< read-only: why BAD; constant text
  struct wr_buf *trailers; // gets their lines, LF behind each
};

/// Prepares to read a body framed as `head` says.
void wr_body_init(struct wr_body *b, enum wr_framing framing, uint64_t content_length);

/// After init: has the trailers of a chunked body written to `lines`, which holds
/// WR_BODY_TRAILERS_MAX bytes and outlives the reading.
void wr_body_keep_trailers(struct wr_body *b, struct wr_buf *lines);

/// After DONE: the trailers that were kept; `out` borrows their lines. What finds no room is left
/// out.
void wr_body_read_trailers(const struct wr_body *b, struct wr_headers *out);

/// Consumes up to `len` bytes. `*used` counts bytes consumed; `*payload` is the next piece of
/// payload among them (maybe empty), a slice of `bytes`. Call until `*used` is `len` or the status
/// is not MORE: one call returns at most one piece, DONE may come with the last one. On BAD `*used`
/// is the offset of the offending byte. After BAD every call is BAD.
enum wr_body_status wr_body_feed(struct wr_body *b, const char *bytes, size_t len, size_t *used,
                                 struct wr_str *payload);

/// The connection ended: DONE when the framing allows it here (until close, or nothing due), else
/// BAD.
enum wr_body_status wr_body_eof(struct wr_body *b);

/// Longest text that `wr_body_chunk_head` writes.
enum { WR_BODY_CHUNK_HEAD_MAX = 20 };

/// Writes the line that opens a chunk of `size` > 0 bytes into `out`; returns its length. Each
/// chunk is closed by CRLF, the body by "0\r\n\r\n".
size_t wr_body_chunk_head(char out[WR_BODY_CHUNK_HEAD_MAX], uint64_t size);
