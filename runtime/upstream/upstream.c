#include "upstream/upstream.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

struct wr_upstream *wr_upstream_new(struct wr_str name, const struct wr_balance_config *config,
                                    const struct wr_upstream_home *home)
{
  struct wr_upstream *u = wr_alloc(sizeof(*u));
  u->name = wr_strndup(name.ptr, name.len);
  u->home = *home;
  u->refs = 1;
  wr_list_init(&u->link);
  wr_balance_init(&u->balance, config);
  return u;
}

static void put_places(struct wr_upstream *u)
{
  for (size_t i = 0; i < u->balance.count; i++) {
    wr_endpoint_put(u->home.endpoints, u->balance.places[i].endpoint);
  }
}

static void free_wanted(struct wr_upstream *u)
{
  for (size_t i = 0; i < u->wanted_count; i++) {
    wr_free((char *)u->wanted[i].url.ptr);
    wr_free((char *)u->wanted[i].zone.ptr);
  }
  wr_free(u->wanted);
}

void wr_upstream_unref(struct wr_upstream *u)
{
  if (--u->refs > 0) return;
  put_places(u);
  wr_balance_fini(&u->balance);
  free_wanted(u);
  wr_list_remove(&u->link);
  wr_free(u->places);
  wr_free(u->name);
  wr_free(u->zone);
  wr_free(u->upgrade);
  wr_free(u->key.name);
  wr_client_tls_unref(u->tls);
  wr_free(u);
}

// Declaring

static bool check_one(const struct wr_roster_wanted *w, struct wr_error *error)
{
  if (w->url.len >= WR_ROSTER_URL_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "endpoint '%.60s…' is longer than %d bytes", w->url.ptr,
                 WR_ROSTER_URL_MAX - 1);
    return false;
  }
  if (w->zone.len >= WR_ROSTER_ZONE_MAX || w->weight < 1 || w->weight > WR_BALANCE_WEIGHT_MAX) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "endpoint '%.*s': a zone has at most %d bytes, a weight is from 1 to %d",
                 WR_STR_ARG(w->url), WR_ROSTER_ZONE_MAX - 1, WR_BALANCE_WEIGHT_MAX);
    return false;
  }
  return wr_endpoint_check(w->url, error);
}

static int compare_ids(const void *a, const void *b)
{
  const uint64_t *x = a;
  const uint64_t *y = b;
  return (*x > *y) - (*x < *y);
}

static bool check_doubles(const struct wr_roster_wanted *wanted, size_t count,
                          struct wr_error *error)
{
  uint64_t ids[WR_BALANCE_PLACES_MAX];
  for (size_t i = 0; i < count; i++) ids[i] = wr_roster_id(wanted[i].url);
  qsort(ids, count, sizeof(*ids), compare_ids);
  for (size_t i = 1; i < count; i++) {
    if (ids[i] != ids[i - 1]) continue;
    for (size_t k = 0; k < count; k++) {
      if (wr_roster_id(wanted[k].url) != ids[i]) continue;
      wr_error_set(error, WR_ERROR_INVALID, "endpoint '%.*s' is listed twice",
                   WR_STR_ARG(wanted[k].url));
      return false;
    }
  }
  return true;
}

bool wr_upstream_check(const struct wr_roster_wanted *wanted, size_t count, struct wr_error *error)
{
  if (count > WR_BALANCE_PLACES_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "an upstream has at most %d endpoints, not %zu",
                 WR_BALANCE_PLACES_MAX, count);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!check_one(&wanted[i], error)) return false;
  }
  return check_doubles(wanted, count, error);
}

static uint64_t hash_wanted(const struct wr_roster_wanted *wanted, size_t count,
                            struct wr_str source)
{
  uint64_t hash = wr_hash_fnv(0, source);
  if (source.len > 0) count = 0; // where they are found is declared, not who they are
  for (size_t i = 0; i < count; i++) {
    uint32_t numbers[] = {wanted[i].weight, wanted[i].is_far};
    hash = wr_hash_fnv(hash, wanted[i].url);
    hash = wr_hash_fnv(hash, WR_STR("|"));
    hash = wr_hash_fnv(hash, wanted[i].zone);
    hash = wr_hash_fnv(hash, (struct wr_str){(const char *)numbers, sizeof(numbers)});
  }
  return hash ? hash : 1;
}

static struct wr_str copy_str(struct wr_str s)
{
  return (struct wr_str){wr_strndup(s.ptr, s.len), s.len};
}

bool wr_upstream_want(struct wr_upstream *u, const struct wr_roster_wanted *wanted, size_t count,
                      struct wr_str source, struct wr_error *error)
{
  if (!wr_upstream_check(wanted, count, error)) return false;
  free_wanted(u);
  u->wanted = wr_alloc(count * sizeof(*wanted));
  u->wanted_count = count;
  u->declared = hash_wanted(wanted, count, source);
  for (size_t i = 0; i < count; i++) {
    u->wanted[i] = wanted[i];
    u->wanted[i].url = copy_str(wanted[i].url);
    u->wanted[i].zone = copy_str(wanted[i].zone);
  }
  return true;
}

