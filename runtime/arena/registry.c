#include "arena/registry_internal.h"
#include "arena/slab.h"
#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

#define NONE UINT32_MAX

static struct wr_registry_table *table_of(const struct wr_arena *a)
{
  return a->header->registry;
}

const char *wr_registry_kind_name(enum wr_kind kind)
{
  static const char *const NAMES[] = {
#define WR_KIND(ENUM, name, doc) name,
#include "tables/kinds.def"
#undef WR_KIND
  };
  WR_CHECK(kind < WR_KINDS);
  return NAMES[kind];
}

// Making

static uint32_t bucket_count(uint32_t entries_max)
{
  uint32_t count = 16;
  while (count < entries_max) count *= 2;
  return count;
}

static size_t head_size(uint32_t entries_max)
{
  size_t size = sizeof(struct wr_registry_table) + bucket_count(entries_max) * sizeof(uint32_t);
  return (size + 63) / 64 * 64;
}

size_t wr_registry_size(uint32_t entries_max, uint32_t slot_count)
{
  return head_size(entries_max) + entries_max * sizeof(struct wr_entry) +
         (size_t)entries_max * slot_count * sizeof(uint32_t);
}

void wr_registry_init(struct wr_arena *a)
{
  struct wr_registry_table *t = table_of(a);
  uint32_t entries_max = a->header->entries_max;
  char *base = (char *)t;
  wr_lock_init(&t->lock);
  t->free = NONE;
  t->bucket_count = bucket_count(entries_max);
  t->buckets = (uint32_t *)(t + 1);
  for (uint32_t i = 0; i < t->bucket_count; i++) t->buckets[i] = NONE;
  t->entries = (struct wr_entry *)(base + head_size(entries_max));
  t->holds = (_Atomic uint32_t *)(t->entries + entries_max);
  atomic_store(&t->plan_ns, UINT64_MAX);
}

// The hash index and the free list follow from `is_live` of the entries.

static uint32_t *bucket_of(const struct wr_arena *a, enum wr_kind kind, struct wr_str name)
{
  struct wr_registry_table *t = table_of(a);
  uint64_t hash = wr_hash_sip(&a->header->hash_key, name) + (uint64_t)kind * 0x9e3779b97f4a7c15u;
  return &t->buckets[(hash ^ hash >> 32) & (t->bucket_count - 1)];
}

static struct wr_str name_of(const struct wr_entry *e)
{
  return (struct wr_str){e->name, e->name_len};
}

static void link_entry(struct wr_arena *a, struct wr_entry *e)
{
  uint32_t *bucket = bucket_of(a, e->kind, name_of(e));
  e->next = *bucket;
  *bucket = e->index;
}

static void unlink_entry(struct wr_arena *a, struct wr_entry *e)
{
  struct wr_registry_table *t = table_of(a);
  uint32_t *at = bucket_of(a, e->kind, name_of(e));
  while (*at != e->index) at = &t->entries[*at].next;
  *at = e->next;
}

static bool owns(struct wr_arena *a, uint32_t number, const void *object)
{
  const struct wr_entry *e = &table_of(a)->entries[number];
  return e->is_live && (e->state == object || e->configs == object);
}

static void repair_table(struct wr_arena *a)
{
  struct wr_registry_table *t = table_of(a);
  uint32_t count = 0;
  t->free = NONE;
  for (uint32_t i = 0; i < t->bucket_count; i++) t->buckets[i] = NONE;
  for (uint32_t i = t->touched; i-- > 0;) {
    struct wr_entry *e = &t->entries[i];
    if (atomic_load(&e->is_live)) {
      link_entry(a, e);
      count++;
      continue;
    }
    e->state = NULL;
    e->configs = NULL;
    e->next = t->free;
    t->free = i;
  }
  atomic_store(&t->count, count);
  wr_slab_reclaim(a, WR_SLAB_ENTRY_STATE, owns);
  wr_slab_reclaim(a, WR_SLAB_ENTRY_CONFIG, owns);
}

