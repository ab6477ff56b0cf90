#pragma once
/// Debounced watching of folders for changes of files in them.
///
/// Folders and not files: editors replace a file by renaming another over it, and Kubernetes swaps
/// a symbolic link above it; a watch on the file itself goes deaf then. One call comes after
/// changes have been quiet for `quiet_ns`. It says that something changed, not what: compare
/// contents. One loop's own.

#include "loop/timer.h"

enum { WR_WATCH_FOLDERS_MAX = 64 };

struct wr_watch_folder;

struct wr_watch {
  struct wr_loop *loop;                                  // private
  struct wr_timer quiet;                                 // private
  uint64_t quiet_ns;                                     // private
  struct wr_watch_folder *folders[WR_WATCH_FOLDERS_MAX]; // private
  size_t count;                                          ///< read-only
  void (*on_change)(struct wr_watch *w);
};

/// Watches nothing yet.
void wr_watch_init(struct wr_watch *w, struct wr_loop *l, uint64_t quiet_ns,
                   void (*on_change)(struct wr_watch *w));

/// Also watches `folder` for changes of the file `name`, or, when that is NULL, of its scripts.
/// False when it cannot be, or past WR_WATCH_FOLDERS_MAX.
bool wr_watch_add(struct wr_watch *w, const char *folder, const char *name);

/// As if something had changed: for what may have while nobody watched.
void wr_watch_touch(struct wr_watch *w);

/// Watches nothing any more, and forgets a change that was not told yet; handles close by
/// themselves, the memory of `w` is the caller's at once.
void wr_watch_clear(struct wr_watch *w);
