#pragma once
/// The recent past of a breaker: how many calls, how many failed, how many were slow.
///
/// Either the last N calls (a ring of bits) or the last span of time (`wr_rolling`). Holds no
/// memory besides the struct. Limit: WR_WINDOW_CALLS_MAX calls.

#include "resilience/rolling.h"

#include <stdbool.h>
#include <stdint.h>

enum { WR_WINDOW_CALLS_MAX = 1024, WR_WINDOW_WORDS = WR_WINDOW_CALLS_MAX / 64 };

enum wr_window_kind { WR_WINDOW_TIME, WR_WINDOW_COUNT };

struct wr_window_sum {
  uint32_t total;
  uint32_t failure;
  uint32_t slow; ///< slow calls may have failed too
};

/// private: a ring of the last `size` results
struct wr_window_ring {
  uint32_t size;
  uint32_t count; // results held, at most size
  uint32_t next;  // where the next one goes
  struct wr_window_sum sum;
  uint64_t failure[WR_WINDOW_WORDS];
  uint64_t slow[WR_WINDOW_WORDS];
};

struct wr_window {
  uint8_t kind; // private: enum wr_window_kind
  union {
    struct wr_window_ring ring;
    struct wr_rolling rolling;
  };
};

/// Starts empty. `size` is calls (1 to WR_WINDOW_CALLS_MAX) or nanoseconds (at least 10), by kind.
void wr_window_init(struct wr_window *w, enum wr_window_kind kind, uint64_t size);

/// Forgets every call.
void wr_window_clear(struct wr_window *w);

/// Records one finished call.
void wr_window_add(struct wr_window *w, uint64_t now_ns, bool failure, bool slow);

/// What the window holds now.
struct wr_window_sum wr_window_sum(struct wr_window *w, uint64_t now_ns);

/// Whether the window holds neither a failure nor a slow call, as of the latest `wr_window_add`.
bool wr_window_is_clean(const struct wr_window *w);

/// Changes the shape and keeps what can be kept: the newest calls that fit a new count, the slots
/// inside a new span. A change of kind starts empty: neither knows what the other needs.
void wr_window_reshape(struct wr_window *w, enum wr_window_kind kind, uint64_t size,
                       uint64_t now_ns);

/// Makes it a valid window of this shape whatever its bytes are; keeps what is still plausible.
void wr_window_repair(struct wr_window *w, enum wr_window_kind kind, uint64_t size,
                      uint64_t now_ns);

/// Writes it to an archive, or reads what that has of its kind and shape; call `wr_window_repair`
/// after reading.
void wr_window_archive(struct wr_window *w, struct wr_archive *a);
