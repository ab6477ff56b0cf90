#pragma once
/// The receipt of one admitted call, and what its result says about the upstream.
///
/// A ticket is settled exactly once; settling it again does nothing, so an error path may settle
/// what a success path has settled before. Plain data: it lives in a ledger row in shared memory.
/// "Not executed" is not a result: it is settled as ignored or cancelled, which release and count
/// neither for nor against the upstream (research/resilience.md §0.2, §2.2c).

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum wr_outcome {
#define WR_OUTCOME(ENUM, name, meaning) WR_OUTCOME_##ENUM,
#include "tables/states.def"
  WR_OUTCOMES
};

enum wr_ticket_kind { WR_TICKET_NORMAL, WR_TICKET_PROBE };

struct wr_ticket {
  uint32_t generation; ///< of the primitive when it admitted the call; another one makes it stale
  uint16_t lease;      ///< probes: which lease of the half-open episode; 0 otherwise
  uint8_t kind;        ///< enum wr_ticket_kind
  bool done;           ///< settled
  uint64_t t_start_ns;
};

/// "success", …
const char *wr_ticket_outcome_name(enum wr_outcome outcome);

/// What a finished call says by default (DESIGN §5). `status` counts only when `kind` is
/// `WR_ERROR_NONE`; 0 is a call that has no status, and succeeded. A deadline is the upstream's
/// failure only if this attempt had at least half of its own `attempt_timeout_ns` (0: it has none,
/// so never).
enum wr_outcome wr_ticket_outcome(enum wr_error_kind kind, int status, uint64_t elapsed_ns,
                                  uint64_t attempt_timeout_ns);
