#pragma once
/// Feature flag: on for a share of the keys, the same keys each time; an operator's share stands
/// above the policy's until it is reset.
///
/// Pure; one struct that may live in shared memory. The caller holds the lock, except for
/// `wr_flag_share` and `wr_flag_evaluate`, which are what requests call: a few atomic words, no
/// lock.

#include "base/hash.h"

struct wr_archive;

enum wr_flag_result {
#define WR_FLAG_RESULT(ENUM, name, meaning) WR_FLAG_##ENUM,
#include "tables/states.def"
  WR_FLAG_RESULTS
};

/// Whose doing a change is.
enum wr_flag_actor {
#define WR_FLAG_ACTOR(ENUM, name, meaning) WR_FLAG_ACTOR_##ENUM,
#include "tables/states.def"
  WR_FLAG_ACTORS
};

enum { WR_FLAG_WHOLE = 1000000, WR_FLAG_WHY_MAX = 96 };

struct wr_flag_config {
  uint32_t share; ///< millionths of the keys that it is on for: 0 is off, WR_FLAG_WHOLE is on
};

/// A change of the share in force or of who set it, to be told once; see `wr_flag_take_event`.
struct wr_flag_event {
  uint64_t at_ns;
  uint32_t from, to;
  uint8_t actor; ///< enum wr_flag_actor
  char why[WR_FLAG_WHY_MAX];
};

struct wr_flag {
  struct wr_flag_config config;             // read-only: change it by wr_flag_reconfigure
  _Atomic uint32_t share;                   ///< read-only: in force
  uint8_t is_overridden;                    ///< read-only: `share` is not the policy's
  uint8_t actor;                            ///< read-only: enum wr_flag_actor, of the last change
  uint8_t is_untold;                        // private
  uint32_t told;                            // private: the share that was told of last
  uint64_t since_ns;                        ///< read-only: when it was changed last
  char why[WR_FLAG_WHY_MAX];                ///< read-only: what the last actor said; "" for nothing
  _Atomic uint64_t counts[WR_FLAG_RESULTS]; ///< read-only: evaluations by result
};

/// NULL, or which bound is broken.
const char *wr_flag_config_check(const struct wr_flag_config *config);

/// Begins with the configured share. The configuration must pass its check.
void wr_flag_init(struct wr_flag *f, const struct wr_flag_config *config, uint64_t now_ns);

/// Applies another configuration; an override stays above it.
void wr_flag_reconfigure(struct wr_flag *f, const struct wr_flag_config *config, uint64_t now_ns);

/// Overrides the share (at most WR_FLAG_WHOLE) until `wr_flag_reset`. `why` may be absent; it is
/// cut at its maximum.
void wr_flag_set(struct wr_flag *f, uint32_t share, enum wr_flag_actor actor, struct wr_str why,
                 uint64_t now_ns);

/// Lifts the override; nothing happens when there is none.
void wr_flag_reset(struct wr_flag *f, struct wr_str why, uint64_t now_ns);

/// The share in force. Needs no lock.
uint32_t wr_flag_share(const struct wr_flag *f);

/// What the keys of the flag called `name` are hashed with. The same everywhere and for ever: a key
/// keeps its place over restarts, machines and versions.
struct wr_hash_key wr_flag_seed(struct wr_str name);

/// The place of `key`, below WR_FLAG_WHOLE: the flag is on for it when the share is above. So a
/// growing share keeps those that it had.
uint32_t wr_flag_place(const struct wr_hash_key *seed, struct wr_str key);

/// Decides for the key at `place`, and counts. `is_down`: the health check that the flag is tied to
/// is down. A flag that is off is off, whatever its health. Needs no lock.
enum wr_flag_result wr_flag_evaluate(struct wr_flag *f, uint32_t place, bool is_down);

/// Takes the change that nobody was told of; false when there is none. Changes since the last time
/// are one event: from the share that was told then to the one in force, by who set that.
bool wr_flag_take_event(struct wr_flag *f, struct wr_flag_event *event);

/// Makes it valid whatever its bytes are, after a lock holder died.
void wr_flag_repair(struct wr_flag *f, uint64_t now_ns);

/// "on", "off", "fallback".
const char *wr_flag_result_name(enum wr_flag_result result);

/// "policy", "script", "operator".
const char *wr_flag_actor_name(enum wr_flag_actor actor);

/// Writes it to an archive, or reads it from there; call `wr_flag_repair` after reading.
void wr_flag_archive(struct wr_flag *f, struct wr_archive *a);