void wr_registry_lock_table(struct wr_arena *a)
{
  struct wr_registry_table *t = table_of(a);
  if (!wr_lock_take(a, &t->lock)) return;
  repair_table(a);
  wr_lock_mark_repaired(a, &t->lock);
}

void wr_registry_unlock_table(struct wr_arena *a)
{
  wr_lock_give(a, &table_of(a)->lock);
}

// One entry

// The configuration in force is never torn; a state that died while taking it over gets it again.
// One that was being moved has left another behind.
static void repair_entry(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_kind_ops *ops = r->kinds[entry->kind];
  if (r->repair) {
    r->repair(r, entry, now_ns);
  } else {
    ops->repair(entry->state, 0, 0, now_ns);
  }
  ops->reconfigure(entry->state, entry->config, now_ns);
  wr_slab_reclaim_of(r->arena, WR_SLAB_ENTRY_STATE, entry->index, entry->state);
  if (r->changed) r->changed(r, entry, now_ns);
}

bool wr_registry_lock(struct wr_registry *r, struct wr_entry *entry, uint32_t generation,
                      uint64_t now_ns)
{
  if (wr_lock_take(r->arena, &entry->lock)) {
    if (atomic_load(&entry->is_live)) repair_entry(r, entry, now_ns);
    wr_lock_mark_repaired(r->arena, &entry->lock);
  }
  if (atomic_load_explicit(&entry->generation, memory_order_relaxed) == generation &&
      atomic_load_explicit(&entry->is_live, memory_order_relaxed)) {
    return true;
  }
  wr_lock_give(r->arena, &entry->lock);
  return false;
}

void wr_registry_unlock(struct wr_registry *r, struct wr_entry *entry)
{
  wr_lock_give(r->arena, &entry->lock);
}

struct wr_entry_ref wr_registry_ref(const struct wr_entry *entry)
{
  return (struct wr_entry_ref){entry->index,
                               atomic_load_explicit(&entry->generation, memory_order_relaxed)};
}

struct wr_entry *wr_registry_get(const struct wr_registry *r, struct wr_entry_ref ref)
{
  if (ref.generation == 0 || ref.index >= r->arena->header->entries_max) return NULL;
  struct wr_entry *e = &table_of(r->arena)->entries[ref.index];
  if (!atomic_load_explicit(&e->is_live, memory_order_acquire)) return NULL;
  return atomic_load_explicit(&e->generation, memory_order_relaxed) == ref.generation ? e : NULL;
}

struct wr_entry *wr_registry_each(const struct wr_registry *r, uint32_t *at)
{
  struct wr_registry_table *t = table_of(r->arena);
  while (*at < atomic_load_explicit(&t->touched, memory_order_acquire)) {
    struct wr_entry *e = &t->entries[(*at)++];
    if (atomic_load_explicit(&e->is_live, memory_order_acquire)) return e;
  }
  return NULL;
}

uint32_t wr_registry_count(const struct wr_registry *r)
{
  return atomic_load(&table_of(r->arena)->count);
}

// Get or create

static bool check_name(enum wr_kind kind, struct wr_str name, struct wr_error *error)
{
  const char *kind_name = wr_registry_kind_name(kind);
  if (name.len == 0 || name.len > WR_ENTRY_NAME_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: the name has %zu bytes, it must have 1 to %d",
                 kind_name, name.len, WR_ENTRY_NAME_MAX);
    return false;
  }
  for (size_t i = 0; i < name.len; i++) {
    unsigned char c = (unsigned char)name.ptr[i];
    if (c >= 0x20 && c != 0x7f) continue;
    wr_error_set(error, WR_ERROR_INVALID, "%s: byte %zu of the name is the control character %u",
                 kind_name, i + 1, c);
    return false;
  }
  return true;
}

