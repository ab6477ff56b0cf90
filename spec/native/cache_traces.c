// Hit ratios of the shared cache on generated traces, beside LRU, SIEVE and an oracle that knows
// what comes: cache_traces [REQUESTS [SEED]]
//
// Each request looks for a key and stores it when it is missing. All have the same bytes; the
// oracle (Belady's rule: drop what is needed last, also the newcomer) is exact where all sizes are
// equal.

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/rng.h"
#include "script/guard.h"
#include "script/guard_cache.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  KEYS = 60000,
  ONCE = 4000000, // keys from here on are asked for once
  ITEM = 1000,
  HEAD = 112, // what an item costs beside its value: head, key, padding
  CACHE_BYTES = 8 << 20,
  REQUESTS_DEFAULT = 600000,
};

struct trace {
  uint32_t *keys;
  uint32_t *next; // when the key is asked for again
  uint32_t count;
  bool is_mixed; // sizes from 64 bytes to 16 KiB; else all ITEM
};

static uint32_t size_of(const struct trace *t, uint32_t key)
{
  if (!t->is_mixed) return ITEM;
  uint32_t scrambled = key * UINT32_C(2654435761);
  return 64 + (scrambled >> 8) % 256 * (1 + (scrambled >> 24) % 64);
}

// Zipf's law: the share of rank r falls with r to the power of `skew`.

static double *zipf_table(double skew)
{
  double *sums = wr_alloc(KEYS * sizeof(*sums));
  double sum = 0;
  for (int i = 0; i < KEYS; i++) sums[i] = sum += 1 / pow(i + 1, skew);
  for (int i = 0; i < KEYS; i++) sums[i] /= sum;
  return sums;
}

static uint32_t zipf(const double *sums, struct wr_rng *rng)
{
  double u = (double)wr_rng_below(rng, UINT64_C(1) << 53) / 9007199254740992.0;
  int low = 0;
  int high = KEYS - 1;
  while (low < high) {
    int middle = (low + high) / 2;
    if (sums[middle] < u) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return (uint32_t)low;
}

// Policies that keep nodes in a list

struct node {
  struct wr_list link;
  uint32_t key, size;
  bool is_in, was_read;
};

struct list_cache {
  struct wr_list order; // newest first
  struct wr_list *hand; // SIEVE's
  struct node *nodes;
  uint64_t bytes;
};

static struct node *node_of(struct wr_list *link)
{
  return WR_CONTAINER(link, struct node, link);
}

static void drop(struct list_cache *c, struct node *n)
{
  wr_list_remove(&n->link);
  n->is_in = false;
  c->bytes -= n->size;
}

static void evict_lru(struct list_cache *c)
{
  drop(c, node_of(c->order.prev));
}

static void evict_sieve(struct list_cache *c)
{
  struct wr_list *at = c->hand;
  for (;; at = at->prev) {
    if (at == &c->order) at = at->prev;
    struct node *n = node_of(at);
    if (!n->was_read) break;
    n->was_read = false;
  }
  c->hand = at->prev;
  drop(c, node_of(at));
}

static double run_list(const struct trace *t, bool is_sieve)
{
  struct list_cache c = {.nodes = calloc((size_t)ONCE + t->count, sizeof(struct node))};
  WR_CHECK(c.nodes);
  wr_list_init(&c.order);
  c.hand = &c.order;
  uint32_t hits = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    struct node *n = &c.nodes[t->keys[i]];
    if (n->is_in) {
      hits++;
      n->was_read = true;
      if (!is_sieve) wr_list_remove(&n->link);
      if (!is_sieve) wr_list_push(c.order.next, &n->link);
      continue;
    }
    n->size = size_of(t, t->keys[i]) + HEAD;
    while (c.bytes + n->size > CACHE_BYTES) is_sieve ? evict_sieve(&c) : evict_lru(&c);
    n->is_in = true;
    n->was_read = false;
    wr_list_push(c.order.next, &n->link);
    c.bytes += n->size;
  }
  free(c.nodes);
  return (double)hits / t->count;
}

// The oracle: a segment tree over time tells the latest next use among what is kept.

struct oracle {
  uint32_t *tree;  // the larger of two children; leaves: time of next use + 1, 0 when not kept
  uint32_t leaves; // a power of two; leaf i: what is asked for at time i
};

static void set_leaf(struct oracle *o, uint32_t at, uint32_t value)
{
  uint32_t i = o->leaves + at;
  o->tree[i] = value;
  while ((i /= 2)) {
    uint32_t left = o->tree[2 * i];
    uint32_t right = o->tree[2 * i + 1];
    o->tree[i] = left > right ? left : right;
  }
}

static double run_oracle(const struct trace *t)
{
  struct oracle o = {.leaves = 1};
  while (o.leaves < t->count + 1) o.leaves *= 2;
  o.tree = calloc(2 * (size_t)o.leaves, sizeof(uint32_t));
  WR_CHECK(o.tree);
  uint64_t bytes = 0;
  uint32_t hits = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    uint32_t size = size_of(t, t->keys[i]) + HEAD;
    if (o.tree[o.leaves + i]) {
      hits++;
      set_leaf(&o, i, 0);
      bytes -= size;
    }
    if (t->next[i] == UINT32_MAX) continue; // never again
    set_leaf(&o, t->next[i], t->next[i] + 1);
    bytes += size;
    while (bytes > CACHE_BYTES) {
      uint32_t last = o.tree[1] - 1;
      set_leaf(&o, last, 0);
      bytes -= size_of(t, t->keys[last]) + HEAD;
    }
  }
  free(o.tree);
  return (double)hits / t->count;
}

