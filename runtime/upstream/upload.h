#pragma once
/// The request body on its way to a library: borrowed bytes, or pieces in a buffer with two marks.
///
/// Pure: no callbacks. For the transports whose protocol a library speaks.

#include "base/buf.h"
#include "upstream/transport.h"

enum {
  WR_UPLOAD_MAX = 16 * 1024 * 1024, ///< a writer that does not wait fails here
};

struct wr_upload {
  enum wr_transfer_body kind;
  struct wr_str bytes; ///< BYTES
  struct wr_buf buf;   ///< STREAM: written, not yet taken
  bool has_length;
  uint64_t length;
  uint64_t written; ///< STREAM: by the caller
  uint64_t taken;   ///< handed to the library
  bool is_ended;    ///< no more will be written
  bool is_full;     ///< the writer waits for room
};

/// Starts the body that the request announces; BYTES stay borrowed.
void wr_upload_init(struct wr_upload *u, const struct wr_transfer_request *rq);
/// Gives the buffer back.
void wr_upload_fini(struct wr_upload *u);

/// Appends a piece. False when it breaks the announced length or the maximum: `reason` is constant.
bool wr_upload_write(struct wr_upload *u, struct wr_str data, const char **reason);

/// Nothing more will be written. False when less came than was announced.
bool wr_upload_end(struct wr_upload *u, const char **reason);

/// Moves up to `size` bytes into `out`; 0 when there is nothing now.
size_t wr_upload_take(struct wr_upload *u, char *out, size_t size);

/// All of the body was taken.
bool wr_upload_is_done(const struct wr_upload *u);

/// Back to the beginning for a second sending. False when what was taken is gone.
bool wr_upload_rewind(struct wr_upload *u);
