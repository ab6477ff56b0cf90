#include "http/freshness.h"

#include "base/check.h"
#include "base/duration.h"
#include "resilience/retry_after.h"

// --- age ----------------------------------------------------------------------------------------

static bool read_date(const struct wr_headers *headers, struct wr_str name, int64_t wall_s,
                      int64_t *out)
{
  size_t at = 0;
  struct wr_str value = wr_headers_each(headers, name, &at);
  if (value.ptr == NULL || wr_headers_each(headers, name, &at).ptr != NULL) return false;
  return wr_retry_after_date(value, wall_s, out);
}

// RFC 9111 5.1 would take the first of several values and ignore what is no number. Both may call
// an old response young; one whose age cannot be told is validated instead.
static uint64_t age_field(const struct wr_headers *headers)
{
  size_t at = 0;
  struct wr_str value = wr_headers_each(headers, WR_STR("Age"), &at);
  if (value.ptr == NULL) return 0;
  int64_t seconds = 0;
  bool is_single = wr_headers_each(headers, WR_STR("Age"), &at).ptr == NULL;
  if (!is_single || !wr_cache_control_seconds(value, &seconds)) {
    seconds = WR_CACHE_CONTROL_FOREVER;
  }
  return (uint64_t)seconds * WR_SECOND;
}

// RFC 9111 4.2.3: the larger of what Date and what Age tell.
static uint64_t initial_age(const struct wr_freshness_response *r)
{
  uint64_t corrected = age_field(r->headers) + r->delay_ns;
  int64_t date = 0;
  if (!read_date(r->headers, WR_STR("Date"), r->wall_s, &date) || date >= r->wall_s) {
    return corrected;
  }
  int64_t apparent_s = r->wall_s - date;
  if (apparent_s > WR_CACHE_CONTROL_FOREVER) apparent_s = WR_CACHE_CONTROL_FOREVER;
  uint64_t apparent = (uint64_t)apparent_s * WR_SECOND;
  return apparent > corrected ? apparent : corrected;
}

// --- lifetime -----------------------------------------------------------------------------------

