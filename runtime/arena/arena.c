#include "arena/arena.h"

#include "arena/cache.h"
#include "arena/clients.h"
#include "arena/journal.h"
#include "arena/ledger.h"
#include "arena/registry.h"
#include "arena/series.h"
#include "arena/session_keys.h"
#include "arena/slab.h"
#include "arena/slot.h"
#include "base/check.h"
#include "base/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

#define CACHE_BYTES_DEFAULT ((size_t)64 << 20)

// Room in the slab for each named primitive: a breaker with its configuration.
enum { ENTRY_BYTES = 4096 };

// And for those that keep a state for each key: eight of the largest. Memory is taken when it is
// written to.
#define KEYED_BYTES ((size_t)512 << 20)

// Layout

enum section {
  SLOTS,
  CLIENTS,
  LEDGER,
  REGISTRY,
  SERIES,
  CACHE,
  SESSION_KEYS,
  JOURNAL,
  SLAB,
  SECTIONS
};

struct layout {
  size_t at[SECTIONS]; // offsets from the base
  size_t end;
};

static size_t round_up(size_t value, size_t unit)
{
  return (value + unit - 1) / unit * unit;
}

static void with_defaults(struct wr_arena_options *o)
{
  if (o->ledger_rows == 0) o->ledger_rows = 32768;
  if (o->series_max == 0) o->series_max = 8192;
  if (o->entries_max == 0) o->entries_max = 4096;
  if (o->fleets == 0) o->fleets = 1;
  if (o->cache_bytes == 0) o->cache_bytes = CACHE_BYTES_DEFAULT;
}

static struct layout plan(const struct wr_arena_options *o)
{
  uint32_t slots = o->worker_count * o->fleets + 1;
  size_t size[SECTIONS] = {
      [SLOTS] = wr_slot_size(slots),
      [CLIENTS] = wr_clients_size(slots),
      [LEDGER] = wr_ledger_size(slots, o->ledger_rows),
      [REGISTRY] = wr_registry_size(o->entries_max, slots),
      [SERIES] = wr_series_size(slots, o->series_max),
      [CACHE] = wr_cache_size(o->cache_bytes),
      [SESSION_KEYS] = wr_session_keys_size(),
      [JOURNAL] = wr_journal_size(slots),
      [SLAB] = wr_slab_size((size_t)o->entries_max * ENTRY_BYTES + KEYED_BYTES),
  };
  struct layout l = {.end = round_up(sizeof(struct wr_arena_header), PAGE)};
  for (int i = 0; i < SECTIONS; i++) {
    l.at[i] = l.end;
    l.end = round_up(l.end + size[i], PAGE);
  }
  return l;
}

static bool check_options(const struct wr_arena_options *o, struct wr_error *error)
{
  if (o->worker_count < 1 || o->worker_count > WR_ARENA_WORKERS_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "arena: worker_count is %u, it must be from 1 to %d",
                 o->worker_count, WR_ARENA_WORKERS_MAX);
    return false;
  }
  if (o->ledger_rows > WR_LEDGER_ROWS_MAX || o->entries_max > WR_REGISTRY_ENTRIES_MAX ||
      o->series_max > WR_SERIES_MAX || o->cache_bytes > WR_CACHE_BYTES_MAX) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "arena: ledger_rows %u (at most %d), entries_max %u (%d), series_max %u (%d), "
                 "cache_bytes %zu (%zu)",
                 o->ledger_rows, WR_LEDGER_ROWS_MAX, o->entries_max, WR_REGISTRY_ENTRIES_MAX,
                 o->series_max, WR_SERIES_MAX, o->cache_bytes, (size_t)WR_CACHE_BYTES_MAX);
    return false;
  }
  return true;
}

// Opening

// Far from where programs and libraries are loaded, so that the program that takes it over finds
// the place free: pointers into it must stay what they are. A wish only.
static void *wanted_base(void)
{
  return (void *)(uintptr_t)UINT64_C(0x200000000000);
}

