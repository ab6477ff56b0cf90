#include "exports.h"

#include "master.h"
#include "observe/otlp_settings.h"

static void warn(struct wr_master *m, const struct wr_otlp_pair *warning)
{
  struct wr_json *j = wr_log_begin(&m->log, WR_LOG_WARN, "telemetry.variable");
  if (j == NULL) return;
  wr_json_field_str(j, "variable", warning->name);
  wr_json_field_str(j, "message", warning->value);
  wr_log_end(&m->log);
}

void wr_exports_init(struct wr_master *m)
{
  const struct wr_otlp_settings *s = m->settings->otlp;
  for (size_t i = 0; i < s->warning_count; i++) warn(m, &s->warnings[i]);
}
