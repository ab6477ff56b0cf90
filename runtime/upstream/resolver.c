#include "upstream/resolver.h"

#include "base/alloc.h"
#include "base/map.h"
#include "loop/timer.h"
#include "upstream/hosts.h"

static const uint64_t SECOND = 1000000000u;

struct wr_resolver_entry {
  struct wr_list lru;     // in resolver.lru, most recently used last
  struct wr_list done;    // in resolver.done while waiters are to be told
  struct wr_list waiters; // struct wr_resolver_query
  struct wr_resolver *resolver;
  struct wr_timer patience; // runs while waiters might be given the stale answer
  uint64_t asked_ns;
  uint64_t fresh_until_ns;
  uint64_t stale_until_ns;
  bool is_asking;
  bool is_stale;      // the last try to refresh `answer` failed
  const char *reason; // why there is no answer
  struct wr_dns_answer answer;
  size_t name_len;
  char name[WR_DNS_NAME_MAX + 1];
};

struct wr_resolver {
  struct wr_loop *loop;
  struct wr_resolver_options options;
  struct wr_dns *dns;
  struct wr_hosts hosts;
  struct wr_map entries;
  struct wr_list lru;
  struct wr_list done;  // entries whose waiters are to be told
  struct wr_list ready; // queries that need no entry: numeric hosts, and names that cannot be
  struct wr_deferred deliver;
  struct wr_resolver_stats stats;
  void (*on_closed)(void *ctx);
  void *on_closed_ctx;
};

// Telling waiters: always at the end of a turn, so that no callback runs inside a query, inside
// c-ares, or inside another callback's stack.

static void answer_query(struct wr_resolver *r, struct wr_resolver_query *q,
                         const struct wr_dns_answer *answer, const struct wr_error *error)
{
  wr_resolver_cb cb = q->on_answer;
  q->on_answer = NULL;
  if (answer->count == 0) r->stats.failures++;
  cb(q, answer->count ? answer : NULL, error);
}

static void deliver_ready(struct wr_resolver *r, struct wr_resolver_query *q)
{
  struct wr_dns_answer answer = {.count = q->numeric.text[0] != '\0', .items = {q->numeric}};
  struct wr_error error = {0};
  if (answer.count == 0) wr_error_set(&error, WR_ERROR_DNS, "%s", q->refused);
  answer_query(r, q, &answer, &error);
}

static void move_all(struct wr_list *from, struct wr_list *to)
{
  struct wr_list *node;
  while ((node = wr_list_pop(from)) != NULL) wr_list_push(to, node);
}

// The entry may be evicted by what its waiters do: they are told from copies.
static void deliver_entry(struct wr_resolver *r, struct wr_resolver_entry *e)
{
  struct wr_list waiters;
  wr_list_init(&waiters);
  move_all(&e->waiters, &waiters);
  struct wr_dns_answer answer = e->answer;
  uint64_t now = wr_loop_now(r->loop);
  bool is_stale = now >= e->fresh_until_ns || e->is_stale;
  answer.ttl_s = now < e->fresh_until_ns ? (uint32_t)((e->fresh_until_ns - now) / SECOND) : 0;
  struct wr_error error = {0};
  if (answer.count == 0) wr_error_set(&error, WR_ERROR_DNS, "%.100s: %s", e->name, e->reason);
  struct wr_list *node;
  while ((node = wr_list_pop(&waiters)) != NULL) {
    if (is_stale && answer.count > 0) r->stats.stale++;
    answer_query(r, WR_CONTAINER(node, struct wr_resolver_query, link), &answer, &error);
  }
}

static void on_deliver(struct wr_deferred *d)
{
  struct wr_resolver *r = WR_CONTAINER(d, struct wr_resolver, deliver);
  struct wr_list ready;
  struct wr_list done;
  wr_list_init(&ready);
  wr_list_init(&done);
  move_all(&r->ready, &ready);
  move_all(&r->done, &done);
  struct wr_list *node;
  while ((node = wr_list_pop(&ready)) != NULL) {
    deliver_ready(r, WR_CONTAINER(node, struct wr_resolver_query, link));
  }
  while ((node = wr_list_pop(&done)) != NULL) {
    deliver_entry(r, WR_CONTAINER(node, struct wr_resolver_entry, done));
  }
}

static void tell_waiters(struct wr_resolver_entry *e)
{
  struct wr_resolver *r = e->resolver;
  wr_timer_stop(&e->patience);
  if (wr_list_is_empty(&e->waiters)) return;
  if (wr_list_is_empty(&e->done)) wr_list_push(&r->done, &e->done);
  wr_loop_defer(r->loop, &r->deliver);
}

// Entries

static void free_entry(struct wr_resolver_entry *e)
{
  wr_timer_stop(&e->patience);
  wr_list_remove(&e->lru);
  wr_list_remove(&e->done);
  wr_map_remove(&e->resolver->entries, (struct wr_str){e->name, e->name_len});
  wr_free(e);
}

