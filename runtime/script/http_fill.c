#include "script/http_fill.h"

#include "arena/cache.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "http/date.h"
#include "http/stored.h"
#include "http/vary.h"

#define PASS_NS (10 * WR_SECOND)
#define INDEX_NS (24 * 3600 * WR_SECOND)

enum { HEAD_BYTES = WR_RESPONSE_REGION_MAX, VALUES_BYTES = WR_CACHE_KEY_MAX };

// One response on its way into the store.
struct fill {
  struct wr_http_cache cache;
  struct wr_script_env *env;
  struct wr_freshness freshness;
  uint64_t stamp;
  bool has_validator;
  bool is_too_large;
  struct wr_buf key;    // of the resource
  struct wr_buf names;  // of its Vary, empty without one
  struct wr_buf values; // of these in the request
  struct wr_buf record; // head, then the body as it comes
  size_t head_len;
};

// --- the store ----------------------------------------------------------------------------------

static bool put(struct wr_script_env *env, const struct wr_cache_item *item)
{
  return wr_cache_set(env->arena, item, wr_loop_now(env->loop)) == WR_CACHE_STORED;
}

static bool put_response(struct wr_script_env *env, struct wr_cache_item item,
                         const struct wr_freshness *f)
{
  uint64_t now = wr_loop_now(env->loop);
  uint64_t age = wr_freshness_age(f, now);
  uint64_t lifetime = (uint64_t)f->lifetime_s * WR_SECOND;
  uint64_t useful = wr_freshness_useful(f);
  item.form = WR_HTTP_FILL_RESPONSE;
  item.ttl_ns = lifetime > age ? lifetime - age : 1; // 0 would be the space's
  item.stale_ns += useful > age ? useful - age : 0;
  return put(env, &item);
}

void wr_http_fill_pass(const struct wr_http_cache *c, struct wr_script_env *env, struct wr_str key)
{
  struct wr_cache_found found = {.value = NULL};
  struct wr_cache_key at = {c->space, key, false};
  if (wr_cache_get(env->arena, &at, wr_loop_now(env->loop), &found) != WR_CACHE_NONE) return;
  struct wr_cache_item item = {
      .at = at, .value = WR_STR("-"), .form = WR_HTTP_FILL_PASS, .ttl_ns = PASS_NS};
  put(env, &item);
}

static bool has_validator(const struct wr_headers *headers)
{
  return wr_headers_get(headers, WR_STR("ETag")).ptr ||
         wr_headers_get(headers, WR_STR("Last-Modified")).ptr;
}

// The fields that are kept, and the head of the record made of them.
static bool write_head(const struct wr_response *r, const struct wr_cache_control *cc,
                       const struct wr_freshness *freshness, struct wr_buf *out)
{
  struct wr_region region;
  struct wr_headers fields;
  wr_region_init(&region, WR_RESPONSE_REGION_MAX);
  wr_headers_init(&fields, &region, WR_RESPONSE_HEADERS_MAX);
  bool ok = true;
  for (size_t i = 0; ok && i < r->headers.count; i++) {
    const struct wr_header *field = &r->headers.items[i];
    if (wr_storable_field(cc, field->name)) ok = wr_headers_add(&fields, field->name, field->value);
  }
  // An answer from the store bears the date of this one (RFC 9110 6.6.1).
  char date[WR_DATE_LEN + 1];
  if (ok && wr_headers_get(&fields, WR_STR("Date")).ptr == NULL) {
    wr_date_write(date, (int64_t)(wr_loop_wall() / WR_SECOND));
    ok = wr_headers_add(&fields, WR_STR("Date"), (struct wr_str){date, WR_DATE_LEN});
  }
  ok = ok && wr_stored_write(r->status, freshness, &fields, out);
  wr_region_fini(&region);
  return ok;
}

bool wr_http_fill_store_whole(const struct wr_http_cache *c, const struct wr_http_cache_news *news,
                              const struct wr_cache_control *cc)
{
  const struct wr_response *r = news->stored;
  struct wr_buf record;
  wr_buf_init(&record, HEAD_BYTES + r->body.len + 1);
  struct wr_cache_item item = {.at = {c->space, news->where, false},
                               .stale_ns = has_validator(&r->headers) ? c->keep_ns : 0};
  // A variant is out of reach when its index was forgotten, so only what lies under the resource's
  // own key needs the stamp.
  if (wr_str_eq(news->where, news->key)) item.stamp = news->stamp;
  bool ok = write_head(r, cc, &news->freshness, &record) &&
            wr_buf_append_str(&record, wr_buf_str(&r->body));
  item.value = wr_buf_str(&record);
  ok = ok && put_response(r->env, item, &news->freshness);
  wr_buf_fini(&record);
  return ok;
}

// --- variants -----------------------------------------------------------------------------------

static bool variant_key(struct wr_str key, uint64_t epoch, struct wr_str names,
                        struct wr_str values, struct wr_buf *out)
{
  return wr_buf_append_str(out, key) && wr_buf_append(out, "\n", 1) &&
         wr_buf_append(out, &epoch, sizeof(epoch)) && wr_buf_append_str(out, names) &&
         wr_buf_append_str(out, values) && out->len <= WR_CACHE_KEY_MAX;
}

bool wr_http_fill_variant_key(struct wr_str key, uint64_t epoch, struct wr_str names,
                              const struct wr_headers *request, struct wr_buf *out)
{
  struct wr_buf values;
  wr_buf_init(&values, VALUES_BYTES);
  bool ok = wr_vary_values(names, request, &values) &&
            variant_key(key, epoch, names, wr_buf_str(&values), out);
  wr_buf_fini(&values);
  return ok;
}

