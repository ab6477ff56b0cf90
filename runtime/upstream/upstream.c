#include "upstream/upstream.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"

#define HOLDDOWN_NS (250 * WR_MS)

struct wr_upstream *wr_upstream_new(struct wr_str name)
{
  struct wr_upstream *u = wr_alloc(sizeof(*u));
  u->name = wr_strndup(name.ptr, name.len);
  u->refs = 1;
  return u;
}

void wr_upstream_unref(struct wr_upstream *u, struct wr_endpoints *e)
{
  if (--u->refs > 0) return;
  for (size_t i = 0; i < u->count; i++) wr_endpoint_put(e, u->endpoints[i]);
  wr_free(u->name);
  wr_free(u);
}

bool wr_upstream_add(struct wr_upstream *u, struct wr_endpoints *e, struct wr_str url,
                     struct wr_error *error)
{
  if (u->count == WR_UPSTREAM_ENDPOINTS_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "an upstream has at most %d endpoints",
                 WR_UPSTREAM_ENDPOINTS_MAX);
    return false;
  }
  struct wr_endpoint *endpoint = wr_endpoint_get(e, url, error);
  if (endpoint == NULL) return false;
  for (size_t i = 0; i < u->count; i++) {
    if (u->endpoints[i] != endpoint) continue;
    wr_error_set(error, WR_ERROR_INVALID, "endpoint '%.*s' is listed twice", WR_STR_ARG(url));
    wr_endpoint_put(e, endpoint);
    return false;
  }
  u->endpoints[u->count++] = endpoint;
  return true;
}

static uint64_t bit(size_t i)
{
  return UINT64_C(1) << i;
}

// The endpoints worth asking: untried and not held down; if none, untried; if none, all.
static uint64_t candidates(const struct wr_upstream *u, uint64_t now_ns, uint64_t tried)
{
  uint64_t all = u->count == 64 ? UINT64_MAX : bit(u->count) - 1;
  uint64_t fresh = all & ~tried;
  uint64_t good = 0;
  for (size_t i = 0; i < u->count; i++) {
    uint64_t failed = u->endpoints[i]->failed_at_ns;
    if (failed == 0 || now_ns - failed >= HOLDDOWN_NS) good |= bit(i);
  }
  if (fresh & good) return fresh & good;
  return fresh ? fresh : all;
}

// Index of the n-th set bit.
static size_t nth(uint64_t set, uint64_t n)
{
  while (n-- > 0) set &= set - 1;
  return (size_t)__builtin_ctzll(set);
}

static size_t draw(uint64_t set, struct wr_rng *rng)
{
  return nth(set, wr_rng_below(rng, (uint64_t)__builtin_popcountll(set)));
}

static size_t choose(struct wr_upstream *u, struct wr_rng *rng, uint64_t set)
{
  if (u->balance == WR_BALANCE_ROUND_ROBIN) {
    return nth(set, u->next++ % (uint64_t)__builtin_popcountll(set));
  }
  size_t first = draw(set, rng);
  if (u->balance == WR_BALANCE_RANDOM || set == bit(first)) return first;
  size_t second = draw(set & ~bit(first), rng);
  return u->endpoints[second]->in_flight < u->endpoints[first]->in_flight ? second : first;
}

struct wr_endpoint *wr_upstream_pick(struct wr_upstream *u, struct wr_rng *rng, uint64_t now_ns,
                                     uint64_t *tried)
{
  WR_CHECK(u->count > 0);
  size_t at = u->count == 1 ? 0 : choose(u, rng, candidates(u, now_ns, *tried));
  *tried |= bit(at);
  return u->endpoints[at];
}

bool wr_upstream_balance_find(struct wr_str name, enum wr_balance *out)
{
  static const char *const names[] = {"least_request", "round_robin", "random"};
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (!wr_str_eq(name, wr_str_of(names[i]))) continue;
    *out = (enum wr_balance)i;
    return true;
  }
  return false;
}
