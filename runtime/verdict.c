#include "verdict.h"

#include "probation.h"

#include <limits.h>
#include <math.h>

enum { TEXT_MAX = 64 * 1024 };

static void write_failure(struct wr_master *m, const struct wr_candidate_report *report,
                          struct wr_json *j)
{
  wr_json_field_cstr(j, "stage", report->stage);
  if (report->error.file[0]) {
    char path[PATH_MAX];
    wr_candidate_path(m->settings->file, report->error.file, path, sizeof(path));
    wr_json_field_cstr(j, "file", path);
    wr_json_field_uint(j, "line", (uint64_t)report->error.line);
  }
  wr_json_field_cstr(j, "message", report->error.message);
  if (report->error.traceback[0]) wr_json_field_cstr(j, "traceback", report->error.traceback);
}

static void write_verdict(struct wr_master *m, bool ok, bool changed, struct wr_json *j)
{
  uint64_t took = wr_loop_now(&m->loop) - m->reload.started_ns;
  bool is_shadow = m->reload.order != NULL && m->reload.order->probation.is_shadow;
  wr_json_field_cstr(j, "result", !ok ? "failed" : is_shadow ? "shadowed" : "live");
  wr_json_field_uint(j, "generation", m->live);
  wr_json_field_bool(j, "changed", changed);
  wr_json_field_uint(j, "workers", m->settings->workers);
  wr_json_field_num(j, "took_ms", floor((double)took / 1e3) / 1e3);
  bool was_canary = m->reload.canary.requests + m->reload.baseline.requests > 0;
  if (was_canary || is_shadow) wr_probation_write(m, j);
  if (!ok) write_failure(m, &m->reload.report, j);
}

void wr_verdict_log(struct wr_master *m, bool ok, bool changed)
{
  struct wr_json *j = wr_log_begin(&m->log, ok ? WR_LOG_INFO : WR_LOG_ERROR, "reload");
  if (j == NULL) return;
  write_verdict(m, ok, changed, j);
  wr_log_end(&m->log);
}

void wr_verdict_count(struct wr_master *m, bool ok, bool changed)
{
  m->reload.counted[ok]++;
  bool is_shadow = m->reload.order->probation.is_shadow;
  const char *result = !ok ? "failed" : is_shadow ? "shadowed" : changed ? "live" : "unchanged";
  wr_meter_add(&m->meter, WR_METRIC_POLICY_RELOADS, 1, "result", result, NULL);
  wr_series_set(&m->arena, wr_slot_master(&m->arena),
                wr_meter_series(&m->meter, WR_METRIC_POLICY_LAST_RELOAD, NULL), ok);
}

void wr_verdict_joined(struct wr_master *m)
{
  m->reload.joined++;
  wr_meter_add(&m->meter, WR_METRIC_POLICY_RELOADS, 1, "result", "joined", NULL);
}

void wr_verdict_tell(struct wr_master *m, struct wr_order *o, bool ok, bool changed)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, TEXT_MAX);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  write_verdict(m, ok, changed, &j);
  wr_json_object_end(&j);
  wr_order_answer(o, ok, wr_buf_str(&out));
  wr_buf_fini(&out);
}

void wr_verdict_problem(struct wr_master *m, const struct wr_candidate_report *report,
                        struct wr_buf *out)
{
  struct wr_json j;
  wr_buf_init(out, TEXT_MAX);
  wr_json_init(&j, out);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "result", "failed");
  wr_json_field_uint(&j, "generation", m->live);
  write_failure(m, report, &j);
  wr_json_object_end(&j);
}

// A reload that failed changed nothing: weir is as ready as before, and says what was wrong.
void wr_verdict_notify(struct wr_master *m, bool ok)
{
  const struct wr_reload *r = &m->reload;
  unsigned long long live = m->live;
  if (m->is_draining || live == 0) return;
  if (ok) {
    wr_notify_ready(&m->notify, "generation %llu is live: %u routes, %u workers", live,
                    m->live_report.routes, m->settings->workers);
  } else {
    wr_notify_ready(&m->notify, "generation %llu is live; the last reload failed (%s): %s", live,
                    r->report.stage, r->last);
  }
}
