#include "loop/watch.h"

#include "base/alloc.h"

#include <string.h>

// Outlives the watch until libuv has closed the handle.
struct wr_watch_folder {
  struct wr_handle handle;
  uv_fs_event_t uv;
  struct wr_watch *watch; // NULL once cleared
  char *path;
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

// A log written into a watched folder must not reload for ever: scripts count, and the links that
// Kubernetes turns over ("..data"). Without a name it may be anything.
static bool is_relevant(const struct wr_watch *w, const char *name)
{
  size_t len = name ? strlen(name) : 0;
  if (len == 0 || strncmp(name, "..", 2) == 0) return true;
  if (w->file) return strcmp(name, w->file) == 0;
  return len > 4 && strcmp(name + len - 4, ".lua") == 0;
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
  if (folder->watch && is_relevant(folder->watch, name)) wr_watch_touch(folder->watch);
}

static void on_closed(uv_handle_t *uv)
{
  struct wr_watch_folder *folder = uv->data;
  wr_free(folder->path);
  wr_free(folder);
}

static void close_folder(struct wr_watch_folder *folder)
{
  folder->watch = NULL;
  wr_list_remove(&folder->handle.link);
  uv_close((uv_handle_t *)&folder->uv, on_closed);
}

bool wr_watch_add(struct wr_watch *w, const char *path)
{
  for (size_t i = 0; i < w->count; i++) {
    if (strcmp(w->folders[i]->path, path) == 0) return true;
  }
  if (w->count == WR_WATCH_FOLDERS_MAX) return false;
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
    return false;
  }
  w->folders[w->count++] = folder;
  return true;
}

void wr_watch_clear(struct wr_watch *w)
{
  wr_timer_stop(&w->quiet);
  for (size_t i = 0; i < w->count; i++) close_folder(w->folders[i]);
  w->count = 0;
}
