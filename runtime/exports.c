#include "exports.h"

#include "base/alloc.h"
#include "base/memfd.h"
#include "fleet.h"
#include "master.h"
#include "observe/metrics.h"
#include "observe/otlp_logs.h"
#include "observe/otlp_metrics.h"
#include "observe/traffic_page.h"
#include "observe/usage.h"

#include <unistd.h>

enum {
  PAGE_BYTES = 64 << 20, // of metrics, as for the admin listener
  LINES_TOGETHER = 256,  // converted before the loop turns
};

#define SOON (10 * WR_MS)         // when there is more to convert
#define FOLLOWED (60 * WR_SECOND) // how long lines are wanted from each look on

static const enum wr_journal_ring rings[] = {WR_JOURNAL_EVENTS, WR_JOURNAL_LINES};

static const struct wr_otlp_settings *settings_of(const struct wr_master *m)
{
  return m->settings->otlp;
}

// --- to a worker --------------------------------------------------------------------------------

static void drop(struct wr_master *m, enum wr_otlp_signal signal, uint32_t records,
                 const char *reason)
{
  if (records == 0) return;
  wr_meter_add(&m->meter, WR_METRIC_TELEMETRY_DROPPED, records, "signal",
               wr_otlp_settings_signal(signal), "reason", reason, NULL);
}

static struct wr_master_worker *find_worker(struct wr_master *m)
{
  struct wr_master_worker *serving = wr_fleet_serving(m);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (serving[i].pid > 0 && serving[i].live > 0 && serving[i].mailbox.is_open) return &serving[i];
  }
  return NULL;
}

static bool hand_over(struct wr_master *m, const struct wr_otlp_payload *p)
{
  struct wr_master_worker *w = find_worker(m);
  struct wr_worker_export what = {p->signal, p->records};
  int fd = w ? wr_memfd_new("weir-export", (struct wr_str){p->data, p->len}) : -1;
  if (fd < 0) return false;
  struct wr_str payload = {(const char *)&what, sizeof(what)};
  wr_fleet_send(w, WR_WORKER_EXPORT, 0, payload, fd);
  close(fd);
  return true;
}

static void deliver(void *ctx, struct wr_otlp_batch *batch)
{
  struct wr_master *m = ctx;
  struct wr_otlp_payload *p = wr_otlp_batch_take(batch);
  if (p == NULL) return;
  if (!hand_over(m, p)) drop(m, p->signal, p->records, "no_worker");
  wr_free(p);
}

void wr_exports_bury(struct wr_master *m, uint32_t slot)
{
  struct wr_slot *s = wr_slot_of(&m->arena, slot);
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) {
    uint32_t lost = atomic_exchange_explicit(&s->unsent[i], 0, memory_order_relaxed);
    drop(m, (enum wr_otlp_signal)i, lost, "worker_died");
  }
}

// --- metrics ------------------------------------------------------------------------------------

static bool write_usage(struct wr_master *m, struct wr_buf *out)
{
  size_t count;
  pid_t *pids = wr_fleet_pids(m, &count);
  struct wr_usage usage = {pids, count, m->started_wall_ns};
  bool ok = wr_usage_write(&usage, out);
  wr_free(pids);
  return ok;
}

bool wr_exports_page(struct wr_master *m, bool with_examples, struct wr_buf *out)
{
  return wr_metrics_write(&m->registry, wr_loop_now(&m->loop), with_examples, out) &&
         write_usage(m, out) && wr_traffic_page_summaries(&m->traffic, out);
}

static void export_metrics(struct wr_master *m)
{
  struct wr_otlp_metrics metrics = {.batch = &m->exports.batches[WR_OTLP_METRICS],
                                    .arena = &m->arena,
                                    .totals = &m->exports.totals,
                                    .is_exponential = settings_of(m)->is_exponential,
                                    .start_ns = m->started_wall_ns,
                                    .now_ns = wr_loop_wall()};
  struct wr_buf page;
  wr_buf_init(&page, PAGE_BYTES);
  if (wr_exports_page(m, false, &page)) {
    wr_otlp_metrics_write(&metrics, wr_buf_str(&page));
    deliver(m, metrics.batch);
    drop(m, WR_OTLP_METRICS, metrics.lost, "too_large");
  } else {
    drop(m, WR_OTLP_METRICS, 1, "too_large");
  }
  wr_buf_fini(&page);
}

static void on_metrics(struct wr_timer *t)
{
  struct wr_exports *e = WR_CONTAINER(t, struct wr_exports, timers[WR_OTLP_METRICS]);
  struct wr_master *m = WR_CONTAINER(e, struct wr_master, exports);
  if (find_worker(m)) export_metrics(m);
  wr_timer_start(t, settings_of(m)->schedule_ns[WR_OTLP_METRICS]);
}

