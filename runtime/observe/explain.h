#pragma once
/// How requests were decided, for `weir explain`: their decision chains, kept in the journal when
/// they are over (the newest, and those that failed apart so that others do not push them out), and
/// read there by the master.
///
/// A record is private to explain.c and explain_read.c, and to one layout of the arena.

#include "base/json.h"
#include "policy/serve.h"

enum { WR_EXPLAIN_CAUSES = 16 };

struct wr_explain {
  struct wr_buf record; ///< private
  uint64_t wall_ns;     ///< private: the wall clock at monotonic 0, as it was lately
  uint64_t due_ns;      ///< private: when to look at it again
  struct {
    uint64_t cause;
    uint64_t until_ns;
  } repeats[WR_EXPLAIN_CAUSES]; ///< private: refusals of which one was kept lately
};

/// Takes no memory before the first request.
void wr_explain_init(struct wr_explain *e);

/// Frees it.
void wr_explain_fini(struct wr_explain *e);

/// Keeps the chain of a request that is over; `why` is its reason code (wr_serving_why). Texts that
/// are too long are cut, and links without room are counted. The worker's loop.
void wr_explain_keep(struct wr_explain *e, const struct wr_serving *s,
                     const struct wr_exchange_stats *stats, const char *why);

/// Writes the newest `count` requests as an array, newest first; of all, or of those that failed.
void wr_explain_list(const struct wr_arena *a, bool failed_only, size_t count, struct wr_json *j);

/// Writes the request `id` as an object with its chain. False, and nothing is written, when it is
/// not, or no longer, known.
bool wr_explain_show(const struct wr_arena *a, struct wr_str id, struct wr_json *j);