// The index with this fill's names in front: the epoch of `old` when there is one, else a new one.
static bool write_index(struct fill *f, struct wr_str old, struct wr_buf *out, uint64_t *epoch)
{
  struct wr_str names = wr_buf_str(&f->names);
  *epoch = wr_rng_next(f->env->rng);
  if (old.len >= sizeof(*epoch)) {
    memcpy(epoch, old.ptr, sizeof(*epoch));
    old = (struct wr_str){old.ptr + sizeof(*epoch), old.len - sizeof(*epoch)};
  }
  bool ok = wr_buf_append(out, epoch, sizeof(*epoch)) && wr_buf_append_str(out, names);
  size_t sets = 1;
  while (ok && old.len > 0 && sets < WR_HTTP_CACHE_SETS_MAX) {
    struct wr_str other = wr_str_split(&old, '\n');
    if (wr_str_eq(other, names)) continue;
    ok = wr_buf_append(out, "\n", 1) && wr_buf_append_str(out, other);
    sets++;
  }
  return ok;
}

// Tells the index of this variant and appends its key to `where`.
static bool enlist(struct fill *f, struct wr_str old, struct wr_buf *where)
{
  struct wr_buf index;
  wr_buf_init(&index, VALUES_BYTES);
  uint64_t epoch = 0;
  bool ok =
      write_index(f, old, &index, &epoch) &&
      variant_key(wr_buf_str(&f->key), epoch, wr_buf_str(&f->names), wr_buf_str(&f->values), where);
  struct wr_cache_item item = {.at = {f->cache.space, wr_buf_str(&f->key), false},
                               .value = wr_buf_str(&index),
                               .form = WR_HTTP_FILL_INDEX,
                               .ttl_ns = INDEX_NS + wr_freshness_useful(&f->freshness),
                               .stale_ns = f->cache.keep_ns,
                               .stamp = f->stamp};
  ok = ok && put(f->env, &item);
  wr_buf_fini(&index);
  return ok;
}

// --- collecting ---------------------------------------------------------------------------------

static void free_fill(struct fill *f)
{
  wr_buf_fini(&f->key);
  wr_buf_fini(&f->names);
  wr_buf_fini(&f->values);
  wr_buf_fini(&f->record);
  wr_free(f);
}

// Under the resource's key, or as one of its variants: then the index comes first, which is not
// written when the resource was forgotten meanwhile.
static void store(struct fill *f)
{
  struct wr_buf known;
  struct wr_buf where;
  wr_buf_init(&known, HEAD_BYTES + f->cache.object_max + 1);
  wr_buf_init(&where, 2 * WR_CACHE_KEY_MAX);
  struct wr_cache_item item = {.at = {f->cache.space, wr_buf_str(&f->key), false},
                               .value = wr_buf_str(&f->record),
                               .stale_ns = f->has_validator ? f->cache.keep_ns : 0,
                               .stamp = f->stamp};
  bool ok = true;
  if (f->names.len > 0) {
    struct wr_cache_found found = {.value = &known, .allow_stale = true};
    wr_cache_get(f->env->arena, &item.at, wr_loop_now(f->env->loop), &found);
    struct wr_str none = {NULL, 0};
    ok = enlist(f, found.form == WR_HTTP_FILL_INDEX ? wr_buf_str(&known) : none, &where);
    item.at.key = wr_buf_str(&where);
    item.stamp = 0;
  }
  if (ok) put_response(f->env, item, &f->freshness);
  wr_buf_fini(&known);
  wr_buf_fini(&where);
}

// What is collected comes as fast as the origin sends it: who waits for it must not wait for the
// slowest client.
static bool on_data(void *ctx, struct wr_str data)
{
  struct fill *f = ctx;
  if (f->is_too_large) return false;
  f->is_too_large = f->record.len - f->head_len + data.len > f->cache.object_max ||
                    !wr_buf_append_str(&f->record, data);
  if (f->is_too_large) wr_buf_fini(&f->record);
  return !f->is_too_large;
}

static void on_end(void *ctx, struct wr_response *r)
{
  struct fill *f = ctx;
  if (r->state == WR_RESPONSE_WHOLE && !f->is_too_large) store(f);
  free_fill(f);
}

static const struct wr_response_tee collector = {on_data, on_end};

const char *wr_http_fill_begin(const struct wr_http_cache *c, struct wr_response *r,
                               const struct wr_http_fill_start *start)
{
  struct fill *f = wr_alloc(sizeof(*f));
  *f = (struct fill){.cache = *c,
                     .env = r->env,
                     .freshness = *start->freshness,
                     .stamp = start->stamp,
                     .has_validator = has_validator(&r->headers)};
  wr_buf_init(&f->key, WR_CACHE_KEY_MAX);
  wr_buf_init(&f->names, WR_CACHE_KEY_MAX);
  wr_buf_init(&f->values, VALUES_BYTES);
  wr_buf_init(&f->record, HEAD_BYTES + c->object_max);
  const char *refusal = NULL;
  if (!wr_vary_names(&r->headers, &f->names)) {
    refusal = "vary";
  } else if (!wr_buf_append_str(&f->key, start->key) ||
             !wr_vary_values(wr_buf_str(&f->names), start->request, &f->values) ||
             f->key.len + f->names.len + f->values.len + 16 > WR_CACHE_KEY_MAX) {
    refusal = "key";
  } else if (!write_head(r, start->cc, start->freshness, &f->record)) {
    refusal = "too-large";
  }
  if (refusal) {
    free_fill(f);
    return refusal;
  }
  f->head_len = f->record.len;
  wr_response_read_along(r, &collector, f);
  return NULL;
}
