#pragma once
/// A concurrency limit that follows what the upstream can do, learnt from windows of calls.
///
/// A window ends after `window_ns` and at least `samples` results; then the rule of
/// adaptive_rules.h moves the limit. Two things stand above every rule. The guardrail: while calls
/// take longer than `max_healthy_ns` the limit shrinks by a tenth each window and the baseline
/// learns nothing, so that a long incident does not become the new normal. The guard of trend.h: a
/// limit that is reached does not grow when more calls at once no longer bring more results.
/// Failures tell through their share (a tenth of the window), never through their latency: a
/// refused connection is quick. Pure, in one struct that may live in shared memory; the caller
/// holds its lock.

#include "base/rng.h"
#include "resilience/trend.h"

struct wr_archive;

enum wr_adaptive_rule {
#define WR_ADAPTIVE_RULE(ENUM, name, meaning) WR_ADAPTIVE_##ENUM,
#include "tables/states.def"
  WR_ADAPTIVE_RULES
};

enum { WR_ADAPTIVE_MAX = 1000000 };

struct wr_adaptive_config {
  uint8_t rule;            ///< enum wr_adaptive_rule
  uint32_t min;            ///< 1 to max
  uint32_t max;            ///< up to WR_ADAPTIVE_MAX
  uint32_t initial;        ///< min to max; the limit of a fixed one
  uint32_t samples;        ///< results that a window needs, at least 1
  uint64_t window_ns;      ///< length of a window, at least 1 ms
  uint64_t max_healthy_ns; ///< mean latency beyond which nothing grows; 0: no guardrail
};

struct wr_adaptive {
  double limit;          ///< read-only: see wr_adaptive_limit
  double baseline_ns;    ///< read-only: best or long-term latency by the rule, 0: not known
  double latency_ns;     ///< read-only: mean of the last window that had a good result
  uint64_t window_ns;    // private: when this window began, 0 before the first result
  double sum_ns;         // private: latencies of the good results in this window
  uint32_t good;         // private
  uint32_t failed;       // private
  uint32_t inflight;     // private: most at once
  uint32_t windows;      // private: gradient2: means in the baseline; vegas: since its last probe
  uint32_t probe_at;     // private: vegas: windows until the baseline is measured anew
  uint32_t guarded;      ///< read-only: windows in which the guard or the guardrail decided
  struct wr_rng rng;     // private
  struct wr_trend trend; // private
};

/// A call that ended.
struct wr_adaptive_call {
  uint64_t latency_ns;
  uint32_t inflight; ///< at once, itself included
  bool is_good;      ///< a success; else a failure
};

/// A fixed limit of 256; adaptive ones begin at 20 between 1 and 1000, windows of 1 s and 10
/// results, healthy up to 5 s.
void wr_adaptive_config_init(struct wr_adaptive_config *config);

/// NULL, or which bound is broken.
const char *wr_adaptive_config_check(const struct wr_adaptive_config *config);

/// Begins at the initial limit.
void wr_adaptive_init(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                      uint64_t seed);

/// Applies another configuration. A limit that was learnt stays, inside the new bounds; what led to
/// it stays while the rule does. A fixed limit is no lesson: who begins to learn begins anew.
void wr_adaptive_reconfigure(struct wr_adaptive *a, const struct wr_adaptive_config *from,
                             const struct wr_adaptive_config *to);

/// Calls that may be in flight now.
uint32_t wr_adaptive_limit(const struct wr_adaptive *a);

/// A call ended. Those that were cancelled or ignored are not told. A success under 100 us is no
/// answer of an upstream and does not count.
void wr_adaptive_sample(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                        uint64_t now_ns, const struct wr_adaptive_call *call);

/// Makes any bytes valid, for a valid `config`.
void wr_adaptive_repair(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                        uint64_t now_ns);

/// "fixed", …
const char *wr_adaptive_rule_name(enum wr_adaptive_rule rule);

/// Writes what it has learnt by `rule` to an archive, or reads it from there; call
/// `wr_adaptive_repair` after reading.
void wr_adaptive_archive(struct wr_adaptive *a, uint8_t rule, struct wr_archive *archive);
