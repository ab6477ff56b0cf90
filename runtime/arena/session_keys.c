#include "arena/session_keys.h"

#include <stdatomic.h>
#include <string.h>

struct wr_session_keys *wr_session_keys_of(const struct wr_arena *a)
{
  return a->header->session_keys;
}

static void fill(struct wr_session_key *key, uint64_t (*entropy)(void))
{
  uint64_t bits[sizeof(*key) / sizeof(uint64_t)];
  _Static_assert(sizeof(bits) == sizeof(*key), "a key is whole words");
  for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) bits[i] = entropy();
  memcpy(key, bits, sizeof(*key));
  explicit_bzero(bits, sizeof(bits));
}

void wr_session_keys_renew(struct wr_session_keys *k, uint64_t now_ns, uint64_t period_ns,
                           uint64_t (*entropy)(void))
{
  uint64_t made = atomic_load_explicit(&k->made, memory_order_relaxed);
  if (made > 0 && now_ns < k->next_ns) return;
  fill(&k->ring[(made + 1) % WR_SESSION_KEYS_RING], entropy);
  k->period_ns = period_ns;
  k->next_ns = now_ns + period_ns;
  atomic_store_explicit(&k->made, made + 1, memory_order_release);
}

size_t wr_session_keys_read(const struct wr_session_keys *k,
                            struct wr_session_key keys[WR_SESSION_KEYS])
{
  uint64_t made = atomic_load_explicit(&k->made, memory_order_acquire);
  size_t count = made < WR_SESSION_KEYS ? (size_t)made : WR_SESSION_KEYS;
  for (size_t i = 0; i < count; i++) keys[i] = k->ring[(made - i) % WR_SESSION_KEYS_RING];
  return count;
}

size_t wr_session_keys_size(void)
{
  return sizeof(struct wr_session_keys);
}