static bool is_idle(const struct wr_resolver_entry *e)
{
  return !e->is_asking && wr_list_is_empty(&e->waiters) && wr_list_is_empty(&e->done);
}

static bool make_place(struct wr_resolver *r)
{
  if (r->entries.count < r->options.entries_max) return true;
  WR_LIST_EACH(&r->lru, node) {
    struct wr_resolver_entry *e = WR_CONTAINER(node, struct wr_resolver_entry, lru);
    if (!is_idle(e)) continue;
    free_entry(e);
    return true;
  }
  return false;
}

static void on_patience(struct wr_timer *t)
{
  tell_waiters(WR_CONTAINER(t, struct wr_resolver_entry, patience));
}

static struct wr_resolver_entry *get_entry(struct wr_resolver *r, struct wr_str name)
{
  struct wr_resolver_entry *e = wr_map_get(&r->entries, name);
  if (e != NULL) {
    wr_list_remove(&e->lru);
    wr_list_push(&r->lru, &e->lru);
    return e;
  }
  if (!make_place(r)) return NULL;
  e = wr_alloc(sizeof(*e));
  e->resolver = r;
  wr_list_init(&e->done);
  wr_list_init(&e->waiters);
  wr_list_push(&r->lru, &e->lru);
  wr_timer_init(&e->patience, r->loop, on_patience);
  memcpy(e->name, name.ptr, name.len);
  e->name_len = name.len;
  wr_map_put(&r->entries, name, e);
  return e;
}

static uint64_t clamp_ttl(const struct wr_resolver_options *o, uint64_t ttl_ns)
{
  if (ttl_ns < o->ttl_min_ns) return o->ttl_min_ns;
  return ttl_ns > o->ttl_max_ns ? o->ttl_max_ns : ttl_ns;
}

static void keep_answer(struct wr_resolver_entry *e, const struct wr_dns_answer *answer,
                        uint64_t ttl_ns)
{
  const struct wr_resolver_options *o = &e->resolver->options;
  e->answer = *answer;
  e->is_stale = false;
  e->fresh_until_ns = wr_loop_now(e->resolver->loop) + clamp_ttl(o, ttl_ns);
  e->stale_until_ns = e->fresh_until_ns + o->stale_max_ns;
}

static void keep_failure(struct wr_resolver_entry *e, const struct wr_dns_result *result)
{
  struct wr_resolver *r = e->resolver;
  uint64_t now = wr_loop_now(r->loop);
  bool is_none = result->status == WR_DNS_NONE;
  e->reason = result->reason;
  // "No such name" is an answer and replaces what was known; a failure does not (RFC 8767 4).
  if (is_none || now >= e->stale_until_ns) e->answer.count = 0;
  e->is_stale = e->answer.count > 0;
  e->fresh_until_ns = now + (is_none ? r->options.negative_ttl_ns : r->options.failure_ttl_ns);
}

static void on_dns(void *ctx, const struct wr_dns_result *result)
{
  struct wr_resolver_entry *e = ctx;
  const struct wr_resolver_options *o = &e->resolver->options;
  const struct wr_resolver_lookup lookup = {
      {e->name, e->name_len}, wr_loop_now(e->resolver->loop) - e->asked_ns, result->status};
  if (o->on_lookup) o->on_lookup(o->ctx, &lookup);
  e->is_asking = false;
  if (result->status == WR_DNS_FOUND) {
    keep_answer(e, &result->answer, (uint64_t)result->ttl_s * SECOND);
  } else {
    keep_failure(e, result);
  }
  tell_waiters(e);
}

// RFC 6761 6.3: localhost and all names under it are this machine, whatever a name server says.
static bool is_localhost(struct wr_str name)
{
  struct wr_str suffix = WR_STR("localhost");
  if (name.len < suffix.len) return false;
  struct wr_str end = {name.ptr + name.len - suffix.len, suffix.len};
  return wr_str_eq(end, suffix) &&
         (name.len == suffix.len || name.ptr[name.len - suffix.len - 1] == '.');
}

static const struct wr_dns_answer *find_local(struct wr_resolver *r, struct wr_str name)
{
  static const struct wr_dns_answer loopback = {2, {{"127.0.0.1", false}, {"::1", true}}, 0};
  const struct wr_dns_answer *found = wr_hosts_find(&r->hosts, wr_loop_now(r->loop), name);
  return found == NULL && is_localhost(name) ? &loopback : found;
}

static void refresh(struct wr_resolver_entry *e)
{
  struct wr_resolver *r = e->resolver;
  const struct wr_dns_answer *local = find_local(r, (struct wr_str){e->name, e->name_len});
  if (local != NULL) {
    keep_answer(e, local, 0);
    return;
  }
  e->is_asking = true;
  e->asked_ns = wr_loop_now(r->loop);
  r->stats.questions++;
  wr_dns_lookup(r->dns, e->name, on_dns, e);
}