static bool map_memory(struct wr_arena *a, struct wr_error *error)
{
  a->fd = memfd_create("weir-arena", MFD_CLOEXEC);
  if (a->fd < 0 || ftruncate(a->fd, (off_t)a->size) != 0) {
    wr_error_set(error, WR_ERROR_CLOSED, "arena: memfd of %zu bytes: %s", a->size, strerror(errno));
    return false;
  }
  void *base =
      mmap(wanted_base(), a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, a->fd, 0);
  if (base == MAP_FAILED) {
    wr_error_set(error, WR_ERROR_CLOSED, "arena: mapping %zu bytes: %s", a->size, strerror(errno));
    return false;
  }
  a->header = base;
  return true;
}

static void fill_header(struct wr_arena *a, const struct wr_arena_options *o,
                        const struct layout *l)
{
  char *base = (char *)a->header;
  uint64_t seed = o->seed;
  struct wr_rng rng;
  wr_rng_init(&rng, seed);
  *a->header = (struct wr_arena_header){
      .magic = WR_ARENA_MAGIC,
      .version = wr_arena_version(),
      .worker_count = o->worker_count,
      .slot_count = o->worker_count * o->fleets + 1,
      .ledger_rows = o->ledger_rows,
      .series_max = o->series_max,
      .entries_max = o->entries_max,
      .size = a->size,
      .base = base,
      .seed = seed,
      .stamp = o->stamp,
      .hash_key = {wr_rng_next(&rng), wr_rng_next(&rng)},
      .slots = (struct wr_slot *)(base + l->at[SLOTS]),
      .clients = (struct wr_clients_table *)(base + l->at[CLIENTS]),
      .ledger = (struct wr_ledger_table *)(base + l->at[LEDGER]),
      .registry = (struct wr_registry_table *)(base + l->at[REGISTRY]),
      .series = (struct wr_series_table *)(base + l->at[SERIES]),
      .cache = (struct wr_cache_table *)(base + l->at[CACHE]),
      .session_keys = (struct wr_session_keys *)(base + l->at[SESSION_KEYS]),
      .journal = (struct wr_journal_table *)(base + l->at[JOURNAL]),
      .slab = (struct wr_slab *)(base + l->at[SLAB]),
  };
}

bool wr_arena_open(struct wr_arena *a, const struct wr_arena_options *options,
                   struct wr_error *error)
{
  *a = (struct wr_arena){.fd = -1};
  struct wr_arena_options o = *options;
  with_defaults(&o);
  if (!check_options(&o, error)) return false;
  struct layout l = plan(&o);
  a->size = o.size ? o.size / PAGE * PAGE : l.end;
  if (a->size < l.end) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "arena: size is %zu bytes, but %u workers, %u ledger rows, %u series, %u entries "
                 "and %zu cache bytes need %zu",
                 o.size, o.worker_count, o.ledger_rows, o.series_max, o.entries_max, o.cache_bytes,
                 l.end);
    return false;
  }
  if (!map_memory(a, error)) goto fail;
  fill_header(a, &o, &l);
  if (!wr_slot_init(a->header->slots, a->header->slot_count, error)) {
    munmap(a->header, a->size);
    a->header = NULL;
    goto fail;
  }
  wr_slab_init(a->header->slab, a->size - l.at[SLAB]);
  wr_ledger_setup(a);
  wr_registry_init(a);
  wr_series_init(a);
  wr_cache_init(a, o.cache_bytes);
  return true;
fail:
  wr_arena_fini(a);
  return false;
}

static bool check_header(const struct wr_arena_header *h, uint64_t size, uint64_t stamp,
                         struct wr_error *error)
{
  if (h->magic != WR_ARENA_MAGIC || h->version != wr_arena_version() || h->size != size) {
    wr_error_set(error, WR_ERROR_INVALID, "its layout is %u, of this program %u", h->version,
                 wr_arena_version());
    return false;
  }
  if (h->stamp == stamp) return true;
  wr_error_set(error, WR_ERROR_INVALID, "its layout %u has other states", h->version);
  return false;
}

