#include "loop/watch.h"

#include "base/alloc.h"

#include <string.h>

// Outlives the watch until libuv has closed the handle.
struct wr_watch_folder {
  struct wr_handle handle;
  uv_fs_event_t uv;
  struct wr_watch *watch; // NULL once cleared
  char *path;
  bool has_scripts; // which count
  char **names;     // and so do these
  size_t name_count;
};

static void on_quiet(struct wr_timer *t)
{
  struct wr_watch *w = WR_CONTAINER(t, struct wr_watch, quiet);
  w->on_change(w);
}

void wr_watch_init(struct wr_watch *w, struct wr_loop *l, uint64_t quiet_ns,
                   void (*on_change)(struct wr_watch *w))
{
  *w = (struct wr_watch){.loop = l, .quiet_ns = quiet_ns, .on_change = on_change};
  wr_timer_init(&w->quiet, l, on_quiet);
}

static bool is_named(const struct wr_watch_folder *folder, const char *name)
{
  for (size_t i = 0; i < folder->name_count; i++) {
    if (strcmp(folder->names[i], name) == 0) return true;
  }
  return false;
}

// A log written into a watched folder must not reload for ever: what was asked for counts, and the
// links that Kubernetes turns over ("..data"). Without a name it may be anything.
static bool is_relevant(const struct wr_watch_folder *folder, const char *name)
{
  size_t len = name ? strlen(name) : 0;
  if (len == 0 || strncmp(name, "..", 2) == 0) return true;
  bool is_script = len > 4 && strcmp(name + len - 4, ".lua") == 0;
  return (is_script && folder->has_scripts) || is_named(folder, name);
}

void wr_watch_touch(struct wr_watch *w)
{
  wr_timer_start(&w->quiet, w->quiet_ns);
}

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
  (void)events;
  (void)status; // an error is a change too: the folder may be gone
  struct wr_watch_folder *folder = uv->data;
  wr_loop_tick(folder->handle.loop);
  if (folder->watch && is_relevant(folder, name)) wr_watch_touch(folder->watch);
}

static void on_closed(uv_handle_t *uv)
{
  struct wr_watch_folder *folder = uv->data;
  for (size_t i = 0; i < folder->name_count; i++) wr_free(folder->names[i]);
  wr_free(folder->names);
  wr_free(folder->path);
  wr_free(folder);
}

static void close_folder(struct wr_watch_folder *folder)
{
  folder->watch = NULL;
  wr_list_remove(&folder->handle.link);
  uv_close((uv_handle_t *)&folder->uv, on_closed);
}

static struct wr_watch_folder *find(const struct wr_watch *w, const char *path)
{
  for (size_t i = 0; i < w->count; i++) {
    if (strcmp(w->folders[i]->path, path) == 0) return w->folders[i];
  }
  return NULL;
}

static struct wr_watch_folder *add_folder(struct wr_watch *w, const char *path)
{
  if (w->count == WR_WATCH_FOLDERS_MAX) return NULL;
  struct wr_watch_folder *folder = wr_alloc(sizeof(*folder));
  folder->watch = w;
  folder->path = wr_strdup(path);
  folder->handle.loop = w->loop;
  folder->handle.name = "watch";
  folder->uv.data = folder;
  WR_CHECK(uv_fs_event_init(&w->loop->uv, &folder->uv) == 0);
  wr_list_push(&w->loop->handles, &folder->handle.link);
  if (uv_fs_event_start(&folder->uv, on_event, path, 0) != 0) {
    close_folder(folder);
    return NULL;
  }
  w->folders[w->count++] = folder;
  return folder;
}

bool wr_watch_add(struct wr_watch *w, const char *path, const char *name)
{
  struct wr_watch_folder *folder = find(w, path);
  if (folder == NULL) folder = add_folder(w, path);
  if (folder == NULL) return false;
  if (name == NULL) {
    folder->has_scripts = true;
  } else if (!is_named(folder, name)) {
    size_t size = (folder->name_count + 1) * sizeof(*folder->names);
    folder->names = wr_realloc(folder->names, size);
    folder->names[folder->name_count++] = wr_strdup(name);
  }
  return true;
}

void wr_watch_clear(struct wr_watch *w)
{
  wr_timer_stop(&w->quiet);
  for (size_t i = 0; i < w->count; i++) close_folder(w->folders[i]);
  w->count = 0;
}
