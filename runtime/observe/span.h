#pragma once
/// One span of OTLP in a batch: what all spans have, and what goes into them.

#include "observe/otlp_batch.h"
#include "script/trace.h"

enum wr_span_kind { WR_SPAN_INTERNAL = 1, WR_SPAN_SERVER = 2, WR_SPAN_CLIENT = 3 };

struct wr_span {
  const struct wr_trace *trace;
  const char *id, *parent; ///< "": it has no parent
  bool is_remote;          ///< the parent is another process's
  enum wr_span_kind kind;
  struct wr_str name;
  uint64_t start_ns, end_ns; ///< Unix time
};

/// Begins it; attributes may follow, by `wr_span_put` and the writer's own.
struct wr_otlp_writer *wr_span_begin(struct wr_otlp_batch *b, const struct wr_span *span);

/// An attribute, cut at 1024 bytes; nothing when the value is empty.
void wr_span_put(struct wr_otlp_writer *w, const char *key, struct wr_str value);

/// Who was asked: `host`, `host:port`, "[::1]:80", or "unix:" and a path.
void wr_span_put_server(struct wr_otlp_writer *w, struct wr_str authority);

/// The error that a call ended with: its kind, else a status that is one (from `bad` on); else
/// nothing.
void wr_span_put_error(struct wr_otlp_writer *w, const char *kind, int status, int bad);

/// Ends the attributes. What the span has beside them may follow.
void wr_span_seal(struct wr_otlp_writer *w);

/// Ends it. False when it had no room.
bool wr_span_end(struct wr_otlp_batch *b, bool is_error);
