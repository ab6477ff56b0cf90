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

struct sorted {
  uint64_t open;    // below their connection limit
  uint64_t healthy; // by their health check
  uint64_t fit;     // and not just refused
};

static struct sorted sort_endpoints(const struct wr_upstream *u, uint64_t now_ns)
{
  struct sorted s = {0};
  for (size_t i = 0; i < u->count; i++) {
    const struct wr_endpoint *e = u->endpoints[i];
    bool is_down = e->failed_at_ns != 0 && now_ns - e->failed_at_ns < HOLDDOWN_NS;
    if (u->pool_max == 0 || e->in_flight < u->pool_max) s.open |= bit(i);
    if (!e->is_unhealthy) s.healthy |= bit(i);
    if (!e->is_unhealthy && !is_down) s.fit |= bit(i);
  }
  return s;
}

// The best class of endpoints that is not empty. With none healthy all are asked: a health check
// that is wrong about everything must not take the upstream away (panic mode).
static uint64_t candidates(const struct wr_upstream *u, uint64_t now_ns, uint64_t tried)
{
  struct sorted s = sort_endpoints(u, now_ns);
  uint64_t fresh = s.open & ~tried;
  if (fresh & s.fit) return fresh & s.fit;
  if (fresh & s.healthy) return fresh & s.healthy;
  if (s.open & s.healthy) return s.open & s.healthy;
  return fresh ? fresh : s.open;
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
  uint64_t set = candidates(u, now_ns, *tried);
  if (set == 0) return NULL;
  size_t at = choose(u, rng, set);
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
