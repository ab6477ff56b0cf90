#include "verdict.h"

#include "base/alloc.h"
#include "base/memfd.h"

#include <limits.h>
#include <math.h>

static void write_failure(struct wr_master *m, struct wr_json *j)
{
  const struct wr_candidate_report *report = &m->reload.report;
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
  wr_json_field_cstr(j, "result", ok ? "live" : "failed");
  wr_json_field_uint(j, "generation", m->live);
  wr_json_field_bool(j, "changed", changed);
  wr_json_field_uint(j, "workers", m->settings->workers);
  wr_json_field_num(j, "took_ms", floor((double)took / 1e3) / 1e3);
  if (!ok) write_failure(m, j);
}

void wr_verdict_log(struct wr_master *m, bool ok, bool changed)
{
  struct wr_json *j = wr_log_begin(&m->log, ok ? WR_LOG_INFO : WR_LOG_ERROR, "reload");
  if (j == NULL) return;
  write_verdict(m, ok, changed, j);
  wr_log_end(&m->log);
}

static void answer(struct wr_master *m, bool ok, struct wr_str json)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&m->reload.callers)) != NULL) {
    struct wr_reload_caller *caller = WR_CONTAINER(node, struct wr_reload_caller, link);
    wr_admin_reloaded(caller->waiter, ok, json);
    wr_free(caller);
  }
}

void wr_verdict_tell(struct wr_master *m, bool ok, bool changed)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, 64 * 1024);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  write_verdict(m, ok, changed, &j);
  wr_json_object_end(&j);
  answer(m, ok, wr_buf_str(&out));
  wr_buf_fini(&out);
}

void wr_verdict_tell_dry(struct wr_master *m, int fd)
{
  struct wr_str changes = fd >= 0 ? wr_memfd_map(fd) : (struct wr_str){NULL, 0};
  if (changes.ptr != NULL) {
    answer(m, true, changes);
  } else {
    wr_verdict_tell(m, false, false);
  }
  wr_memfd_unmap(changes);
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
