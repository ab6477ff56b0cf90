#include "resilience/retry.h"

#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"

void wr_retry_config_init(struct wr_retry_config *config)
{
  *config = (struct wr_retry_config){
      .max = 2,
      .min_attempt_ns = 10 * WR_MS,
      .on.kinds = 1u << WR_ERROR_CONNECT | 1u << WR_ERROR_DNS | 1u << WR_ERROR_RESET |
                  1u << WR_ERROR_TIMEOUT,
  };
  wr_backoff_config_init(&config->backoff);
  static const int statuses[] = {408, 425, 429, 502, 503, 504};
  for (size_t i = 0; i < WR_COUNT(statuses); i++) {
    wr_retry_on_status(&config->on, statuses[i], true);
  }
}

const char *wr_retry_config_check(const struct wr_retry_config *config)
{
  if (config->max > 100) return "max must be 0 to 100";
  if (config->min_attempt_ns > WR_DURATION_MAX) return "min_attempt must be at most 10 years";
  return wr_backoff_config_check(&config->backoff);
}

// Results worth another attempt

void wr_retry_on_status(struct wr_retry_on *on, int status, bool retry)
{
  WR_CHECK(status >= 0 && status < WR_RETRY_STATUS_WORDS * 64);
  uint64_t bit = UINT64_C(1) << (status % 64);
  uint64_t *word = &on->statuses[status / 64];
  *word = retry ? *word | bit : *word & ~bit;
}

bool wr_retry_on_has(const struct wr_retry_on *on, enum wr_error_kind kind, int status)
{
  if (kind != WR_ERROR_NONE) return on->kinds >> kind & 1;
  if (status < 0 || status >= WR_RETRY_STATUS_WORDS * 64) return false;
  return on->statuses[status / 64] >> (status % 64) & 1;
}

// Decision

static struct wr_retry_decision refuse(enum wr_retry_reason reason)
{
  return (struct wr_retry_decision){.reason = (uint8_t)reason};
}

// The time that pauses may take: what the next attempt needs is not theirs.
static uint64_t pause_max(const struct wr_retry_config *config, const struct wr_retry_input *input)
{
  uint64_t need_ns = config->min_attempt_ns;
  if (input->expected_ns > need_ns) need_ns = input->expected_ns;
  uint64_t left_ns = wr_deadline_left(input->deadline_at_ns, input->now_ns);
  return left_ns == WR_DEADLINE_NEVER ? left_ns : wr_deadline_left(left_ns, need_ns);
}

static bool has_time(const struct wr_retry_config *config, const struct wr_retry_input *input)
{
  uint64_t need_ns = config->min_attempt_ns;
  if (input->expected_ns > need_ns) need_ns = input->expected_ns;
  return wr_deadline_fits(input->deadline_at_ns, input->now_ns, 0, need_ns);
}

struct wr_retry_decision wr_retry_decide(const struct wr_retry_config *config,
                                         const struct wr_retry_input *input,
                                         struct wr_backoff *backoff, struct wr_budget *budget,
                                         struct wr_rng *rng)
{
  bool is_worth_it = wr_retry_on_has(&config->on, input->kind, input->status);
  if (!input->retryable || !is_worth_it) return refuse(WR_RETRY_NOT_RETRYABLE);
  if (input->attempt > config->max) return refuse(WR_RETRY_ATTEMPTS_EXHAUSTED);
  if (!has_time(config, input)) return refuse(WR_RETRY_DEADLINE);
  uint64_t most_ns = pause_max(config, input);
  if (input->after_ns > most_ns) return refuse(WR_RETRY_AFTER_EXCEEDS_DEADLINE);
  uint64_t drawn_ns = wr_backoff_next(&config->backoff, backoff, rng);
  uint64_t delay_ns = wr_deadline_in(input->after_ns, drawn_ns);
  if (delay_ns > most_ns) {
    // Only what was added to a Retry-After may be cut: a shortened backoff protects nobody.
    if (input->after_ns == 0) return refuse(WR_RETRY_DEADLINE);
    delay_ns = most_ns;
  }
  if (budget != NULL && !wr_budget_withdraw(budget, input->now_ns)) {
    return refuse(WR_RETRY_BUDGET_EXHAUSTED);
  }
  return (struct wr_retry_decision){.retry = true, .reason = WR_RETRY_RETRY, .delay_ns = delay_ns};
}

static const char *const reasons[WR_RETRY_REASONS] = {
#define WR_RETRY_REASON(ENUM, name, meaning) [WR_RETRY_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_retry_reason_name(enum wr_retry_reason reason)
{
  WR_CHECK(reason < WR_RETRY_REASONS);
  return reasons[reason];
}
