#include "base/map.h"

#include "base/alloc.h"
#include "base/check.h"

struct wr_map_slot {
  char *key; // NULL: free
  size_t len;
  uint64_t hash;
  void *value;
};

void wr_map_init(struct wr_map *m, struct wr_hash_key key)
{
  *m = (struct wr_map){.key = key};
}

void wr_map_fini(struct wr_map *m)
{
  for (size_t i = 0; i < m->cap; i++) wr_free(m->slots[i].key);
  wr_free(m->slots);
  *m = (struct wr_map){.key = m->key};
}

// The slot that holds the key, or the free slot where it would go. Needs a table that is not full.
static size_t locate(const struct wr_map *m, struct wr_str key, uint64_t hash)
{
  size_t at = hash & (m->cap - 1);
  while (m->slots[at].key != NULL) {
    struct wr_map_slot *slot = &m->slots[at];
    if (slot->hash == hash && wr_str_eq((struct wr_str){slot->key, slot->len}, key)) break;
    at = (at + 1) & (m->cap - 1);
  }
  return at;
}

static void grow(struct wr_map *m)
{
  struct wr_map old = *m;
  m->cap = old.cap ? old.cap * 2 : 16;
  m->slots = wr_alloc(m->cap * sizeof(*m->slots));
  for (size_t i = 0; i < old.cap; i++) {
    struct wr_map_slot *slot = &old.slots[i];
    if (slot->key == NULL) continue;
    m->slots[locate(m, (struct wr_str){slot->key, slot->len}, slot->hash)] = *slot;
  }
  wr_free(old.slots);
}

void *wr_map_get(const struct wr_map *m, struct wr_str key)
{
  if (m->count == 0) return NULL;
  return m->slots[locate(m, key, wr_hash_sip(&m->key, key))].value;
}

void *wr_map_put(struct wr_map *m, struct wr_str key, void *value)
{
  WR_CHECK(value != NULL);
  if ((m->count + 1) * 4 > m->cap * 3) grow(m);
  uint64_t hash = wr_hash_sip(&m->key, key);
  struct wr_map_slot *slot = &m->slots[locate(m, key, hash)];
  void *old = slot->value;
  if (slot->key == NULL) {
    slot->key = wr_strndup(key.ptr, key.len);
    slot->len = key.len;
    slot->hash = hash;
    m->count++;
  }
  slot->value = value;
  return old;
}

// Closes the gap at `hole` by moving back every later entry that may not stay behind it.
static void close_gap(struct wr_map *m, size_t hole)
{
  size_t mask = m->cap - 1;
  for (size_t at = (hole + 1) & mask; m->slots[at].key != NULL; at = (at + 1) & mask) {
    size_t home = m->slots[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    m->slots[hole] = m->slots[at];
    m->slots[at] = (struct wr_map_slot){0};
    hole = at;
  }
}

void *wr_map_remove(struct wr_map *m, struct wr_str key)
{
  if (m->count == 0) return NULL;
  size_t at = locate(m, key, wr_hash_sip(&m->key, key));
  void *value = m->slots[at].value;
  if (m->slots[at].key == NULL) return NULL;
  wr_free(m->slots[at].key);
  m->slots[at] = (struct wr_map_slot){0};
  m->count--;
  close_gap(m, at);
  return value;
}

void *wr_map_next(const struct wr_map *m, size_t *at, struct wr_str *key)
{
  while (*at < m->cap) {
    struct wr_map_slot *slot = &m->slots[(*at)++];
    if (slot->key == NULL) continue;
    if (key != NULL) *key = (struct wr_str){slot->key, slot->len};
    return slot->value;
  }
  return NULL;
}
