#pragma once
/// Hashes: SipHash-1-3 (Aumasson and Bernstein 2012) for tables whose keys outsiders choose, keyed
/// so that collisions cannot be prepared; FNV-1a for identifying content among friends.

#include "base/str.h"

#include <stdint.h>

struct wr_hash_key {
  uint64_t k0, k1;
};

/// SipHash-1-3 of `s` under `key`.
uint64_t wr_hash_sip(const struct wr_hash_key *key, struct wr_str s);

/// 64-bit FNV-1a of `s`, continuing from `seed` (0 to start).
uint64_t wr_hash_fnv(uint64_t seed, struct wr_str s);
