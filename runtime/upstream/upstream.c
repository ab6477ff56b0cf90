#include "upstream/upstream.h"

#include "base/alloc.h"
#include "base/check.h"

struct wr_upstream *wr_upstream_new(struct wr_str name, const struct wr_balance_config *config)
{
  struct wr_upstream *u = wr_alloc(sizeof(*u));
  u->name = wr_strndup(name.ptr, name.len);
  u->refs = 1;
  wr_balance_init(&u->balance, config);
  return u;
}

static void put_places(struct wr_endpoints *e, struct wr_balance_place *places, size_t count)
{
  for (size_t i = 0; i < count; i++) wr_endpoint_put(e, places[i].endpoint);
}

void wr_upstream_unref(struct wr_upstream *u, struct wr_endpoints *e)
{
  if (--u->refs > 0) return;
  put_places(e, u->balance.places, u->balance.count);
  wr_balance_fini(&u->balance);
  wr_free(u->name);
  wr_free(u->zone);
  wr_free(u->key.name);
  wr_client_tls_free(u->tls);
  wr_free(u);
}

// Members

static bool fill_place(const struct wr_upstream *u, struct wr_endpoints *e,
                       const struct wr_upstream_member *m, struct wr_balance_place *out,
                       struct wr_error *error)
{
  out->endpoint = wr_endpoint_get(e, m->url, error);
  if (out->endpoint == NULL) return false;
  out->id = wr_ring_mix(wr_hash_fnv(0, m->url));
  out->weight = m->weight;
  out->is_out = out->endpoint->is_unhealthy;
  out->is_far = u->zone && !wr_str_eq(m->zone, wr_str_of(u->zone));
  return true;
}

static const struct wr_balance_place *find_id(const struct wr_balance_place *places, size_t count,
                                              uint64_t id)
{
  for (size_t i = 0; i < count; i++) {
    if (places[i].id == id) return &places[i];
  }
  return NULL;
}

static void judge_panic(struct wr_upstream *u)
{
  size_t usable = 0;
  for (size_t i = 0; i < u->balance.count; i++) usable += !u->balance.places[i].is_out;
  u->balance.is_panic = (double)usable < u->panic * (double)u->balance.count;
  wr_balance_refresh(&u->balance);
}

bool wr_upstream_set(struct wr_upstream *u, struct wr_endpoints *e,
                     const struct wr_upstream_member *members, size_t count, struct wr_error *error)
{
  if (count > WR_BALANCE_PLACES_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "an upstream has at most %d endpoints, not %zu",
                 WR_BALANCE_PLACES_MAX, count);
    return false;
  }
  struct wr_balance_place *places = wr_alloc(count * sizeof(*places));
  size_t done = 0;
  bool ok = true;
  while (ok && done < count) {
    ok = fill_place(u, e, &members[done], &places[done], error);
    if (!ok) break;
    done++;
    ok = find_id(places, done - 1, places[done - 1].id) == NULL;
    if (ok) continue;
    wr_error_set(error, WR_ERROR_INVALID, "endpoint '%.*s' is listed twice",
                 WR_STR_ARG(members[done - 1].url));
  }
  if (!ok) {
    put_places(e, places, done);
    wr_free(places);
    return false;
  }
  put_places(e, u->balance.places, u->balance.count);
  wr_balance_set(&u->balance, places, count);
  judge_panic(u);
  return true;
}

bool wr_upstream_mark(struct wr_upstream *u, size_t at, bool is_healthy)
{
  WR_CHECK(at < u->balance.count);
  struct wr_balance_place *p = &u->balance.places[at];
  bool is_news = p->endpoint->is_unhealthy == is_healthy;
  p->endpoint->is_unhealthy = !is_healthy;
  if (p->is_out == !is_healthy) return is_news;
  p->is_out = !is_healthy;
  if (is_healthy) p->ramp_ns = 0;
  judge_panic(u);
  return is_news;
}

// Attempts

static void explain(const struct wr_upstream *u, struct wr_error *error)
{
  if (u->balance.near.usable + u->balance.far.usable == 0) {
    wr_error_set(error, WR_ERROR_NO_ENDPOINT, "upstream %s: none of its %zu endpoints may be used",
                 u->name, u->balance.count);
    return;
  }
  wr_error_set(error, WR_ERROR_REFUSED, "upstream %s: all endpoints have %u attempts under way",
               u->name, u->balance.config.pool_max);
}

struct wr_endpoint *wr_upstream_pick(struct wr_upstream *u, const struct wr_balance_ask *ask,
                                     struct wr_error *error)
{
  struct wr_tried *tried = ask->tried;
  if (tried && tried->of != u) {
    tried->of = u;
    tried->count = 0;
  }
  struct wr_balance_place *p = wr_balance_pick(&u->balance, ask);
  if (p == NULL) {
    explain(u, error);
    return NULL;
  }
  p->endpoint->in_flight++;
  u->balance.in_flight++;
  return p->endpoint;
}

static void learn_latency(struct wr_endpoint *endpoint, const struct wr_upstream_report *r)
{
  if (r->kind != WR_ERROR_NONE && wr_error_is_local(r->kind)) {
    if (r->head_ns == 0) wr_ewma_give_up(&endpoint->latency, r->now_ns, r->now_ns - r->started_ns);
    return;
  }
  bool is_failure = r->kind != WR_ERROR_NONE || r->status == 429 || r->status >= 500;
  uint64_t until_ns = r->head_ns ? r->head_ns : r->now_ns;
  wr_ewma_add(&endpoint->latency, r->now_ns, until_ns - r->started_ns, is_failure);
}

void wr_upstream_report(struct wr_upstream *u, struct wr_endpoint *endpoint,
                        const struct wr_upstream_report *r)
{
  WR_CHECK(endpoint->in_flight > 0 && u->balance.in_flight > 0);
  endpoint->in_flight--;
  u->balance.in_flight--;
  if (r->kind == WR_ERROR_CONNECT) {
    endpoint->failed_at_ns = r->now_ns;
  } else if (r->kind == WR_ERROR_NONE) {
    endpoint->failed_at_ns = 0;
  }
  if (u->balance.config.rule == WR_BALANCE_PEAK_EWMA) learn_latency(endpoint, r);
}
