#include "upgrade_verdict.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 * 1024 };

static void write_verdict(struct wr_master *m, const char *why, struct wr_json *j)
{
  const struct wr_upgrade *u = &m->upgrade;
  uint64_t took = wr_loop_now(&m->loop) - u->started_ns;
  wr_json_field_cstr(j, "result", why ? "failed" : "upgraded");
  wr_json_field_cstr(j, "version", WEIR_VERSION);
  wr_json_field_uint(j, "pid", (uint64_t)getpid());
  wr_json_field_uint(j, "generation", m->live);
  wr_json_field_uint(j, "workers", m->settings->workers);
  wr_json_field_num(j, "took_ms", floor((double)took / 1e3) / 1e3);
  if (why == NULL) wr_json_field_cstr(j, "state", u->is_foreign ? "snapshot" : "arena");
  if (why != NULL) wr_json_field_cstr(j, "message", why);
}

// The connection was another program's, whose server is gone: one answer by hand, and its end.
static void answer_by_hand(int fd, bool ok, struct wr_str json)
{
  char head[256];
  int len = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                     ok ? "200 OK" : "422 Unprocessable Content", json.len);
  // What a socket's buffer does not take is not worth waiting for.
  bool sent = write(fd, head, (size_t)len) == len && write(fd, json.ptr, json.len) > 0;
  (void)sent;
  close(fd);
}

static void answer(struct wr_master *m, bool ok, const char *why)
{
  struct wr_upgrade *u = &m->upgrade;
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, ANSWER_MAX);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  write_verdict(m, why, &j);
  wr_json_object_end(&j);
  if (u->caller >= 0) answer_by_hand(u->caller, ok, wr_buf_str(&out));
  if (u->waiter != NULL) wr_admin_answer(u->waiter, ok, wr_buf_str(&out));
  u->caller = -1;
  u->waiter = NULL;
  wr_buf_fini(&out);
}

static void tell_log(struct wr_master *m, const char *why)
{
  struct wr_json *j = wr_log_begin(&m->log, why ? WR_LOG_ERROR : WR_LOG_INFO, "upgrade");
  if (j == NULL) return;
  write_verdict(m, why, j);
  wr_log_end(&m->log);
}

static void count(struct wr_master *m, bool ok)
{
  m->upgrade.counted[ok]++;
  wr_meter_add(&m->meter, WR_METRIC_UPGRADES, 1, "result", ok ? "upgraded" : "failed", NULL);
}

void wr_upgrade_verdict_done(struct wr_master *m)
{
  m->upgrade.last[0] = '\0';
  count(m, true);
  tell_log(m, NULL);
  answer(m, true, NULL);
}

void wr_upgrade_verdict_failed(struct wr_master *m, const char *why)
{
  snprintf(m->upgrade.last, sizeof(m->upgrade.last), "%s", why);
  count(m, false);
  tell_log(m, why);
  wr_notify_ready(&m->notify, "generation %llu is live; an upgrade failed: %s",
                  (unsigned long long)m->live, why);
  answer(m, false, why);
}

void wr_upgrade_verdict_refused(struct wr_master *m, struct wr_admin_waiter *waiter,
                                const char *why)
{
  wr_log_text(&m->log, WR_LOG_WARN, "upgrade.refused", "%s", why);
  if (waiter != NULL) wr_admin_refused(waiter, why);
}
