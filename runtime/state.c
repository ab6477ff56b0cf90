#include "state.h"

#include "base/memfd.h"
#include "handover.h"
#include "store/snapshot.h"
#include "store/state_file.h"

#include <math.h>

static void load_file(struct wr_master *m)
{
  struct wr_buf text;
  wr_buf_init(&text, WR_SNAPSHOT_BYTES_MAX);
  bool ok = wr_state_file_read(m->settings->state, &text, &m->state_error);
  struct wr_str all = wr_buf_str(&text);
  if (ok && all.len > 0) m->snapshot = wr_snapshot_parse(all, &m->state_error);
  wr_buf_fini(&text);
}

static bool load_handed(struct wr_master *m, int fd, struct wr_error *error)
{
  struct wr_str text = wr_memfd_map(fd);
  m->snapshot = wr_snapshot_parse(text, error);
  wr_memfd_unmap(text);
  return m->snapshot != NULL;
}

static bool load(struct wr_master *m, struct wr_error *error)
{
  const struct wr_handover *h = m->settings->handover;
  if (h != NULL && h->snapshot >= 0) return load_handed(m, h->snapshot, error);
  if (h == NULL && m->settings->state != NULL) load_file(m);
  return true;
}

bool wr_state_open_arena(struct wr_master *m, struct wr_error *error)
{
  const struct wr_handover *h = m->settings->handover;
  uint64_t stamp = wr_guard_stamp();
  if (h != NULL && !h->is_rehearsal) {
    if (wr_arena_adopt(&m->arena, h->arena, stamp, &m->state_error)) return true;
    m->upgrade.is_foreign = true;
  }
  if (!load(m, error)) return false;
  uint64_t seed = m->snapshot ? wr_snapshot_seed(m->snapshot) : wr_loop_entropy();
  struct wr_arena_options options = {
      .worker_count = m->settings->workers, .fleets = 2, .seed = seed, .stamp = stamp};
  return wr_arena_open(&m->arena, &options, error);
}

void wr_state_tell(struct wr_master *m)
{
  if (m->state_error.kind == WR_ERROR_NONE) return;
  bool is_arena = m->settings->handover != NULL;
  wr_log_text(&m->log, WR_LOG_WARN, is_arena ? "state.converted" : "state.ignored",
              is_arena ? "%s is not used, but a snapshot of what is in it: %s"
                       : "%s is not used: %s",
              is_arena ? "the arena" : m->settings->state, m->state_error.message);
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