// --- log lines ----------------------------------------------------------------------------------

static size_t cursor_count(const struct wr_master *m)
{
  return m->arena.header->slot_count * WR_COUNT(rings);
}

static void take_line(struct wr_master *m)
{
  struct wr_otlp_batch *batch = &m->exports.batches[WR_OTLP_LOGS];
  if (!wr_otlp_logs_write(batch, wr_buf_str(&m->exports.line), wr_loop_wall())) {
    drop(m, WR_OTLP_LOGS, 1, "too_large");
  }
}

// Takes up to `count` lines of all processes; how many there were.
static size_t take_lines(struct wr_master *m, size_t count)
{
  size_t taken = 0;
  for (size_t i = 0; i < cursor_count(m); i++) {
    struct wr_journal_cursor *c = &m->exports.cursors[i];
    while (taken < count && wr_journal_next(&m->arena, c, &m->exports.line)) {
      take_line(m);
      taken++;
    }
    drop(m, WR_OTLP_LOGS, (uint32_t)c->missed, "missed");
    c->missed = 0;
  }
  return taken;
}

static void on_lines(struct wr_timer *t)
{
  struct wr_exports *e = WR_CONTAINER(t, struct wr_exports, timers[WR_OTLP_LOGS]);
  struct wr_master *m = WR_CONTAINER(e, struct wr_master, exports);
  wr_journal_follow(&m->arena, wr_loop_now(&m->loop) + FOLLOWED);
  // As long as nobody could send them, lines wait in their rings.
  bool is_all = find_worker(m) == NULL || take_lines(m, LINES_TOGETHER) < LINES_TOGETHER;
  if (is_all) deliver(m, &e->batches[WR_OTLP_LOGS]);
  uint64_t wait_ns = settings_of(m)->schedule_ns[WR_OTLP_LOGS];
  wr_timer_start(t, is_all ? wait_ns : SOON);
}

static void open_lines(struct wr_master *m)
{
  struct wr_exports *e = &m->exports;
  e->cursors = wr_alloc(cursor_count(m) * sizeof(*e->cursors));
  wr_buf_init(&e->line, WR_JOURNAL_RECORD_MAX);
  for (size_t i = 0; i < cursor_count(m); i++) {
    e->cursors[i] = (struct wr_journal_cursor){.slot = (uint32_t)(i / WR_COUNT(rings)),
                                               .ring = rings[i % WR_COUNT(rings)]};
    wr_journal_skip(&m->arena, &e->cursors[i]);
  }
  on_lines(&e->timers[WR_OTLP_LOGS]);
}

// --- life ---------------------------------------------------------------------------------------

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
  const struct wr_otlp_settings *s = settings_of(m);
  struct wr_exports *e = &m->exports;
  wr_otlp_batch_init(&e->batches[WR_OTLP_METRICS], s, WR_OTLP_METRICS, deliver, m);
  wr_otlp_batch_init(&e->batches[WR_OTLP_LOGS], s, WR_OTLP_LOGS, deliver, m);
  wr_timer_init(&e->timers[WR_OTLP_METRICS], &m->loop, on_metrics);
  wr_timer_init(&e->timers[WR_OTLP_LOGS], &m->loop, on_lines);
  if (s->targets[WR_OTLP_LOGS].is_on) open_lines(m);
  for (size_t i = 0; i < s->warning_count; i++) warn(m, &s->warnings[i]);
  if (!s->targets[WR_OTLP_METRICS].is_on) return;
  wr_timer_start(&e->timers[WR_OTLP_METRICS], s->schedule_ns[WR_OTLP_METRICS]);
}

// A rehearsal exports nothing.
static bool has_begun(const struct wr_master *m)
{
  return m->exports.batches[WR_OTLP_METRICS].settings != NULL;
}

void wr_exports_flush(struct wr_master *m)
{
  if (!has_begun(m)) return;
  if (settings_of(m)->targets[WR_OTLP_METRICS].is_on) export_metrics(m);
  if (m->exports.cursors == NULL) return;
  take_lines(m, SIZE_MAX);
  deliver(m, &m->exports.batches[WR_OTLP_LOGS]);
}

void wr_exports_fini(struct wr_master *m)
{
  struct wr_exports *e = &m->exports;
  if (!has_begun(m)) return;
  wr_timer_stop(&e->timers[WR_OTLP_METRICS]);
  wr_timer_stop(&e->timers[WR_OTLP_LOGS]);
  wr_otlp_batch_fini(&e->batches[WR_OTLP_METRICS]);
  wr_otlp_batch_fini(&e->batches[WR_OTLP_LOGS]);
  wr_buf_fini(&e->line);
  wr_otlp_totals_fini(&e->totals);
  wr_free(e->cursors);
}