// weir's own

static double run_weir(const struct trace *t)
{
  static char value[20000];
  struct wr_arena arena;
  struct wr_registry r;
  struct wr_error error;
  struct wr_arena_options options = {.worker_count = 1,
                                     .ledger_rows = 64,
                                     .series_max = 256,
                                     .entries_max = 64,
                                     .cache_bytes = CACHE_BYTES,
                                     .seed = 3};
  struct wr_cache_options config = {.space = {.ttl_ns = UINT64_C(1) << 60}};
  WR_CHECK(wr_arena_open(&arena, &options, &error));
  wr_guard_registry(&r, &arena);
  struct wr_entry *space =
      wr_registry_declare(&r, WR_KIND_CACHE, WR_STR("traces"), &config, 1, &error);
  WR_CHECK(space);
  uint32_t hits = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    char name[16];
    struct wr_str key = {name, (size_t)snprintf(name, sizeof(name), "key-%08x", t->keys[i])};
    struct wr_cache_item item = {.at = {space, key, false},
                                 .value = {value, size_of(t, t->keys[i])}};
    struct wr_cache_found found = {0};
    if (wr_cache_get(&arena, &item.at, 1, &found) == WR_CACHE_IS_FRESH) {
      hits++;
    } else {
      wr_cache_set(&arena, &item, 1);
    }
  }
  wr_arena_fini(&arena);
  return (double)hits / t->count;
}

// Traces

static void add_scan(struct trace *t, const double *sums, struct wr_rng *rng)
{
  uint32_t fresh = ONCE;
  for (uint32_t i = 0; i < t->count; i++) {
    t->keys[i] = wr_rng_below(rng, 3) == 0 ? fresh++ : zipf(sums, rng);
  }
}

static void add_zipf(struct trace *t, const double *sums, struct wr_rng *rng)
{
  for (uint32_t i = 0; i < t->count; i++) t->keys[i] = zipf(sums, rng);
}

// Another set is hot after every sixth of the trace.
static void add_shift(struct trace *t, const double *sums, struct wr_rng *rng)
{
  for (uint32_t i = 0; i < t->count; i++) {
    uint32_t era = i / (t->count / 6 + 1);
    t->keys[i] = (zipf(sums, rng) + era * 9973) % KEYS;
  }
}

// Around and around over a quarter more than there is room for.
static void add_loop(struct trace *t, const double *sums, struct wr_rng *rng)
{
  (void)sums, (void)rng;
  uint32_t length = CACHE_BYTES / (ITEM + HEAD) * 5 / 4;
  for (uint32_t i = 0; i < t->count; i++) t->keys[i] = i % length;
}

static void find_next(struct trace *t)
{
  uint32_t *seen = wr_alloc(((size_t)ONCE + t->count) * sizeof(*seen));
  memset(seen, 0xff, ((size_t)ONCE + t->count) * sizeof(*seen));
  for (uint32_t i = t->count; i-- > 0;) {
    t->next[i] = seen[t->keys[i]];
    seen[t->keys[i]] = i;
  }
  wr_free(seen);
}

static const struct {
  const char *name;
  double skew;
  bool is_mixed;
  void (*fill)(struct trace *t, const double *sums, struct wr_rng *rng);
} traces[] = {
    {"zipf-0.8", 0.8, false, add_zipf},  {"zipf-1.0", 1.0, false, add_zipf},
    {"zipf-scan", 0.9, false, add_scan}, {"loop", 1.0, false, add_loop},
    {"shifting", 1.0, false, add_shift}, {"mixed-sizes", 0.9, true, add_zipf},
};

int main(int argc, char **argv)
{
  struct trace t = {.count = argc > 1 ? (uint32_t)atoi(argv[1]) : REQUESTS_DEFAULT};
  struct wr_rng rng;
  wr_rng_init(&rng, argc > 2 ? strtoull(argv[2], NULL, 10) : 11);
  t.keys = wr_alloc(t.count * sizeof(*t.keys));
  t.next = wr_alloc(t.count * sizeof(*t.next));
  printf("%-12s %6s %6s %6s %6s\n", "trace", "weir", "lru", "sieve", "oracle");
  for (size_t i = 0; i < WR_COUNT(traces); i++) {
    double *sums = zipf_table(traces[i].skew);
    t.is_mixed = traces[i].is_mixed;
    traces[i].fill(&t, sums, &rng);
    find_next(&t);
    printf("%-12s %6.4f %6.4f %6.4f %6.4f\n", traces[i].name, run_weir(&t), run_list(&t, false),
           run_list(&t, true), run_oracle(&t));
    wr_free(sums);
  }
  wr_free(t.keys);
  wr_free(t.next);
  return 0;
}
