#include "follow.h"

#include "base/alloc.h"
#include "demand.h"

#include <limits.h>
#include <string.h>

#define QUIET_NS (200 * WR_MS)

static void on_change(struct wr_watch *w)
{
  wr_demand_load(WR_CONTAINER(w, struct wr_master, watch), NULL,
                 &(struct wr_demand_options){.is_forced = false});
}

void wr_follow_init(struct wr_master *m)
{
  wr_watch_init(&m->watch, &m->loop, QUIET_NS, on_change);
}

// Of scripts all in a folder count: one that is missing may come. Of data, what was read.
static void follow_files(struct wr_master *m, const struct wr_source *source)
{
  for (size_t i = 0; i < source->count; i++) {
    char *place = wr_source_place(source, i);
    char *slash = strrchr(place, '/');
    const char *folder = slash == place ? "/" : place;
    *slash = '\0';
    if (!wr_watch_add(&m->watch, folder, source->files[i].is_data ? slash + 1 : NULL)) {
      wr_log_text(&m->log, WR_LOG_WARN, "watch", "cannot watch %s", folder);
    }
    wr_free(place);
  }
}

void wr_follow_bundle(struct wr_master *m, bool is_of_disk)
{
  struct wr_error error;
  if (!m->settings->watch || m->bundle < 0) return;
  struct wr_source *source = wr_source_unpack(m->bundle, 0, &error);
  if (source == NULL) return;
  wr_watch_clear(&m->watch);
  follow_files(m, source);
  // What was saved since the candidate read it has nobody told of: not every folder was watched,
  // and changes of the others ended with their watch.
  if (is_of_disk && !wr_source_is_current(source)) wr_watch_touch(&m->watch);
  wr_source_free(source);
}

void wr_follow_problem(struct wr_master *m)
{
  char path[PATH_MAX];
  const char *file = m->reload.report.error.file;
  if (!m->settings->watch || file[0] == '\0') return;
  wr_candidate_path(m->settings->file, file, path, sizeof(path));
  char *slash = strrchr(path, '/');
  if (slash == NULL) return;
  *slash = '\0';
  size_t count = m->watch.count;
  // What was saved since the trial read it has nobody told of.
  if (wr_watch_add(&m->watch, path, NULL) && m->watch.count > count) wr_watch_touch(&m->watch);
}

void wr_follow_stop(struct wr_master *m)
{
  wr_watch_clear(&m->watch);
}
