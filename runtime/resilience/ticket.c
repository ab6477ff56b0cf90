#include "resilience/ticket.h"

#include "base/check.h"

static const char *const names[WR_OUTCOMES] = {
#define WR_OUTCOME(ENUM, name, meaning) [WR_OUTCOME_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_ticket_outcome_name(enum wr_outcome outcome)
{
  WR_CHECK(outcome < WR_OUTCOMES);
  return names[outcome];
}

static enum wr_outcome of_status(int status)
{
  if (status == 408 || status == 425 || status == 429) return WR_OUTCOME_FAILURE;
  if (status >= 400 && status < 500) return WR_OUTCOME_IGNORED;
  // 501 and 505 speak of the request, and will be the same tomorrow: the upstream is well.
  if (status == 501 || status == 505) return WR_OUTCOME_SUCCESS;
  return status >= 500 ? WR_OUTCOME_FAILURE : WR_OUTCOME_SUCCESS;
}

enum wr_outcome wr_ticket_outcome(enum wr_error_kind kind, int status, uint64_t elapsed_ns,
                                  uint64_t attempt_timeout_ns)
{
  switch (kind) {
  case WR_ERROR_NONE: return of_status(status);
  case WR_ERROR_CANCELLED: return WR_OUTCOME_CANCELLED;
  case WR_ERROR_TIMEOUT:
  case WR_ERROR_CONNECT:
  case WR_ERROR_DNS:
  case WR_ERROR_TLS:
  case WR_ERROR_RESET:
  case WR_ERROR_PROTOCOL: return WR_OUTCOME_FAILURE;
  case WR_ERROR_DEADLINE:
    // Half, rounded up: an attempt that was cut short before that proves nothing.
    return attempt_timeout_ns > 0 && elapsed_ns >= attempt_timeout_ns - attempt_timeout_ns / 2
               ? WR_OUTCOME_FAILURE
               : WR_OUTCOME_IGNORED;
  default: return WR_OUTCOME_IGNORED;
  }
}