void wr_upstream_enlist(struct wr_upstream *u, struct wr_entry *entry)
{
  u->entry = entry;
  u->ref = wr_registry_ref(entry);
}

// The roster

struct wr_roster *wr_upstream_lock(struct wr_upstream *u, uint64_t now_ns)
{
  if (!wr_registry_lock(u->home.registry, u->entry, u->ref.generation, now_ns)) return NULL;
  return u->entry->state;
}

void wr_upstream_unlock(struct wr_upstream *u)
{
  const struct wr_roster *r = u->entry->state;
  struct wr_registry *registry = u->home.registry;
  bool is_planned = wr_registry_plan(registry, u->entry, wr_roster_next(r));
  wr_registry_unlock(registry, u->entry);
  if (is_planned) wr_slot_ring(registry->arena, wr_slot_master(registry->arena));
}

size_t wr_upstream_set(struct wr_upstream *u, const struct wr_roster_wanted *wanted, size_t count,
                       uint64_t now_ns)
{
  struct wr_roster *r = wr_upstream_lock(u, now_ns);
  if (r == NULL) return 0;
  wr_roster_set(r, wanted, count, 0, now_ns);
  size_t left_out = count > r->capacity ? count - r->capacity : 0;
  wr_upstream_unlock(u);
  wr_upstream_sync(u, now_ns);
  return left_out;
}

static void copy_row(const struct wr_roster *r, uint32_t at, struct wr_balance_place *place,
                     struct wr_upstream_place *extra)
{
  const struct wr_outlier_row *row = &wr_roster_outlier(r)->rows[at];
  place->is_out = row->is_ejected || row->is_unhealthy;
  place->is_drained = wr_roster_member(r, at)->is_drained;
  place->ramp_ns = wr_roster_member(r, at)->ramp_ns;
  extra->since_ns = row->since_ns;
  extra->is_ejected = row->is_ejected;
  extra->is_unhealthy = row->is_unhealthy;
}

static void copy_states(struct wr_upstream *u, const struct wr_roster *r)
{
  for (size_t i = 0; i < u->balance.count; i++) {
    copy_row(r, u->places[i].row, &u->balance.places[i], &u->places[i]);
  }
  wr_balance_refresh(&u->balance);
}

// What this worker has not told of yet is lost with the old places: at most a tenth of a second.
static void copy_list(struct wr_upstream *u, const struct wr_roster *r)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  struct wr_balance_place *places = wr_alloc(o->count * sizeof(*places));
  struct wr_upstream_place *extra = wr_alloc(o->count * sizeof(*extra));
  size_t count = 0;
  for (uint32_t i = 0; i < r->capacity && count < o->count; i++) {
    const struct wr_roster_member *m = wr_roster_member(r, i);
    struct wr_error error;
    if (!o->rows[i].is_used) continue;
    struct wr_balance_place *p = &places[count];
    p->endpoint = wr_endpoint_get(u->home.endpoints, wr_str_of(m->url), &error);
    if (p->endpoint == NULL) continue;
    p->id = m->id;
    p->weight = m->weight;
    p->is_far = m->is_far || (u->zone && strcmp(m->zone, u->zone) != 0);
    extra[count].row = i;
    memcpy(extra[count].zone, m->zone, sizeof(m->zone));
    copy_row(r, i, p, &extra[count]);
    count++;
  }
  put_places(u);
  wr_free(u->places);
  u->places = extra;
  wr_balance_set(&u->balance, places, count);
}

static void tell_all(struct wr_upstream *u, struct wr_roster *r, uint64_t now_ns)
{
  for (size_t i = 0; i < u->balance.count; i++) {
    struct wr_upstream_place *p = &u->places[i];
    if (p->seen.batch.successes == 0) continue;
    wr_roster_report(r, p->row, u->balance.places[i].id, &p->seen, now_ns);
    memset(&p->seen, 0, sizeof(p->seen));
  }
}

static bool has_news(const struct wr_upstream *u)
{
  for (size_t i = 0; i < u->balance.count; i++) {
    if (u->places[i].seen.batch.successes > 0) return true;
  }
  return false;
}

static bool is_current(const struct wr_upstream *u)
{
  const struct wr_roster *r = __atomic_load_n(&u->entry->state, __ATOMIC_ACQUIRE);
  return wr_roster_version(r) == u->version;
}

static void update(struct wr_upstream *u, uint64_t now_ns)
{
  struct wr_roster *r = wr_upstream_lock(u, now_ns);
  if (r == NULL) return;
  // A generation that drains, or is not live yet, has another declaration than the roster.
  bool is_live = r->config.declared == u->declared;
  if (is_live && r->seeded != u->declared) {
    wr_roster_set(r, u->wanted, u->wanted_count, u->declared, now_ns);
  }
  tell_all(u, r, now_ns);
  u->balance.is_panic = r->is_panic;
  if (u->version < r->list_version) {
    copy_list(u, r);
  } else {
    copy_states(u, r);
  }
  u->version = wr_roster_version(r);
  wr_upstream_unlock(u);
}

