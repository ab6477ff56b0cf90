#include "base/rng.h"

static uint64_t rotl(uint64_t x, int k)
{
  return (x << k) | (x >> (64 - k));
}

static uint64_t splitmix(uint64_t *state)
{
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void wr_rng_init(struct wr_rng *r, uint64_t seed)
{
  for (int i = 0; i < 4; i++) r->s[i] = splitmix(&seed);
}

uint64_t wr_rng_next(struct wr_rng *r)
{
  uint64_t *s = r->s;
  uint64_t result = rotl(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

uint64_t wr_rng_below(struct wr_rng *r, uint64_t bound)
{
  // Lemire's multiply-shift; its bias is below bound / 2^64.
  return (uint64_t)(((unsigned __int128)wr_rng_next(r) * bound) >> 64);
}

double wr_rng_unit(struct wr_rng *r)
{
  return (double)(wr_rng_next(r) >> 11) * 0x1.0p-53;
}
