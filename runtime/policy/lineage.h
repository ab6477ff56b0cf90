#pragma once
/// The generations of one worker: the one that serves, the one that is loaded next, the one before,
/// and those that still finish.
///
///     load -> warming -> live -> cooling -> live again
///                |          \         \-> draining -> gone
///                \-> canary -> live or draining
///
/// The one that was replaced last is kept warm for ten minutes, so that going back to it is one
/// pointer: its requests finish as in a draining one. One worker's loop.

#include "policy/serve.h"
#include "script/guard_shadow.h"

struct wr_lineage {
  struct wr_serve *serve;           ///< whose live generation it is
  struct wr_generation *warming;    ///< loaded, waits for its turn; NULL: none
  struct wr_generation *shadow;     ///< decides beside the live one, without effect; NULL: none
  struct wr_guard_shadow asked;     // private: by which it does
  struct wr_generation *cooling;    ///< was live last; NULL: none
  struct wr_generation *loading;    // in slices: warming, or the shadow; NULL: none
  bool is_loading;                  // private: or it has failed, and nobody was told yet
  uint64_t loading_number;          // private
  struct wr_source *source;         // private: what is to be loaded, until the first slice
  struct wr_generation_error error; // private: of the load
  struct wr_list withering;         // held by nobody any more, freed in slices
  struct wr_timer work;             // the next slice
  /// Told when what was to be made ready is (`error` NULL), or cannot be; of one that was kept warm
  /// from inside of wr_lineage_prepare.
  void (*on_ready)(void *ctx, uint64_t number, const struct wr_generation_error *error);
  /// Told after each slice, with how long it took. Optional.
  void (*on_slice)(void *ctx, uint64_t ns);
  void *ctx;
  struct wr_list draining; // oldest first
  size_t draining_count;
};

/// Nothing is loaded yet; set the callbacks then.
void wr_lineage_init(struct wr_lineage *l, struct wr_serve *serve);

/// Makes generation `number` ready, from the packed bundle `fd` (the caller's) unless it is kept
/// warm: slice by slice, one each turn of the loop, so that requests do not wait for it. `on_ready`
/// follows, unless it is discarded before.
void wr_lineage_prepare(struct wr_lineage *l, uint64_t number, int fd);

/// Generation `number` serves a share of the requests beside the live one, as `plan` says, until it
/// is discarded or live. What both have counted starts from zero. False: it is not ready.
bool wr_lineage_probe(struct wr_lineage *l, uint64_t number, const struct wr_canary_plan *plan);

/// The same as a shadow of the live one, which it is as soon as it is loaded, until it is
/// discarded.
void wr_lineage_shadow(struct wr_lineage *l, uint64_t number, int fd);

/// Forgets what was or is made ready and is not live, the shadow too; a canary finishes its
/// requests.
void wr_lineage_discard(struct wr_lineage *l);

/// Generation `number` is live from now on; false: it is not ready, nothing happens.
bool wr_lineage_commit(struct wr_lineage *l, uint64_t number);

/// What time demands: upstreams are brought up to date, generations that finished for too long are
/// cut, what is warm for long enough goes. A few times a second.
void wr_lineage_beat(struct wr_lineage *l);

/// A queued admission of one of its tasks was decided. False when it is nobody's.
bool wr_lineage_granted(struct wr_lineage *l, uint64_t id, bool granted);

/// Ends what scripts do by themselves; nothing is live any more.
void wr_lineage_silence(struct wr_lineage *l);

/// Frees all; their tasks are over.
void wr_lineage_fini(struct wr_lineage *l);
