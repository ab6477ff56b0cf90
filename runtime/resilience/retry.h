#pragma once
/// Whether a failed attempt is followed by another one, and when.
///
/// A pure decision; the only state it touches is the budget, which it withdraws from last: a
/// decision not to retry costs nothing, and a retry is paid for before it sleeps.

#include "base/error.h"
#include "resilience/backoff.h"
#include "resilience/budget.h"

enum wr_retry_reason {
#define WR_RETRY_REASON(ENUM, name, meaning) WR_RETRY_##ENUM,
#include "tables/states.def"
  WR_RETRY_REASONS
};

enum { WR_RETRY_STATUS_WORDS = 16 };

/// Which results are worth another attempt. Statuses from 0 to 1023.
struct wr_retry_on {
  uint32_t kinds; ///< bit `1 << kind` of enum wr_error_kind
  uint64_t statuses[WR_RETRY_STATUS_WORDS];
};

struct wr_retry_config {
  uint32_t max;            ///< attempts after the first; 0: never retries
  uint64_t min_attempt_ns; ///< an attempt with less time than this is not worth starting
  struct wr_backoff_config backoff;
  struct wr_retry_on on;
};

/// One failed attempt.
struct wr_retry_input {
  uint32_t attempt; ///< which one failed: 1 is the first
  uint64_t now_ns;
  uint64_t deadline_at_ns; ///< of the whole call; UINT64_MAX: none
  uint64_t expected_ns;    ///< how long an attempt usually takes; 0: not known
  uint64_t after_ns;       ///< the upstream's Retry-After; 0: none
  enum wr_error_kind kind; ///< WR_ERROR_NONE when there was a response
  int status;              ///< of that response
  bool retryable;          ///< repeating cannot do harm: idempotent, or nothing was sent
};

struct wr_retry_decision {
  bool retry;
  uint8_t reason;    ///< enum wr_retry_reason
  uint64_t delay_ns; ///< pause before the next attempt; 0 when there is none
};

/// 2 extra attempts of at least 10 ms, default backoff; on connect, dns, reset, timeout and the
/// statuses 408, 425, 429, 502, 503, 504.
void wr_retry_config_init(struct wr_retry_config *config);

/// NULL, or which bound is broken.
const char *wr_retry_config_check(const struct wr_retry_config *config);

/// Adds or removes a status (0 to 1023).
void wr_retry_on_status(struct wr_retry_on *on, int status, bool retry);

/// Whether the set holds this result.
bool wr_retry_on_has(const struct wr_retry_on *on, enum wr_error_kind kind, int status);

/// Decides. `budget` may be NULL (none). `backoff` is the call's place in the delay sequence and
/// moves on when a delay was drawn. A Retry-After is a floor: the delay is drawn on top of it, and
/// cut to what the deadline leaves.
struct wr_retry_decision wr_retry_decide(const struct wr_retry_config *config,
                                         const struct wr_retry_input *input,
                                         struct wr_backoff *backoff, struct wr_budget *budget,
                                         struct wr_rng *rng);

/// "retry", "not_retryable", …
const char *wr_retry_reason_name(enum wr_retry_reason reason);
