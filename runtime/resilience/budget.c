#include "resilience/budget.h"

#include "base/archive.h"
#include "base/check.h"
#include "base/duration.h"

#include <stddef.h>

enum { DEPOSITS, WITHDRAWALS }; // columns

void wr_budget_config_init(struct wr_budget_config *config)
{
  *config = (struct wr_budget_config){.ratio = 0.2, .min = 3, .span_ns = 10 * WR_SECOND};
}

const char *wr_budget_config_check(const struct wr_budget_config *c)
{
  if (!(c->ratio >= 0 && c->ratio <= 10)) return "ratio must be between 0 and 10";
  if (c->min > 1000000) return "min must be 0 to 1000000";
  if (c->span_ns < WR_MS || c->span_ns > WR_DURATION_MAX) return "span must be 1ms to 10 years";
  return NULL;
}

void wr_budget_init(struct wr_budget *b, const struct wr_budget_config *config)
{
  WR_CHECK(wr_budget_config_check(config) == NULL);
  *b = (struct wr_budget){.config = *config};
  wr_rolling_init(&b->rolling, config->span_ns);
}

void wr_budget_reconfigure(struct wr_budget *b, const struct wr_budget_config *config,
                           uint64_t now_ns)
{
  WR_CHECK(wr_budget_config_check(config) == NULL);
  b->config = *config;
  wr_rolling_reshape(&b->rolling, now_ns, config->span_ns);
}

void wr_budget_deposit(struct wr_budget *b, uint64_t now_ns)
{
  wr_rolling_add(&b->rolling, now_ns, DEPOSITS, 1);
}

// In doubles: an integer price per retry would make 0.3 of the calls a third of them.
static double allowance(struct wr_budget *b, uint64_t now_ns)
{
  return b->config.ratio * wr_rolling_sum(&b->rolling, now_ns, DEPOSITS) + b->config.min;
}

bool wr_budget_withdraw(struct wr_budget *b, uint64_t now_ns)
{
  double after = (double)wr_rolling_sum(&b->rolling, now_ns, WITHDRAWALS) + 1;
  // 0.2 x 15 is a hair above or below 3, depending on the ratio: a millionth of a retry is nothing.
  if (after > allowance(b, now_ns) + 1e-6) {
    b->denied++;
    return false;
  }
  wr_rolling_add(&b->rolling, now_ns, WITHDRAWALS, 1);
  b->withdrawn++;
  return true;
}

double wr_budget_remaining(struct wr_budget *b, uint64_t now_ns)
{
  double all = allowance(b, now_ns);
  double left = all - wr_rolling_sum(&b->rolling, now_ns, WITHDRAWALS);
  return left > 0 ? left / all : 0;
}

double wr_budget_share(struct wr_budget *b, uint64_t now_ns)
{
  uint32_t calls = wr_rolling_sum(&b->rolling, now_ns, DEPOSITS);
  return calls > 0 ? (double)wr_rolling_sum(&b->rolling, now_ns, WITHDRAWALS) / calls : 0;
}

void wr_budget_repair(struct wr_budget *b, uint64_t now_ns)
{
  if (wr_budget_config_check(&b->config) != NULL) wr_budget_config_init(&b->config);
  wr_rolling_repair(&b->rolling, now_ns, b->config.span_ns);
}

void wr_budget_archive(struct wr_budget *b, struct wr_archive *a)
{
  wr_archive_u64(a, "withdrawn", &b->withdrawn);
  wr_archive_u64(a, "denied", &b->denied);
  wr_rolling_archive(&b->rolling, a, "window");
}