static struct wr_entry *find_locked(const struct wr_arena *a, enum wr_kind kind, struct wr_str name)
{
  struct wr_registry_table *t = table_of(a);
  for (uint32_t i = *bucket_of(a, kind, name); i != NONE; i = t->entries[i].next) {
    struct wr_entry *e = &t->entries[i];
    if (e->kind == kind && wr_str_eq(name_of(e), name)) return e;
  }
  return NULL;
}

static struct wr_entry *take_entry(struct wr_arena *a)
{
  struct wr_registry_table *t = table_of(a);
  if (t->free != NONE) {
    struct wr_entry *e = &t->entries[t->free];
    t->free = e->next;
    return e;
  }
  if (t->touched == a->header->entries_max) return NULL;
  struct wr_entry *e = &t->entries[t->touched];
  wr_lock_init(&e->lock);
  e->index = t->touched;
  t->touched++;
  return e;
}

static void give_entry(struct wr_arena *a, struct wr_entry *e)
{
  struct wr_registry_table *t = table_of(a);
  wr_slab_give(a, e->state);
  wr_slab_give(a, e->configs);
  e->state = NULL;
  e->configs = NULL;
  e->next = t->free;
  t->free = e->index;
}

static size_t bytes_of(const struct wr_kind_ops *ops, const void *config)
{
  return ops->state_bytes ? ops->state_bytes(config) : ops->state_size;
}

// Until `is_live` is set nobody finds the entry; a death before that leaves it free.
static struct wr_entry *create(struct wr_registry *r, enum wr_kind kind, struct wr_str name,
                               const void *config, uint64_t now_ns)
{
  struct wr_arena *a = r->arena;
  const struct wr_kind_ops *ops = r->kinds[kind];
  struct wr_entry *e = take_entry(a);
  if (e == NULL) return NULL;
  e->state = wr_slab_take(a, bytes_of(ops, config), WR_SLAB_ENTRY_STATE, e->index);
  e->configs = wr_slab_take(a, 2 * ops->config_size, WR_SLAB_ENTRY_CONFIG, e->index);
  if (e->state == NULL || e->configs == NULL) {
    give_entry(a, e);
    return NULL;
  }
  e->kind = (uint8_t)kind;
  e->name_len = (uint8_t)name.len;
  memcpy(e->name, name.ptr, name.len);
  e->name[name.len] = '\0';
  memcpy(e->configs, config, ops->config_size);
  e->config = e->configs;
  uint64_t seed = a->header->seed ^ wr_hash_sip(&a->header->hash_key, name);
  ops->init(e->state, e->config, seed, now_ns);
  atomic_store(&e->next_ns, UINT64_MAX);
  e->ordered = (struct wr_order_note){0};
  atomic_store(&e->shadow_asked, 0);
  atomic_store(&e->shadow_stricter, 0);
  atomic_store(&e->shadow_looser, 0);
  if (atomic_load(&e->generation) == 0) atomic_store(&e->generation, 1);
  link_entry(a, e);
  atomic_fetch_add(&table_of(a)->count, 1);
  atomic_store(&e->is_live, true);
  return e;
}

bool wr_registry_is_held(const struct wr_arena *a, const struct wr_entry *e)
{
  const struct wr_registry_table *t = table_of(a);
  for (uint32_t slot = 0; slot < a->header->slot_count; slot++) {
    if (atomic_load(&t->holds[(size_t)slot * a->header->entries_max + e->index])) return true;
  }
  return false;
}

// Room for others. Under the table's lock.

// The generation first: whoever kept a reference is refused from then on.
static bool try_free(struct wr_registry *r, struct wr_entry *e, uint64_t now_ns)
{
  struct wr_registry_table *t = table_of(r->arena);
  uint32_t generation = wr_registry_ref(e).generation;
  if (!wr_registry_lock(r, e, generation, now_ns)) return false;
  bool goes = r->kinds[e->kind] && r->kinds[e->kind]->can_drop(e->state, now_ns);
  if (goes) {
    unlink_entry(r->arena, e);
    atomic_store(&e->generation, generation + 1 ? generation + 1 : 1);
    atomic_store(&e->is_live, false);
    atomic_fetch_sub(&t->count, 1);
    give_entry(r->arena, e);
  }
  wr_registry_unlock(r, e);
  return goes;
}

