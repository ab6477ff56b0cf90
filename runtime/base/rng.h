#pragma once
/// Seeded random numbers (xoshiro256**, Blackman and Vigna 2018): fast, repeatable from the seed,
/// not for secrets. Each worker owns one; everything random above the loop draws from it, so that a
/// run in virtual time repeats to the bit.

#include <stdint.h>

struct wr_rng {
  uint64_t s[4];
};

/// Any seed will do; it is spread by SplitMix64.
void wr_rng_init(struct wr_rng *r, uint64_t seed);

/// 64 random bits.
uint64_t wr_rng_next(struct wr_rng *r);

/// Uniform in [0, bound); 0 when `bound` is 0.
uint64_t wr_rng_below(struct wr_rng *r, uint64_t bound);

/// Uniform in [0, 1).
double wr_rng_unit(struct wr_rng *r);