bool wr_freshness_is_heuristic_status(int status)
{
  static const int statuses[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
  for (size_t i = 0; i < WR_COUNT(statuses); i++) {
    if (statuses[i] == status) return true;
  }
  return false;
}

static int64_t clamp_seconds(int64_t seconds)
{
  if (seconds < 0) return 0;
  return seconds > WR_CACHE_CONTROL_FOREVER ? WR_CACHE_CONTROL_FOREVER : seconds;
}

static int64_t since_date(const struct wr_freshness_response *r, int64_t then, bool is_before)
{
  int64_t date = r->wall_s;
  read_date(r->headers, WR_STR("Date"), r->wall_s, &date);
  return clamp_seconds(is_before ? date - then : then - date);
}

static void set_lifetime(struct wr_freshness *out, int64_t seconds)
{
  out->has_lifetime = true;
  out->lifetime_s = clamp_seconds(seconds);
}

// Guessed, for what says nothing: the rules' own lifetime, or a share of the time since it was
// changed.
static void guess(const struct wr_freshness_response *r, const struct wr_freshness_rules *rules,
                  struct wr_freshness *out)
{
  if (!wr_freshness_is_heuristic_status(r->status) && !r->cc->is_public) return;
  out->is_heuristic = true;
  int64_t modified = 0;
  if (rules->ttl_s != WR_CACHE_CONTROL_NONE) {
    set_lifetime(out, rules->ttl_s);
  } else if (rules->heuristic > 0 &&
             read_date(r->headers, WR_STR("Last-Modified"), r->wall_s, &modified)) {
    double share = (double)since_date(r, modified, true) * rules->heuristic;
    double longest = (double)rules->heuristic_max_s;
    set_lifetime(out, (int64_t)(share < longest ? share : longest));
  } else {
    out->is_heuristic = false;
  }
}

static void read_lifetime(const struct wr_freshness_response *r,
                          const struct wr_freshness_rules *rules, struct wr_freshness *out)
{
  if (rules->is_shared && r->cc->s_maxage != WR_CACHE_CONTROL_NONE) {
    set_lifetime(out, r->cc->s_maxage);
  } else if (r->cc->max_age != WR_CACHE_CONTROL_NONE) {
    set_lifetime(out, r->cc->max_age);
  } else if (!r->is_targeted && wr_headers_get(r->headers, WR_STR("Expires")).ptr != NULL) {
    int64_t expires = 0; // unreadable: it has expired (RFC 9111 5.3)
    bool ok = read_date(r->headers, WR_STR("Expires"), r->wall_s, &expires);
    set_lifetime(out, ok ? since_date(r, expires, false) : 0);
  } else {
    guess(r, rules, out);
  }
}

static int64_t permitted(int64_t said, int64_t otherwise)
{
  return said != WR_CACHE_CONTROL_NONE ? said : otherwise;
}

void wr_freshness_read(const struct wr_freshness_response *r,
                       const struct wr_freshness_rules *rules, struct wr_freshness *out)
{
  *out = (struct wr_freshness){.arrived_ns = r->now_ns, .initial_age_ns = initial_age(r)};
  read_lifetime(r, rules, out);
  out->validates_always = r->cc->no_cache;
  bool is_strict_shared = r->cc->proxy_revalidate || r->cc->s_maxage != WR_CACHE_CONTROL_NONE;
  out->validates_stale =
      r->cc->must_revalidate || r->cc->no_cache || (rules->is_shared && is_strict_shared);
  if (out->validates_stale) return;
  out->stale_while_revalidate_s =
      permitted(r->cc->stale_while_revalidate, rules->stale_while_revalidate_s);
  out->stale_if_error_s = permitted(r->cc->stale_if_error, rules->stale_if_error_s);
}

uint64_t wr_freshness_age(const struct wr_freshness *f, uint64_t now_ns)
{
  uint64_t resident = now_ns > f->arrived_ns ? now_ns - f->arrived_ns : 0;
  return f->initial_age_ns + resident;
}

// --- the verdict --------------------------------------------------------------------------------

static uint64_t seconds_ns(int64_t seconds)
{
  return (uint64_t)clamp_seconds(seconds) * WR_SECOND;
}

static uint64_t staleness(const struct wr_freshness *f, uint64_t age_ns)
{
  uint64_t lifetime = seconds_ns(f->lifetime_s);
  return age_ns > lifetime ? age_ns - lifetime : 0;
}

static bool is_enough(const struct wr_freshness *f, uint64_t age_ns,
                      const struct wr_cache_control *cc)
{
  if (cc == NULL || cc->min_fresh == WR_CACHE_CONTROL_NONE) return true;
  return seconds_ns(f->lifetime_s) >= age_ns + seconds_ns(cc->min_fresh);
}

enum wr_freshness_verdict wr_freshness_judge(const struct wr_freshness *f, uint64_t age_ns,
                                             const struct wr_cache_control *cc)
{
  if (f->validates_always || (cc && cc->no_cache)) return WR_FRESHNESS_VALIDATE;
  bool has_max_age = cc && cc->max_age != WR_CACHE_CONTROL_NONE;
  if (has_max_age && age_ns > seconds_ns(cc->max_age)) return WR_FRESHNESS_VALIDATE;
  if (seconds_ns(f->lifetime_s) > age_ns) {
    return is_enough(f, age_ns, cc) ? WR_FRESHNESS_SERVE : WR_FRESHNESS_VALIDATE;
  }
  if (f->validates_stale || !is_enough(f, age_ns, cc)) return WR_FRESHNESS_VALIDATE;
  uint64_t stale = staleness(f, age_ns);
  bool has_max_stale = cc && cc->max_stale != WR_CACHE_CONTROL_NONE;
  if (has_max_stale && (cc->max_stale == INT64_MAX || stale <= seconds_ns(cc->max_stale))) {
    return WR_FRESHNESS_SERVE;
  }
  bool may_refresh =
      f->stale_while_revalidate_s > 0 && stale <= seconds_ns(f->stale_while_revalidate_s);
  return may_refresh ? WR_FRESHNESS_REFRESH : WR_FRESHNESS_VALIDATE;
}

uint64_t wr_freshness_error_left(const struct wr_freshness *f, uint64_t age_ns,
                                 const struct wr_cache_control *cc)
{
  if (f->validates_stale) return 0;
  int64_t limit_s = f->stale_if_error_s;
  if (cc && cc->stale_if_error > limit_s) limit_s = cc->stale_if_error;
  uint64_t limit = seconds_ns(limit_s);
  if (limit == 0) return 0;
  uint64_t end = seconds_ns(f->lifetime_s) + limit;
  return end > age_ns ? end - age_ns : 0;
}

uint64_t wr_freshness_useful(const struct wr_freshness *f)
{
  int64_t beyond = f->stale_while_revalidate_s > f->stale_if_error_s ? f->stale_while_revalidate_s
                                                                     : f->stale_if_error_s;
  return seconds_ns(f->lifetime_s) + seconds_ns(beyond);
}
