#pragma once
/// The trial of a bundle: a forked child of the master that reads it, runs its declarations, and
/// tells what it found. It may loop, bloat or crash without harm: its arena is a private copy.

#include "policy/source.h"
#include "services.h"

struct wr_generation;

enum {
  WR_CANDIDATE_LISTENS_MAX = 64,
  WR_CANDIDATE_ADDRESS_MAX = 120, ///< a Unix socket's path has 107 bytes
  WR_CANDIDATE_PLACE_MAX = WR_SCRIPT_FILE_MAX + 12,
};

#define WR_CANDIDATE_WORK_NS (4 * WR_SECOND)  ///< of processor time, then the kernel ends it
#define WR_CANDIDATE_TIME_NS (15 * WR_SECOND) ///< then the master ends it: a busy machine is slow

/// One address to listen on.
struct wr_candidate_listen {
  char address[WR_CANDIDATE_ADDRESS_MAX];
  char place[WR_CANDIDATE_PLACE_MAX]; ///< "file:line" of its declaration
  uint32_t mode;                      ///< of the file of a Unix socket
};

/// The one message a candidate sends; with its result as descriptor when `ok`.
struct wr_candidate_report {
  bool ok;
  char stage[16]; ///< when not ok: "read", "load", "routes", "selftest", "crash", "time"
  struct wr_script_error error;
  uint64_t hash;
  uint32_t files;
  uint32_t routes;
  uint32_t selftests; ///< how many passed, or were tried
  uint32_t listen_count;
  struct wr_candidate_listen listens[WR_CANDIDATE_LISTENS_MAX];
};

/// The report in a message of the size of one. The sender ran scripts and may say anything: every
/// text is ended here.
void wr_candidate_read(struct wr_candidate_report *report, const void *message);

/// A bundle's file as somebody who stands where weir was started would write it: `file` is relative
/// to the folder of `main_file`. "" stays "". NUL-terminated, cut at `size`.
void wr_candidate_path(const char *main_file, const char *file, char *out, size_t size);

enum wr_candidate_wish {
  WR_CANDIDATE_BUNDLE,  ///< whether the bundle loads; the result is the bundle, packed
  WR_CANDIDATE_FACTS,   ///< the result is what the bundle declares, as JSON
  WR_CANDIDATE_CHANGES, ///< the result is what it would change of `base`, as JSON
};

/// What a candidate is to do.
struct wr_candidate_task {
  enum wr_candidate_wish wish;
  struct wr_source *subject; ///< the bundle; NULL: the files on disk
  struct wr_source *base;    ///< for CHANGES, else NULL
};

/// Runs the trial in this process, which is the forked child, takes the sources of `task` over, and
/// sends the report on `fd`, with the result as descriptor. Returns the exit code.
int wr_candidate_run(struct wr_arena *a, const struct wr_settings *settings,
                     const struct wr_candidate_task *task, int fd);

/// Somebody who looks at the loaded generation before it goes away.
struct wr_candidate_inspector {
  void (*look)(void *ctx, const struct wr_generation *g);
  void *ctx;
};

/// Runs the trial of `subject` (taken over; NULL: the files on disk) and fills `report` here; the
/// packed bundle is not made. For `weir check`.
void wr_candidate_try(struct wr_arena *a, const struct wr_settings *settings,
                      struct wr_source *subject, struct wr_candidate_report *report,
                      const struct wr_candidate_inspector *inspector);
