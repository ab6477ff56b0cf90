// What is there before anything has happened: counters from 0, so that a rate sees their first
// step, and every family by name, so that a query which names one that does not exist is seen to.

#include "base/check.h"
#include "observe/exposition.h"
#include "observe/metrics.h"

#include <stdio.h>
#include <string.h>

#define LOST                                                                                       \
  {                                                                                                \
    "queue_full", "rejected", "unreachable", "stopped", "too_large"                                \
  }

// Label values that are known beforehand.
static const struct {
  enum wr_metric metric;
  const char *label; // other labels before it, as they are written
  const char *values[8];
} known[] = {
    {WR_METRIC_WORKER_RESTARTS, "reason", {"signal", "exit"}},
    {WR_METRIC_POLICY_RELOADS, "result", {"live", "unchanged", "failed", "shadowed", "joined"}},
    {WR_METRIC_HTTP_CLIENT_CONNECTIONS, "http_connection_state", {"active", "idle"}},
    {WR_METRIC_POLICY_STRIKES, "cause", {"signal", "stuck"}},
    {WR_METRIC_UPGRADES, "result", {"upgraded", "failed"}},
    {WR_METRIC_LIMITS,
     "limit",
     {"connections", "client_cells", "script_burst", "script_budget", "script_memory",
      "script_growth"}},
    {WR_METRIC_TELEMETRY_DROPPED, "signal=\"traces\",reason", LOST},
    {WR_METRIC_TELEMETRY_DROPPED, "signal=\"metrics\",reason", LOST},
    {WR_METRIC_TELEMETRY_DROPPED, "signal=\"logs\",reason", LOST},
};

// Those that metrics.c reads from elsewhere.
static bool is_read(enum wr_metric metric)
{
  switch (metric) {
  case WR_METRIC_CACHE_BYTES:
  case WR_METRIC_CACHE_ITEMS:
  case WR_METRIC_CACHE_REJECTIONS:
  case WR_METRIC_CACHE_EVICTIONS: return true;
  default: return wr_metrics_is_of_primitives(metric) || wr_metrics_is_of_upstreams(metric);
  }
}

static bool has_labels(enum wr_metric metric)
{
  const char *help = wr_exposition_help(metric);
  return help[strlen(help) - 1] == '}';
}

void wr_metrics_begin(struct wr_arena *a)
{
  for (int i = 0; i < WR_METRICS; i++) {
    enum wr_metric metric = (enum wr_metric)i;
    if (!has_labels(metric) && !is_read(metric)) wr_series_get(a, metric, WR_STR(""));
  }
  for (size_t i = 0; i < WR_COUNT(known); i++) {
    for (size_t k = 0; k < WR_COUNT(known[i].values) && known[i].values[k]; k++) {
      char text[64];
      int len = snprintf(text, sizeof(text), "%s=\"%s\"", known[i].label, known[i].values[k]);
      wr_series_get(a, known[i].metric, (struct wr_str){text, (size_t)len});
    }
  }
}

bool wr_metrics_silent(const bool told[WR_METRICS], struct wr_buf *out)
{
  bool ok = true;
  for (int i = 0; ok && i < WR_METRICS; i++) {
    enum wr_metric metric = (enum wr_metric)i;
    if (!told[metric] && !is_read(metric)) ok = wr_exposition_family(out, metric);
  }
  return ok;
}