// Nobody holds it, and for so long that whoever declared it has come to hold it.
static bool is_gone(const struct wr_arena *a, struct wr_entry *e, uint64_t now_ns)
{
  uint64_t gone_ns = atomic_load(&e->gone_ns);
  if (wr_registry_is_held(a, e)) return false;
  if (gone_ns == 0) atomic_store(&e->gone_ns, now_ns);
  return gone_ns != 0 && now_ns >= gone_ns && now_ns - gone_ns >= WR_REGISTRY_KEEP_LEAST_NS;
}

static bool comes_after(const struct wr_entry *e, const struct wr_entry *other)
{
  if (other == NULL || e->gone_ns > other->gone_ns) return true;
  return e->gone_ns == other->gone_ns && e->index > other->index;
}

// The one that has been gone for longest, behind `after` in that order.
static struct wr_entry *next_gone(struct wr_registry *r, const struct wr_entry *after,
                                  uint64_t now_ns)
{
  struct wr_entry *found = NULL;
  uint32_t at = 0;
  for (struct wr_entry *e = wr_registry_each(r, &at); e; e = wr_registry_each(r, &at)) {
    if (!is_gone(r->arena, e, now_ns) || !comes_after(e, after)) continue;
    if (found == NULL || comes_after(found, e)) found = e;
  }
  return found;
}

// A storm of reloads, each with new names, must not fill the table with what nobody declares.
static bool make_room(struct wr_registry *r, uint64_t now_ns)
{
  struct wr_entry *e = NULL;
  while ((e = next_gone(r, e, now_ns)) != NULL) {
    if (try_free(r, e, now_ns)) return true;
  }
  return false;
}

struct wr_entry *wr_registry_declare(struct wr_registry *r, enum wr_kind kind, struct wr_str name,
                                     const void *config, uint64_t now_ns, struct wr_error *error)
{
  if (!check_name(kind, name, error)) return NULL;
  if (r->kinds[kind] == NULL) {
    wr_error_set(error, WR_ERROR_INVALID, "%s '%.*s': this process has no such kind",
                 wr_registry_kind_name(kind), WR_STR_ARG(name));
    return NULL;
  }
  wr_registry_lock_table(r->arena);
  struct wr_entry *e = find_locked(r->arena, kind, name);
  while (e == NULL) {
    e = create(r, kind, name, config, now_ns);
    if (e == NULL && !make_room(r, now_ns)) break;
  }
  // The sweep's clock starts anew, so that the caller has the time to hold it.
  if (e && !wr_registry_is_held(r->arena, e)) atomic_store(&e->gone_ns, now_ns);
  uint32_t count = atomic_load(&table_of(r->arena)->count);
  wr_registry_unlock_table(r->arena);
  if (e == NULL) {
    wr_error_set(error, WR_ERROR_TOO_LARGE,
                 "%s '%.*s': the registry is full with %u of %u entries, or its memory is",
                 wr_registry_kind_name(kind), WR_STR_ARG(name), count,
                 r->arena->header->entries_max);
  }
  return e;
}

struct wr_entry *wr_registry_find(struct wr_registry *r, enum wr_kind kind, struct wr_str name)
{
  wr_registry_lock_table(r->arena);
  struct wr_entry *e = find_locked(r->arena, kind, name);
  wr_registry_unlock_table(r->arena);
  return e;
}

static void put_state(struct wr_entry *e, void *state)
{
  __atomic_store_n(&e->state, state, __ATOMIC_RELEASE);
}

