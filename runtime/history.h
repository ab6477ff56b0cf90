#pragma once
/// What was live before, and what must not be live again: bundles that went live, the newest few;
/// strikes against the live generation; bundles that are quarantined for theirs.
///
/// A strike is a worker that died inside a script. WR_HISTORY_STRIKES_MAX of them within
/// WR_HISTORY_STRIKES_NS quarantine the bundle: it does not load again until it changes, or
/// somebody insists. Plain data of the master; forgotten when it ends.

#include "base/list.h"
#include "candidate.h"

enum {
  WR_HISTORY_STRIKES_MAX = 3,
  WR_HISTORY_PAST_MAX = 4,         ///< bundles that could come back
  WR_HISTORY_QUARANTINED_MAX = 64, ///< beyond, the oldest is pardoned
  WR_HISTORY_WHY_MAX = 256,
};

#define WR_HISTORY_STRIKES_NS (60 * WR_SECOND)

/// A bundle that was live.
struct wr_past {
  struct wr_list link;
  uint64_t number;   ///< of its generation then
  uint64_t since_ns; ///< when it was replaced
  int bundle;        ///< packed
  struct wr_candidate_report report;
};

/// A bundle that is quarantined.
struct wr_quarantine {
  struct wr_list link;
  uint64_t hash;
  uint64_t number; ///< of its generation then
  uint64_t since_ns;
  char why[WR_HISTORY_WHY_MAX]; ///< its last strike, in words
};

struct wr_history {
  struct wr_list past; ///< newest last
  size_t past_count;
  struct wr_list quarantined; ///< struct wr_quarantine, newest last
  size_t quarantined_count;
  uint64_t strikes[WR_HISTORY_STRIKES_MAX]; // when, oldest first
  size_t strike_count;
};

/// Nothing was live yet.
void wr_history_init(struct wr_history *h);

/// Forgets everything.
void wr_history_fini(struct wr_history *h);

/// Another generation is live: `was`, which was before, is copied as the newest past, and its
/// bundle is the history's. One that is quarantined is not kept, and of one bundle only the newest.
void wr_history_push(struct wr_history *h, const struct wr_past *was);

/// The newest past that is not quarantined; NULL: there is none.
const struct wr_past *wr_history_newest(const struct wr_history *h);

/// The past of generation `number`; NULL: it is not kept.
const struct wr_past *wr_history_past(const struct wr_history *h, uint64_t number);

/// Forgets the past of generation `number`, if it is kept: it is live again, or could not be.
void wr_history_forget(struct wr_history *h, uint64_t number);

/// A strike against the live generation. True when that is one too many.
bool wr_history_strike(struct wr_history *h, uint64_t now_ns);

/// How many it has within the window.
size_t wr_history_strikes(const struct wr_history *h, uint64_t now_ns);

/// Quarantines a bundle.
struct wr_quarantine *wr_history_quarantine(struct wr_history *h, uint64_t hash, uint64_t now_ns);

/// The quarantine of a bundle, NULL when it has none.
struct wr_quarantine *wr_history_find(const struct wr_history *h, uint64_t hash);

/// Whether a bundle is quarantined; then `text` says so, for whoever wants to load it.
bool wr_history_refuses(const struct wr_history *h, uint64_t hash, uint64_t now_ns,
                        char text[WR_SCRIPT_MESSAGE_MAX]);

/// Lifts it; nothing happens when it has none. Its strikes are forgotten with it.
void wr_history_pardon(struct wr_history *h, uint64_t hash);
