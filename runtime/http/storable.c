#include "http/storable.h"

#include "base/check.h"
#include "http/response.h"
#include "http/same_origin.h"

static bool has(const struct wr_headers *headers, const char *name)
{
  return wr_headers_get(headers, wr_str_of(name)).ptr != NULL;
}

static bool is_listed(const char *const *names, size_t count, struct wr_str name)
{
  for (size_t i = 0; i < count; i++) {
    if (wr_str_eq_nocase(name, wr_str_of(names[i]))) return true;
  }
  return false;
}

// --- whether ------------------------------------------------------------------------------------

// A POST's answer may serve later GETs only when it says that it is what a GET would give.
static const char *refuse_method(const struct wr_storable_case *c)
{
  if (wr_str_eq(c->method, WR_STR("GET"))) return NULL;
  if (!wr_str_eq(c->method, WR_STR("POST"))) return "method";
  struct wr_str location = wr_headers_get(c->response, WR_STR("Content-Location"));
  bool is_explicit = c->freshness->has_lifetime && !c->freshness->is_heuristic;
  bool is_same = location.ptr && wr_same_origin_is_target(location, c->authority, c->target);
  return is_explicit && is_same && c->status == 200 ? NULL : "method";
}

static const char *refuse_status(const struct wr_storable_case *c)
{
  if (c->status < 200 || c->status == 206 || c->status == 304 || c->status == 416) return "status";
  bool is_understood = !wr_str_eq(wr_response_reason(c->status), WR_STR("Unknown"));
  if (c->cc->must_understand) return is_understood ? NULL : "must-understand";
  return c->cc->no_store ? "no-store" : NULL;
}

static const char *refuse_users(const struct wr_storable_case *c)
{
  if (!c->is_shared) return NULL;
  if (c->cc->is_private) return "private";
  bool is_for_all = c->cc->is_public || c->cc->s_maxage != WR_CACHE_CONTROL_NONE;
  if (has(c->request, "Authorization") && !is_for_all && !c->cc->must_revalidate) {
    return "authorization";
  }
  if (!has(c->response, "Set-Cookie") || wr_cache_control_names(c->cc, WR_STR("Set-Cookie"))) {
    return NULL;
  }
  if (c->cookies == WR_STORABLE_COOKIES_ALWAYS) return NULL;
  return c->cookies == WR_STORABLE_COOKIES_PUBLIC && is_for_all ? NULL : "set-cookie";
}

// Without a lifetime, a validator or leave to be stale, it would never be used again.
static const char *refuse_useless(const struct wr_storable_case *c)
{
  bool has_validator = has(c->response, "ETag") || has(c->response, "Last-Modified");
  const struct wr_freshness *f = c->freshness;
  bool is_permitted = c->cc->stale_if_error > 0 || c->cc->stale_while_revalidate > 0;
  if (f->has_lifetime) {
    if (f->validates_always) return has_validator ? NULL : "no-cache";
    return f->lifetime_s > 0 || has_validator || is_permitted ? NULL : "stale";
  }
  bool may_guess = wr_freshness_is_heuristic_status(c->status) || c->cc->is_public;
  return may_guess && has_validator ? NULL : "no-freshness";
}

const char *wr_storable_refusal(const struct wr_storable_case *c)
{
  struct wr_cache_control asked;
  wr_cache_control_read(c->request, WR_STR("Cache-Control"), &asked);
  if (c->obeys_requests && asked.no_store) return "request-no-store";
  const char *reason = refuse_method(c);
  if (reason == NULL) reason = refuse_status(c);
  if (reason == NULL) reason = refuse_users(c);
  return reason ? reason : refuse_useless(c);
}

// --- what ---------------------------------------------------------------------------------------

bool wr_storable_field(const struct wr_cache_control *cc, struct wr_str name)
{
  static const char *const never[] = {"Age", "Proxy-Authentication-Info", "X-Degraded",
                                      "X-Request-ID"};
  return !wr_headers_is_hop(name) && !is_listed(never, WR_COUNT(never), name) &&
         !wr_cache_control_names(cc, name);
}

bool wr_storable_merge(struct wr_headers *stored, const struct wr_headers *update)
{
  static const char *const of_body[] = {"Content-Encoding", "Content-Length", "Content-Range",
                                        "Content-MD5", "ETag"};
  size_t old = stored->count;
  size_t kept = 0;
  for (size_t i = 0; i < old; i++) {
    struct wr_str name = stored->items[i].name;
    bool is_of_body = is_listed(of_body, WR_COUNT(of_body), name);
    if (is_of_body || wr_headers_get(update, name).ptr == NULL) {
      stored->items[kept++] = stored->items[i];
    }
  }
  stored->count = kept;
  for (size_t i = 0; i < update->count; i++) {
    const struct wr_header *field = &update->items[i];
    if (wr_field_is(field->field, WR_FIELD_IS_HOP)) continue;
    if (is_listed(of_body, WR_COUNT(of_body), field->name)) continue;
    if (!wr_headers_add_copy(stored, field->name, field->value)) return false;
  }
  return true;
}

bool wr_storable_same(const struct wr_headers *stored, const struct wr_headers *update)
{
  static const char *const validators[] = {"ETag", "Last-Modified"};
  for (size_t i = 0; i < WR_COUNT(validators); i++) {
    struct wr_str before = wr_headers_get(stored, wr_str_of(validators[i]));
    struct wr_str now = wr_headers_get(update, wr_str_of(validators[i]));
    if (before.ptr && now.ptr && !wr_str_eq(before, now)) return false;
  }
  return true;
}
