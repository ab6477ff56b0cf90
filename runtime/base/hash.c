#include "base/hash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotl(uint64_t x, int b)
{
  return (x << b) | (x >> (64 - b));
}

// Inline, that the four words stay in registers: twice as fast.
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
  v[0] += v[1];
  v[1] = rotl(v[1], 13) ^ v[0];
  v[0] = rotl(v[0], 32);
  v[2] += v[3];
  v[3] = rotl(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotl(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotl(v[1], 17) ^ v[2];
  v[2] = rotl(v[2], 32);
}

static uint64_t read_word(const char *p)
{
  uint64_t word;
  memcpy(&word, p, sizeof(word));
  return le64toh(word);
}

static uint64_t read_rest(const char *p, size_t len)
{
  uint64_t word = 0;
  for (size_t i = 0; i < len; i++) word |= (uint64_t)(unsigned char)p[i] << (8 * i);
  return word;
}

static inline __attribute__((always_inline)) void absorb(uint64_t v[4], uint64_t word)
{
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
}

uint64_t wr_hash_sip(const struct wr_hash_key *key, struct wr_str s)
{
  uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                   key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
  size_t whole = s.len & ~(size_t)7;
  for (size_t i = 0; i < whole; i += 8) absorb(v, read_word(s.ptr + i));
  absorb(v, read_rest(s.ptr + whole, s.len - whole) | (uint64_t)s.len << 56);
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t wr_hash_fnv(uint64_t seed, struct wr_str s)
{
  uint64_t hash = seed ? seed : 0xcbf29ce484222325u;
  for (size_t i = 0; i < s.len; i++) hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
  return hash;
}