// The configuration in force, and a state of its size. A death in between leaves one of the two
// states in force, never one that is too small for the configuration; the slab finds the other.
// False, and nothing has changed, without memory for it.
static bool adopt(struct wr_registry *r, struct wr_entry *e, const void *config, uint64_t now_ns)
{
  const struct wr_kind_ops *ops = r->kinds[e->kind];
  size_t bytes = bytes_of(ops, config);
  size_t old_bytes = bytes_of(ops, e->config);
  void *from = e->state;
  void *to = from;
  if (bytes != old_bytes) {
    to = wr_slab_take(r->arena, bytes, WR_SLAB_ENTRY_STATE, e->index);
    if (to == NULL) return false;
    ops->move(to, from, config, now_ns);
  }
  if (bytes > old_bytes) put_state(e, to);
  __atomic_store_n(&e->config, config, __ATOMIC_RELEASE);
  if (bytes < old_bytes) put_state(e, to);
  if (to != from) wr_slab_give(r->arena, from);
  return true;
}

static bool take_over(struct wr_registry *r, struct wr_entry *e, const void *config,
                      uint64_t now_ns)
{
  const struct wr_kind_ops *ops = r->kinds[e->kind];
  if (memcmp(e->config, config, ops->config_size) == 0) return false;
  char *both = e->configs;
  char *other = e->config == both ? both + ops->config_size : both;
  memcpy(other, config, ops->config_size);
  if (!adopt(r, e, other, now_ns)) return false;
  ops->reconfigure(e->state, e->config, now_ns);
  if (r->changed) r->changed(r, e, now_ns);
  return true;
}

// Under the table's lock too: its repair frees what no entry owns, as one of two states that are
// being moved.
bool wr_registry_reconcile(struct wr_registry *r, struct wr_entry *entry, const void *config,
                           uint64_t now_ns)
{
  wr_registry_lock_table(r->arena);
  bool is_there = wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns);
  bool changes = is_there && take_over(r, entry, config, now_ns);
  if (is_there) wr_registry_unlock(r, entry);
  wr_registry_unlock_table(r->arena);
  return changes;
}

// Who uses what

static _Atomic uint32_t *holds_of(const struct wr_registry *r, const struct wr_entry *e,
                                  uint32_t slot)
{
  WR_CHECK(slot < r->arena->header->slot_count);
  return &table_of(r->arena)->holds[(size_t)slot * r->arena->header->entries_max + e->index];
}

void wr_registry_hold(struct wr_registry *r, struct wr_entry *entry, uint32_t slot)
{
  atomic_fetch_add(holds_of(r, entry, slot), 1);
  atomic_store(&entry->gone_ns, 0);
}

void wr_registry_drop(struct wr_registry *r, struct wr_entry *entry, uint32_t slot)
{
  WR_CHECK(atomic_fetch_sub(holds_of(r, entry, slot), 1) > 0);
}

void wr_registry_wipe(struct wr_registry *r, uint32_t slot)
{
  uint32_t entries_max = r->arena->header->entries_max;
  WR_CHECK(slot < r->arena->header->slot_count);
  for (uint32_t i = 0; i < entries_max; i++) {
    atomic_store(&table_of(r->arena)->holds[(size_t)slot * entries_max + i], 0);
  }
}

uint32_t wr_registry_sweep(struct wr_registry *r, uint64_t now_ns)
{
  uint32_t freed = 0;
  uint32_t at = 0;
  wr_registry_lock_table(r->arena);
  for (struct wr_entry *e = wr_registry_each(r, &at); e; e = wr_registry_each(r, &at)) {
    uint64_t gone_ns = atomic_load(&e->gone_ns);
    if (wr_registry_is_held(r->arena, e)) {
      atomic_store(&e->gone_ns, 0);
    } else if (gone_ns == 0) {
      atomic_store(&e->gone_ns, now_ns);
    } else if (now_ns >= gone_ns && now_ns - gone_ns >= WR_REGISTRY_KEEP_NS) {
      freed += try_free(r, e, now_ns);
    }
  }
  wr_registry_unlock_table(r->arena);
  return freed;
}
