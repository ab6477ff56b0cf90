#pragma once
/// The keys that TLS session tickets are sealed with: made by the master, the same for all workers,
/// so that a client resumes its session with whichever worker it meets, also after a reload or the
/// death of one. They never leave this memory.
///
/// A ring of slots: the master fills the next one and then says that it is the newest. Readers take
/// the newest and the one before; a slot is written again only two periods after it was last of
/// use.

#include "arena/arena.h"

enum {
  WR_SESSION_KEYS = 2,          ///< that are of use: the newest, and the one before
  WR_SESSION_KEYS_RING = 4,     ///< slots
  WR_SESSION_KEYS_PERIOD = 3600 ///< seconds that a key is the newest, by default
};

struct wr_session_key {
  unsigned char name[16];
  unsigned char aes[32];
  unsigned char mac[32];
};

struct wr_session_keys {
  struct wr_session_key ring[WR_SESSION_KEYS_RING];
  _Atomic uint64_t made; ///< keys so far; number n is in slot n modulo the ring
  uint64_t period_ns;    ///< how long a key is the newest; tickets are good for as long
  uint64_t next_ns;      ///< when the next one is due; the master's
};

/// The section of this arena.
struct wr_session_keys *wr_session_keys_of(const struct wr_arena *a);

/// Makes a new key when it is time, and the first one. The master's only. `period_ns` > 0;
/// `entropy` gives 64 unguessable bits a call.
void wr_session_keys_renew(struct wr_session_keys *k, uint64_t now_ns, uint64_t period_ns,
                           uint64_t (*entropy)(void));

/// Copies the keys of use, newest first, and returns their number; wipe them after use.
size_t wr_session_keys_read(const struct wr_session_keys *k,
                            struct wr_session_key keys[WR_SESSION_KEYS]);

/// Bytes of the section. For wr_arena_open.
size_t wr_session_keys_size(void);