void wr_upstream_sync(struct wr_upstream *u, uint64_t now_ns)
{
  if (!is_current(u) || has_news(u)) update(u, now_ns);
}

// Attempts

static void explain(const struct wr_upstream *u, struct wr_error *error)
{
  if (u->balance.near.usable + u->balance.far.usable == 0) {
    wr_error_set(error, WR_ERROR_NO_ENDPOINT, "upstream %s: none of its %zu endpoints may be used",
                 u->name, u->balance.count);
    error->retryable = true;
    return;
  }
  wr_error_set(error, WR_ERROR_REFUSED, "upstream %s: all endpoints have %u attempts under way",
               u->name, u->balance.config.pool_max);
}

bool wr_upstream_pick(struct wr_upstream *u, const struct wr_balance_ask *ask,
                      struct wr_upstream_choice *out, struct wr_error *error)
{
  if (!is_current(u)) update(u, ask->now_ns);
  struct wr_tried *tried = ask->tried;
  if (tried && tried->of != u) {
    tried->of = u;
    tried->count = 0;
  }
  struct wr_balance_place *p = wr_balance_pick(&u->balance, ask);
  if (p == NULL) {
    explain(u, error);
    return false;
  }
  *out = (struct wr_upstream_choice){p->endpoint, (uint32_t)(p - u->balance.places)};
  p->endpoint->in_flight++;
  p->endpoint->refs++;
  u->balance.in_flight++;
  return true;
}

static bool is_gateway_failure(int status)
{
  return status >= 502 && status <= 504;
}

enum verdict { NOTHING, SUCCESS, FAILURE };

static enum verdict judge(const struct wr_upstream_report *r)
{
  if (is_gateway_failure(r->status)) return FAILURE;
  switch (r->kind) {
  case WR_ERROR_NONE: return SUCCESS;
  case WR_ERROR_TIMEOUT:
  case WR_ERROR_CONNECT:
  case WR_ERROR_DNS:
  case WR_ERROR_TLS:
  case WR_ERROR_RESET:
  case WR_ERROR_PROTOCOL: return FAILURE;
  default: return NOTHING;
  }
}

static void learn_latency(struct wr_endpoint *endpoint, const struct wr_upstream_report *r,
                          enum verdict verdict)
{
  uint64_t until_ns = r->head_ns ? r->head_ns : r->now_ns;
  uint64_t latency_ns = until_ns - r->started_ns;
  if (verdict == NOTHING && r->head_ns == 0) {
    wr_ewma_give_up(&endpoint->latency, r->now_ns, latency_ns);
    return;
  }
  bool is_failure = verdict == FAILURE || r->status == 429 || r->status >= 500;
  wr_ewma_add(&endpoint->latency, r->now_ns, latency_ns, is_failure);
}

// The roster is told of failures at once, of successes with the next sync or failure.
static void learn_outcome(struct wr_upstream *u, const struct wr_upstream_choice *choice,
                          const struct wr_upstream_report *r, enum verdict verdict)
{
  if (choice->place >= u->balance.count) return;
  const struct wr_balance_place *place = &u->balance.places[choice->place];
  struct wr_upstream_place *p = &u->places[choice->place];
  if (place->endpoint != choice->endpoint || r->started_ns < p->since_ns) return;
  if (verdict == SUCCESS) {
    wr_outlier_batch_success(&p->seen.batch, r->head_ns - r->started_ns);
    p->seen.latency_ns += r->head_ns - r->started_ns;
    return;
  }
  p->seen.batch.failures++;
  p->seen.last = (struct wr_standing_failure){
      .status = (uint16_t)(is_gateway_failure(r->status) ? r->status : 0),
      .error = (uint8_t)r->kind};
  struct wr_roster *roster = wr_upstream_lock(u, r->now_ns);
  if (roster) {
    wr_roster_report(roster, p->row, place->id, &p->seen, r->now_ns);
    wr_upstream_unlock(u);
  }
  memset(&p->seen, 0, sizeof(p->seen));
}

void wr_upstream_report(struct wr_upstream *u, struct wr_upstream_choice *choice,
                        const struct wr_upstream_report *r)
{
  struct wr_endpoint *endpoint = choice->endpoint;
  enum verdict verdict = judge(r);
  WR_CHECK(endpoint->in_flight > 0 && u->balance.in_flight > 0);
  endpoint->in_flight--;
  u->balance.in_flight--;
  if (r->kind == WR_ERROR_CONNECT) {
    endpoint->failed_at_ns = r->now_ns;
  } else if (r->kind == WR_ERROR_NONE) {
    endpoint->failed_at_ns = 0;
  }
  if (u->balance.config.rule == WR_BALANCE_PEAK_EWMA) learn_latency(endpoint, r, verdict);
  if (verdict != NOTHING) learn_outcome(u, choice, r, verdict);
  choice->endpoint = NULL;
  wr_endpoint_put(u->home.endpoints, endpoint);
}
