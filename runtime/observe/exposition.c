#include "observe/exposition.h"

#include <math.h>

static const struct {
  const char *name;
  const char *type;
  const char *help;
} families[WR_METRICS] = {
#define COUNTER "counter"
#define GAUGE "gauge"
#define GAUGE_MAX "gauge"
#define SECONDS "histogram"
#define BYTES "histogram"
#define WR_METRIC(ENUM, name, type, help) [WR_METRIC_##ENUM] = {name, type, help},
#include "tables/metrics.def"
#undef WR_METRIC
};

bool wr_exposition_number(struct wr_buf *out, double value)
{
  if (isnan(value)) return wr_buf_printf(out, "NaN\n");
  if (isinf(value)) return wr_buf_printf(out, value > 0 ? "+Inf\n" : "-Inf\n");
  if (value == floor(value) && fabs(value) < 1e15) return wr_buf_printf(out, "%.0f\n", value);
  return wr_buf_printf(out, "%.9g\n", value);
}

bool wr_exposition_header(struct wr_buf *out, const char *name, const char *help, const char *type)
{
  return wr_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

bool wr_exposition_family(struct wr_buf *out, enum wr_metric metric)
{
  return wr_exposition_header(out, families[metric].name, families[metric].help,
                              families[metric].type);
}

const char *wr_exposition_name(enum wr_metric metric)
{
  return families[metric].name;
}

const char *wr_exposition_help(enum wr_metric metric)
{
  return families[metric].help;
}
