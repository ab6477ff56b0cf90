#include "script/http_cache.h"

#include "arena/cache.h"
#include "base/check.h"
#include "http/stored.h"
#include "http/vary.h"
#include "script/http_fill.h"

enum { RECORD_BYTES = 64 * 1024 * 1024 };

// --- the request --------------------------------------------------------------------------------

static bool has(const struct wr_headers *headers, const char *name)
{
  return wr_headers_get(headers, wr_str_of(name)).ptr != NULL;
}

// Fields that make some origins answer for another method or path than the key says.
static bool is_disguised(const struct wr_headers *headers)
{
  static const char *const names[] = {"X-HTTP-Method-Override", "X-HTTP-Method",
                                      "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"};
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (has(headers, names[i])) return true;
  }
  return false;
}

static bool is_one_of(struct wr_str method, const char *a, const char *b)
{
  return wr_str_eq(method, wr_str_of(a)) || wr_str_eq(method, wr_str_of(b));
}

enum wr_http_cache_plan wr_http_cache_plan(const struct wr_http_cache *c,
                                           const struct wr_request *q, const char **reason)
{
  const struct wr_head *head = q->info->head;
  *reason = "method";
  if (is_one_of(head->method, "OPTIONS", "TRACE")) return WR_HTTP_CACHE_PASS;
  if (!is_one_of(head->method, "GET", "HEAD")) return WR_HTTP_CACHE_UNSAFE;
  struct wr_cache_control room;
  const struct wr_cache_control *asked = wr_http_cache_asked(c, q, &room);
  *reason = "request";
  if (asked && asked->no_store) return WR_HTTP_CACHE_PASS;
  *reason = "bypass";
  if (wr_request_has_body(q) || is_disguised(&head->headers)) return WR_HTTP_CACHE_PASS;
  // Preconditions of the origin's, not of ours (RFC 9110 13.1.1, 13.1.4).
  if (has(&head->headers, "If-Match") || has(&head->headers, "If-Unmodified-Since")) {
    return WR_HTTP_CACHE_PASS;
  }
  return WR_HTTP_CACHE_LOOK;
}

const struct wr_cache_control *wr_http_cache_asked(const struct wr_http_cache *c,
                                                   const struct wr_request *q,
                                                   struct wr_cache_control *room)
{
  if (!c->rules.obeys_requests) return NULL;
  const struct wr_headers *headers = &q->info->head->headers;
  wr_cache_control_read(headers, WR_STR("Cache-Control"), room);
  bool is_pragma = wr_headers_has_token(headers, WR_STR("Pragma"), WR_STR("no-cache"));
  if (!room->is_present && is_pragma) room->no_cache = true;
  return room;
}

// A trusted proxy's word for what the client asked it, else what we saw ourselves.
static struct wr_str claimed(const struct wr_request *q, const char *name, struct wr_str seen)
{
  if (q->trust == NULL || !wr_networks_has(q->trust, q->info->client)) return seen;
  struct wr_str claim = wr_headers_get(&q->info->head->headers, wr_str_of(name));
  return claim.ptr ? claim : seen;
}

bool wr_http_cache_key(const struct wr_request *q, struct wr_str target, struct wr_str extra,
                       struct wr_buf *out)
{
  struct wr_str scheme = claimed(q, "X-Forwarded-Proto", q->info->scheme);
  struct wr_str host = claimed(q, "X-Forwarded-Host", q->info->head->host);
  // No part can hold a line break: no two resources have one key.
  bool ok = wr_buf_append_str(out, WR_STR("http\n")) && wr_buf_append_str(out, scheme) &&
            wr_buf_append_str(out, WR_STR("\n")) && wr_buf_append_str(out, host) &&
            wr_buf_append_str(out, WR_STR("\n")) && wr_buf_append_str(out, q->info->head->host) &&
            wr_buf_append_str(out, WR_STR("\n")) && wr_buf_append_str(out, target) &&
            wr_buf_append_str(out, WR_STR("\n")) && wr_buf_append_str(out, extra);
  return ok && out->len <= WR_CACHE_KEY_MAX;
}