bool wr_arena_adopt(struct wr_arena *a, int fd, uint64_t stamp, struct wr_error *error)
{
  struct wr_arena_header head;
  struct stat file;
  if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) || fstat(fd, &file) != 0) {
    wr_error_set(error, WR_ERROR_INVALID, "it cannot be read: %s", strerror(errno));
    return false;
  }
  if (!check_header(&head, (uint64_t)file.st_size, stamp, error)) return false;
  void *base = mmap(head.base, head.size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
  if (base != head.base) {
    wr_error_set(error, WR_ERROR_CLOSED, "it cannot be mapped where it was: %s", strerror(errno));
    if (base != MAP_FAILED) munmap(base, head.size);
    return false;
  }
  *a = (struct wr_arena){.header = base, .size = head.size, .fd = fd};
  return true;
}

void wr_arena_fini(struct wr_arena *a)
{
  if (a->header) {
    wr_slot_fini(a->header->slots, a->header->slot_count);
    munmap(a->header, a->size);
  }
  if (a->fd >= 0) close(a->fd);
  *a = (struct wr_arena){.fd = -1};
}

// Privatising: what other processes may be changing is copied while nobody can.

enum { COPIES = 3 };

struct copy {
  char *from; // begins a page
  size_t size;
  char *to;
};

static void plan_copies(const struct wr_arena *a, struct copy copies[COPIES])
{
  const struct wr_arena_header *h = a->header;
  size_t registry = wr_registry_size(h->entries_max, h->slot_count);
  copies[0] = (struct copy){(char *)h->registry, round_up(registry, PAGE), NULL};
  copies[1] = (struct copy){(char *)h->series, round_up(wr_series_used(a), PAGE), NULL};
  copies[2] = (struct copy){(char *)h->slab, round_up(wr_slab_used(h->slab), PAGE), NULL};
}

static void lock_all(struct wr_arena *a)
{
  wr_registry_lock_table(a);
  wr_series_lock(a);
  wr_slab_lock(a);
}

static void unlock_all(struct wr_arena *a)
{
  wr_slab_unlock(a);
  wr_series_unlock(a);
  wr_registry_unlock_table(a);
}

// Others wait meanwhile: where nobody has written there is nothing to copy, and that is most of it.
static void copy_data(const struct wr_arena *a, const struct copy *c)
{
  off_t from = c->from - (char *)a->header;
  off_t end = from + (off_t)c->size;
  for (off_t at = from, hole; (at = lseek(a->fd, at, SEEK_DATA)) >= 0 && at < end; at = hole) {
    hole = lseek(a->fd, at, SEEK_HOLE);
    if (hole < 0 || hole > end) hole = end;
    memcpy(c->to + (at - from), c->from + (at - from), (size_t)(hole - at));
  }
}

// False with errno set.
static bool copy_all(struct wr_arena *a, struct copy copies[COPIES])
{
  bool has_memory = true;
  lock_all(a);
  plan_copies(a, copies);
  for (int i = 0; has_memory && i < COPIES; i++) {
    struct copy *c = &copies[i];
    c->to = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    has_memory = c->to != MAP_FAILED;
    if (has_memory) copy_data(a, c);
  }
  unlock_all(a);
  return has_memory;
}

bool wr_arena_privatise(struct wr_arena *a, struct wr_error *error)
{
  WR_CHECK(!a->is_private);
  struct copy copies[COPIES];
  bool ok =
      copy_all(a, copies) && mmap(a->header, a->size, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, a->fd, 0) != MAP_FAILED;
  for (int i = 0; ok && i < COPIES; i++) {
    const struct copy *c = &copies[i];
    ok = mremap(c->to, c->size, c->size, MREMAP_MAYMOVE | MREMAP_FIXED, c->from) != MAP_FAILED;
  }
  a->is_private = ok;
  if (!ok) {
    wr_error_set(error, WR_ERROR_CLOSED, "arena: no memory for a private copy: %s",
                 strerror(errno));
  }
  return ok;
}
