#include "state.h"

#include "store/snapshot.h"
#include "store/state_file.h"

#include <math.h>

static bool read_file(const char *path, struct wr_buf *text, struct wr_error *error)
{
  wr_buf_init(text, WR_SNAPSHOT_BYTES_MAX);
  return wr_state_file_read(path, text, error);
}

void wr_state_load(struct wr_master *m)
{
  struct wr_buf text;
  if (m->settings->state == NULL) return;
  bool ok = read_file(m->settings->state, &text, &m->state_error);
  struct wr_str all = wr_buf_str(&text);
  if (ok && all.len > 0) m->snapshot = wr_snapshot_parse(all, &m->state_error);
  wr_buf_fini(&text);
}

void wr_state_tell(struct wr_master *m)
{
  if (m->state_error.kind == WR_ERROR_NONE) return;
  wr_log_text(&m->log, WR_LOG_WARN, "state.ignored", "%s is not used: %s", m->settings->state,
              m->state_error.message);
}

static void tell_restored(struct wr_master *m, size_t restored, uint64_t age_ns)
{
  struct wr_json *j = wr_log_begin(&m->log, WR_LOG_INFO, "state.restored");
  if (j == NULL) return;
  wr_json_field_uint(j, "primitives", restored);
  wr_json_field_uint(j, "of", wr_snapshot_count(m->snapshot));
  wr_json_field_num(j, "age_s", floor((double)age_ns / 1e6) / 1e3);
  wr_log_end(&m->log);
}

void wr_state_restore(struct wr_master *m)
{
  if (m->snapshot == NULL) return;
  uint64_t wall_ns = wr_loop_wall();
  size_t restored = wr_snapshot_restore(m->snapshot, &m->registry, wr_loop_now(&m->loop), wall_ns);
  tell_restored(m, restored, wr_snapshot_age(m->snapshot, wall_ns));
  wr_snapshot_free(m->snapshot);
  m->snapshot = NULL;
}

void wr_state_save(struct wr_master *m)
{
  const char *path = m->settings->state;
  struct wr_error error;
  struct wr_buf text;
  if (path == NULL || m->live == 0) return;
  wr_buf_init(&text, WR_SNAPSHOT_BYTES_MAX);
  if (!wr_snapshot_write(&m->registry, wr_loop_now(&m->loop), wr_loop_wall(), &text)) {
    wr_log_text(&m->log, WR_LOG_ERROR, "state.lost", "%s: it takes more than %d MiB", path,
                WR_SNAPSHOT_BYTES_MAX >> 20);
  } else if (!wr_state_file_write(path, wr_buf_str(&text), &error)) {
    wr_log_text(&m->log, WR_LOG_ERROR, "state.lost", "%s: %s", path, error.message);
  } else {
    wr_log_text(&m->log, WR_LOG_INFO, "state.saved", "%s", path);
  }
  wr_buf_fini(&text);
}