static void join(struct wr_resolver_entry *e, struct wr_resolver_query *q)
{
  struct wr_resolver *r = e->resolver;
  uint64_t now = wr_loop_now(r->loop);
  wr_list_push(&e->waiters, &q->link);
  if (!e->is_asking && now >= e->fresh_until_ns) refresh(e);
  if (!e->is_asking) {
    tell_waiters(e);
  } else if (e->answer.count > 0 && now < e->stale_until_ns && !wr_timer_is_running(&e->patience)) {
    wr_timer_start(&e->patience, r->options.stale_after_ns);
  }
}

// Public

static struct wr_resolver_options with_defaults(const struct wr_resolver_options *options)
{
  struct wr_resolver_options o = options ? *options : (struct wr_resolver_options){0};
  if (o.ttl_min_ns == 0) o.ttl_min_ns = SECOND;
  if (o.ttl_max_ns == 0) o.ttl_max_ns = 3600 * SECOND;
  if (o.negative_ttl_ns == 0) o.negative_ttl_ns = 5 * SECOND;
  if (o.failure_ttl_ns == 0) o.failure_ttl_ns = SECOND;
  if (o.stale_max_ns == 0) o.stale_max_ns = 24 * 3600 * SECOND;
  if (o.stale_after_ns == 0) o.stale_after_ns = SECOND / 2;
  if (o.entries_max == 0) o.entries_max = 1024;
  return o;
}

struct wr_resolver *wr_resolver_new(struct wr_loop *l, const struct wr_resolver_options *options,
                                    struct wr_error *error)
{
  struct wr_resolver_options o = with_defaults(options);
  struct wr_dns *dns = wr_dns_open(l, &o.dns, error);
  if (dns == NULL) return NULL;
  struct wr_resolver *r = wr_alloc(sizeof(*r));
  r->loop = l;
  r->options = o;
  r->dns = dns;
  struct wr_hash_key key = {wr_loop_entropy(), wr_loop_entropy()};
  wr_hosts_init(&r->hosts, o.hosts_path, key);
  wr_map_init(&r->entries, key);
  wr_list_init(&r->lru);
  wr_list_init(&r->done);
  wr_list_init(&r->ready);
  wr_deferred_init(&r->deliver, on_deliver);
  return r;
}

static void on_dns_closed(void *ctx)
{
  struct wr_resolver *r = ctx;
  void (*on_closed)(void *) = r->on_closed;
  void *on_closed_ctx = r->on_closed_ctx;
  wr_free(r);
  if (on_closed) on_closed(on_closed_ctx);
}

void wr_resolver_close(struct wr_resolver *r, void (*on_closed)(void *ctx), void *ctx)
{
  WR_CHECK(wr_list_is_empty(&r->ready));
  r->on_closed = on_closed;
  r->on_closed_ctx = ctx;
  wr_loop_undefer(&r->deliver);
  while (!wr_list_is_empty(&r->lru)) {
    struct wr_resolver_entry *e = WR_CONTAINER(r->lru.next, struct wr_resolver_entry, lru);
    WR_CHECK(wr_list_is_empty(&e->waiters));
    free_entry(e);
  }
  wr_map_fini(&r->entries);
  wr_hosts_fini(&r->hosts);
  wr_dns_close(r->dns, on_dns_closed, r);
}

// Lower-cases `host` into `name`; false for what cannot be a host name.
static bool read_name(struct wr_str host, char name[WR_DNS_NAME_MAX])
{
  if (host.len == 0 || host.len > WR_DNS_NAME_MAX || host.ptr[0] == '.') return false;
  for (size_t i = 0; i < host.len; i++) {
    char c = wr_str_lower(host.ptr[i]);
    bool is_ok =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!is_ok || (c == '.' && i > 0 && host.ptr[i - 1] == '.')) return false;
    name[i] = c;
  }
  return true;
}

void wr_resolver_query(struct wr_resolver *r, struct wr_str host, struct wr_resolver_query *q,
                       wr_resolver_cb cb)
{
  char name[WR_DNS_NAME_MAX];
  *q = (struct wr_resolver_query){.on_answer = cb};
  wr_list_init(&q->link);
  r->stats.queries++;
  if (!wr_dns_numeric(host, &q->numeric)) {
    q->refused = "not a valid host name";
    if (read_name(host, name)) {
      struct wr_resolver_entry *e = get_entry(r, (struct wr_str){name, host.len});
      if (e != NULL) {
        join(e, q);
        return;
      }
      q->refused = "too many names are being looked up";
    }
  }
  wr_list_push(&r->ready, &q->link);
  wr_loop_defer(r->loop, &r->deliver);
}

void wr_resolver_cancel(struct wr_resolver_query *q)
{
  if (q->on_answer == NULL) return;
  q->on_answer = NULL;
  wr_list_remove(&q->link);
}

struct wr_dns *wr_resolver_dns(struct wr_resolver *r)
{
  return r->dns;
}

struct wr_resolver_stats wr_resolver_stats(const struct wr_resolver *r)
{
  struct wr_resolver_stats stats = r->stats;
  stats.entries = r->entries.count;
  return stats;
}
