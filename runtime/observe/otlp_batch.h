#pragma once
/// Collects the records of a signal (spans, metrics, log lines) into requests to a collector
/// (ExportTraceServiceRequest and its like). One process's own.

#include "base/list.h"
#include "observe/otlp_settings.h"
#include "observe/otlp_writer.h"

enum {
  WR_OTLP_RECORD_MAX = 256 * 1024,     ///< bytes of one record
  WR_OTLP_BATCH_MAX = 2 * 1024 * 1024, ///< of all of a batch
};

/// A request's body, ready to be sent. Of the heap: `wr_free`.
struct wr_otlp_payload {
  struct wr_list link;
  enum wr_otlp_signal signal;
  uint32_t records;
  size_t len;
  char data[];
};

struct wr_otlp_batch {
  const struct wr_otlp_settings *settings;
  enum wr_otlp_signal signal;
  uint32_t records; ///< read-only: in it
  /// Takes what it holds when that is enough for an export.
  void (*deliver)(void *ctx, struct wr_otlp_batch *b);
  void *ctx;
  struct wr_buf done;
  struct wr_buf record; // the one that is being written
  struct wr_otlp_writer writer;
};

/// `settings` must live longer. `deliver` calls `wr_otlp_batch_take`.
void wr_otlp_batch_init(struct wr_otlp_batch *b, const struct wr_otlp_settings *settings,
                        enum wr_otlp_signal signal,
                        void (*deliver)(void *ctx, struct wr_otlp_batch *b), void *ctx);
void wr_otlp_batch_fini(struct wr_otlp_batch *b);

/// Begins a record: the fields of a Span, a Metric or a LogRecord follow, then the end. Records do
/// not nest.
struct wr_otlp_writer *wr_otlp_batch_begin(struct wr_otlp_batch *b);

/// False when the record is too large, or the batch is full: it is not in it.
bool wr_otlp_batch_end(struct wr_otlp_batch *b);

/// A payload of these bytes, copied.
struct wr_otlp_payload *wr_otlp_batch_payload(enum wr_otlp_signal signal, uint32_t records,
                                              struct wr_str data);

/// Takes all records out; NULL when there are none.
struct wr_otlp_payload *wr_otlp_batch_take(struct wr_otlp_batch *b);
