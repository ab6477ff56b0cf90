#pragma once
/// What one program of weir leaves to the next when that takes over its process (upgrade.h): a
/// document in sealed memory, and descriptors that stay open under their numbers.
///
/// The document is JSON, for the next program may be of another version. Nothing in it is secret to
/// the process, which it never leaves. The master's only.

#include "master.h"

struct json_t; // jansson's

enum { WR_HANDOVER_VERSION = 1 };

/// How a program is told of its document, and that it has the process back because another failed.
#define WR_HANDOVER_VARIABLE "WEIR_HANDOVER"
#define WR_HANDOVER_FAILURE_VARIABLE "WEIR_HANDOVER_FAILURE"

/// What was taken over. Descriptors are -1 when there are none.
struct wr_handover {
  bool is_rehearsal; ///< to be tried only: nothing but bundle and snapshot is ours
  bool is_back;      ///< the program that took over from us has failed, and gave it back
  char *failure;     ///< why; NULL when it did not
  char *program;     ///< what weir was started as: the path that the next upgrade starts
  uint32_t workers;  ///< of each fleet
  uint32_t slot;     ///< first one of the fleet that serves
  int document;      ///< itself
  int arena;         ///< of whatever layout
  int bundle;        ///< the live one
  int snapshot;      ///< of named state, for another layout
  int previous;      ///< the program that handed over, to be given back to it
  int caller;        ///< a connection that waits for what comes of it
  int *kept;         ///< all descriptors that were open when it was taken over
  size_t kept_count;
  struct json_t *root; // private
};

/// Whom weir is about to become, or to try.
struct wr_handover_plan {
  bool is_rehearsal;
  int caller; ///< -1: nobody waits
};

/// Takes what the program before left, if there is something: `*out` is NULL otherwise. False with
/// a set error when it makes no sense.
bool wr_handover_take(struct wr_handover **out, struct wr_error *error);

/// NULL is fine. The descriptors stay open.
void wr_handover_free(struct wr_handover *h);

/// Writes the document. Its descriptors, and those that it names, are no longer closed by execve;
/// `wr_handover_close` undoes that. -1 with errno set.
int wr_handover_pack(struct wr_master *m, const struct wr_handover_plan *plan);

/// The upgrade did not come to it: descriptors are closed by execve again, and `document` is now.
void wr_handover_close(int document);

/// It is ours for good: closes what was kept to go back, and, of another layout, the arena.
void wr_handover_forget(struct wr_handover *h, bool is_foreign);

/// What serves is the other program's: listeners, the workers (as the leaving ones, or, given back,
/// as ours) and what there is to know.
void wr_handover_adopt(struct wr_master *m);