// --- looking ------------------------------------------------------------------------------------

// What lies under `key`: its form, 0 when there is nothing.
static uint8_t get(const struct wr_http_cache *c, struct wr_script_env *env, struct wr_str key,
                   struct wr_buf *value)
{
  struct wr_cache_found found = {.value = value, .allow_stale = true};
  wr_buf_clear(value);
  struct wr_cache_key at = {c->space, key, false};
  wr_cache_get(env->arena, &at, wr_loop_now(env->loop), &found);
  return found.form;
}

static bool unpack(const struct wr_buf *record, struct wr_response *r,
                   struct wr_freshness *freshness)
{
  struct wr_str body;
  if (!wr_stored_read(wr_buf_str(record), &r->status, freshness, &r->headers, &body)) return false;
  r->state = WR_RESPONSE_WHOLE;
  r->has_length = true;
  r->length = body.len;
  return wr_buf_append_str(&r->body, body);
}

// Tries the variants that an index tells of, newest kind first. Leaves the one that matches in
// `record` and its key in `where`.
static bool get_variant(const struct wr_http_cache *c, const struct wr_request *q,
                        struct wr_str key, struct wr_str index, struct wr_http_cache_found *found)
{
  uint64_t epoch = 0;
  if (index.len < sizeof(epoch)) return false;
  memcpy(&epoch, index.ptr, sizeof(epoch));
  struct wr_str sets = {index.ptr + sizeof(epoch), index.len - sizeof(epoch)};
  while (sets.len > 0) {
    struct wr_str names = wr_str_split(&sets, '\n');
    wr_buf_clear(&found->where);
    if (!wr_http_fill_variant_key(key, epoch, names, &q->info->head->headers, &found->where)) {
      continue;
    }
    uint8_t form = get(c, q->env, wr_buf_str(&found->where), &found->record);
    if (form == WR_HTTP_FILL_RESPONSE) return true;
  }
  return false; // `where` is the oldest kind's key, the same for all who miss the same
}

bool wr_http_cache_find(const struct wr_http_cache *c, struct wr_str key,
                        const struct wr_request *q, struct wr_response *r,
                        struct wr_http_cache_found *found)
{
  wr_buf_init(&found->where, 2 * WR_CACHE_KEY_MAX);
  wr_buf_init(&found->record, RECORD_BYTES);
  struct wr_buf index;
  wr_buf_init(&index, RECORD_BYTES);
  found->has_variants = false;
  found->is_passed = false;
  uint8_t form = get(c, q->env, key, &found->record);
  bool ok = form == WR_HTTP_FILL_RESPONSE && wr_buf_append_str(&found->where, key);
  if (form == WR_HTTP_FILL_INDEX) {
    found->has_variants = true;
    ok = wr_buf_append_str(&index, wr_buf_str(&found->record)) &&
         get_variant(c, q, key, wr_buf_str(&index), found);
  }
  found->is_passed = form == WR_HTTP_FILL_PASS;
  ok = ok && unpack(&found->record, r, &found->freshness);
  wr_buf_fini(&index);
  return ok;
}

void wr_http_cache_found_fini(struct wr_http_cache_found *found)
{
  wr_buf_fini(&found->where);
  wr_buf_fini(&found->record);
}

// --- keeping ------------------------------------------------------------------------------------

// The directives in force: of the first targeted field that is there, else Cache-Control's.
static bool read_directives(const struct wr_http_cache *c, const struct wr_headers *headers,
                            struct wr_cache_control *cc)
{
  for (size_t i = 0; i < c->target_count; i++) {
    wr_cache_control_read(headers, wr_str_of(c->targets[i]), cc);
    if (cc->is_present) return true;
  }
  wr_cache_control_read(headers, WR_STR("Cache-Control"), cc);
  return false;
}

