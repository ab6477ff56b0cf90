#pragma once
/// JSON log lines on a file descriptor, without ever blocking the loop.
///
/// A line is built with `wr_log_begin`, the JSON writer, and `wr_log_end`; whole lines wait in
/// memory (at most `WR_LOG_PENDING_MAX` bytes, then new lines are dropped and counted) until
/// `wr_log_flush` writes them in pieces that a pipe takes atomically (a file takes larger ones).
/// One process's own; each process has one.

#include "base/json.h"
#include "base/log_format.h"
#include "base/stamp.h"

/// WR_LOG_NOTHING is a threshold alone: no line is as grave.
enum wr_log_level { WR_LOG_DEBUG, WR_LOG_INFO, WR_LOG_WARN, WR_LOG_ERROR, WR_LOG_NOTHING };

#define WR_LOG_DELAY_NS UINT64_C(10000000)

enum { WR_LOG_PENDING_MAX = 1 << 20, WR_LOG_LINE_MAX = 32 * 1024 };

/// Somebody beside the descriptor who reads lines.
struct wr_log_tap {
  /// Does it take this line? Asked before the line is made, whatever the log's own level.
  bool (*wants)(void *ctx, enum wr_log_level level, const char *event);
  /// A whole line without its end, valid during the call.
  void (*take)(void *ctx, const char *event, struct wr_str line);
  void *ctx;
};

struct wr_log {
  int fd;
  enum wr_log_level level;
  uint64_t (*wall_ns)(void); ///< stamps; given by the loop, which alone reads clocks
  int worker;                ///< slot of this worker, -1 in the master
  uint64_t dropped; ///< lines lost because the reader is slow; who counts them sets it to 0
  enum wr_log_format format;    ///< of what is written; the tap gets lines as they are
  const struct wr_log_tap *tap; ///< borrowed; NULL: nobody
  const char *event;            ///< private: of the line under way
  uint64_t stamp_second;        ///< private: that `stamp` is of
  char stamp[WR_STAMP_TEXT];    ///< private
  uint64_t waiting_ns;          ///< private: since when the oldest pending line has been there
  bool is_urgent;               ///< private: a pending line is at least a warning
  bool is_tapped;               ///< private: the tap takes it
  bool is_written;              ///< private: the descriptor gets it
  size_t piece;                 ///< private: bytes that are written at once
  bool is_file;                 ///< private: it takes what comes
  struct wr_buf pending;        ///< private
  struct wr_buf line;           ///< private
  struct wr_json json;          ///< private
};

/// Writes to `fd`, which stays the caller's, what is at least as grave as `level`.
void wr_log_init(struct wr_log *log, int fd, enum wr_log_level level, uint64_t (*wall_ns)(void));

/// Writes what can be written, then frees the memory. Does not close the descriptor.
void wr_log_fini(struct wr_log *log);

/// Starts a line with time, level, `event` (dotted lower case, constant) and worker; returns the
/// writer for more fields, or NULL when nobody wants the line. Lines do not nest.
struct wr_json *wr_log_begin(struct wr_log *log, enum wr_log_level level, const char *event);

/// Ends the line begun last; a line past `WR_LOG_LINE_MAX` is dropped and counted.
void wr_log_end(struct wr_log *log);

/// A whole line with one formatted `message`.
__attribute__((format(printf, 4, 5))) void wr_log_text(struct wr_log *log, enum wr_log_level level,
                                                       const char *event, const char *format, ...);

/// Writes pending lines as far as the descriptor takes them now.
void wr_log_flush(struct wr_log *log);

/// The same when it is time: warnings at once, others when there is a piece of them or after
/// WR_LOG_DELAY_NS. Call once a turn.
void wr_log_turn(struct wr_log *log);

/// "debug", …
const char *wr_log_level_name(enum wr_log_level level);

/// Level by name; false when there is none of that name.
bool wr_log_level_find(struct wr_str name, enum wr_log_level *out);
