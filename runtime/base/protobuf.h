#pragma once
/// Streaming writer of Protocol Buffers' wire format into a `wr_buf`.
///
/// Messages nest up to WR_PROTOBUF_DEPTH deep; their lengths are put before them when they end, in
/// as few bytes as they take. What a proto3 default leaves out is the caller's business. When the
/// buffer is full, `failed` is set and the rest is dropped.

#include "base/buf.h"

enum { WR_PROTOBUF_DEPTH = 12 };

struct wr_protobuf {
  struct wr_buf *out;
  bool failed;                    ///< read-only: the buffer said no at least once
  size_t open[WR_PROTOBUF_DEPTH]; // private: where the content of each open message begins
  int depth;                      // private
};

/// Appends to `out`, which the caller owns, and which nobody else writes to or takes from
/// meanwhile.
void wr_protobuf_init(struct wr_protobuf *p, struct wr_buf *out);

/// A message in `field`; what follows is in it until its end.
void wr_protobuf_message(struct wr_protobuf *p, uint32_t field);
void wr_protobuf_message_end(struct wr_protobuf *p);

/// One value; `field` is its number, 1 to 2^29 - 1.
void wr_protobuf_varint(struct wr_protobuf *p, uint32_t field, uint64_t value);
void wr_protobuf_fixed32(struct wr_protobuf *p, uint32_t field, uint32_t value);
void wr_protobuf_fixed64(struct wr_protobuf *p, uint32_t field, uint64_t value);
void wr_protobuf_double(struct wr_protobuf *p, uint32_t field, double value);
void wr_protobuf_text(struct wr_protobuf *p, uint32_t field,
                      struct wr_str value); ///< what is not UTF-8 becomes U+FFFD
void wr_protobuf_bytes(struct wr_protobuf *p, uint32_t field, struct wr_str value);

/// `count` varints, fixed64 values or doubles, packed.
void wr_protobuf_varints(struct wr_protobuf *p, uint32_t field, const uint64_t *values,
                         size_t count);
void wr_protobuf_fixed64s(struct wr_protobuf *p, uint32_t field, const uint64_t *values,
                          size_t count);
void wr_protobuf_doubles(struct wr_protobuf *p, uint32_t field, const double *values, size_t count);