// Reads what a response says of itself; why it may not be stored, or NULL.
static const char *judge(const struct wr_http_cache *c, const struct wr_request *q,
                         const struct wr_freshness_response *r, struct wr_freshness *freshness)
{
  wr_freshness_read(r, &c->rules, freshness);
  struct wr_storable_case question = {.method = q->info->head->method,
                                      .request = &q->info->head->headers,
                                      .target = q->info->target,
                                      .authority = q->info->head->host,
                                      .status = r->status,
                                      .response = r->headers,
                                      .cc = r->cc,
                                      .freshness = freshness,
                                      .is_shared = c->rules.is_shared,
                                      .obeys_requests = c->rules.obeys_requests,
                                      .cookies = c->cookies};
  return wr_storable_refusal(&question);
}

static struct wr_freshness_response arrival(const struct wr_response *r, uint64_t started_ns)
{
  uint64_t now = wr_loop_now(r->env->loop);
  return (struct wr_freshness_response){.status = r->status,
                                        .headers = &r->headers,
                                        .wall_s = (int64_t)(wr_loop_wall() / WR_SECOND),
                                        .now_ns = now,
                                        .delay_ns = now - started_ns};
}

static uint64_t started(const struct wr_response *r)
{
  return r->started_ns > 0 ? r->started_ns : wr_loop_now(r->env->loop);
}

// Would others who ask for the same get the like? Failures pass, and what was asked for in parts,
// on conditions or with credentials says nothing of other answers.
static bool is_about_all(const struct wr_request *q, const struct wr_response *r)
{
  static const char *const own[] = {"Range", "Authorization", "If-None-Match", "If-Modified-Since"};
  const struct wr_head *head = q->info->head;
  for (size_t i = 0; i < WR_COUNT(own); i++) {
    if (has(&head->headers, own[i])) return false;
  }
  return r->status < 500 && wr_str_eq(head->method, WR_STR("GET"));
}

const char *wr_http_cache_keep(const struct wr_http_cache *c, struct wr_str key, uint64_t stamp,
                               const struct wr_request *q, struct wr_response *r)
{
  if (r->state != WR_RESPONSE_FLOWING && r->state != WR_RESPONSE_WHOLE) return "incomplete";
  if (r->tee || r->sink) return "taken";
  if (r->rung[0] != '\0') return "degraded";
  if (r->has_length && r->length > c->object_max) return "too-large";
  struct wr_cache_control cc;
  struct wr_freshness freshness;
  struct wr_freshness_response told = arrival(r, started(r));
  told.cc = &cc;
  told.is_targeted = read_directives(c, &r->headers, &cc);
  const char *refusal = judge(c, q, &told, &freshness);
  // Whoever reads it whole, for want of a client, may have as much of it as is stored.
  if (r->body.max < c->object_max) r->body.max = c->object_max;
  if (refusal) {
    if (is_about_all(q, r)) wr_http_fill_pass(c, q->env, key);
    return refusal;
  }
  struct wr_http_fill_start start = {.key = key,
                                     .stamp = stamp,
                                     .request = &q->info->head->headers,
                                     .cc = &cc,
                                     .freshness = &freshness};
  return wr_http_fill_begin(c, r, &start);
}

bool wr_http_cache_freshen(const struct wr_http_cache *c, const struct wr_request *q,
                           struct wr_http_cache_news *news)
{
  struct wr_response *r = news->stored;
  struct wr_cache_control cc;
  bool ok = wr_storable_merge(&r->headers, &news->update->headers);
  struct wr_freshness_response told = arrival(r, started(news->update));
  told.cc = &cc;
  told.is_targeted = read_directives(c, &r->headers, &cc);
  const char *refusal = judge(c, q, &told, &news->freshness);
  // A HEAD brings news of what a GET stored: its own method is no reason.
  bool is_head = wr_str_eq(q->info->head->method, WR_STR("HEAD"));
  if (refusal && !(is_head && strcmp(refusal, "method") == 0)) ok = false;
  if (ok && wr_http_fill_store_whole(c, news, &cc)) return true;
  wr_cache_purge(q->env->arena, c->space, news->where);
  return false;
}

void wr_http_cache_forget(const struct wr_http_cache *c, struct wr_script_env *env,
                          struct wr_str key)
{
  wr_cache_purge(env->arena, c->space, key);
}
