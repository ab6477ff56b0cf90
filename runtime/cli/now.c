#include "cli/now.h"

#include "base/check.h"
#include "cli/age.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static double number_of(const json_t *one, const char *key)
{
  return json_number_value(json_object_get(one, key));
}

static bool is_true(const json_t *one, const char *key)
{
  return json_is_true(json_object_get(one, key));
}

static const char *text_of(const json_t *one, const char *key)
{
  const char *text = json_string_value(json_object_get(one, key));
  return text ? text : "-";
}

__attribute__((format(printf, 2, 3))) static void add(char out[WR_NOW_SIZE], const char *format,
                                                      ...)
{
  size_t len = strlen(out);
  va_list args;
  va_start(args, format);
  vsnprintf(out + len, WR_NOW_SIZE - len, format, args);
  va_end(args);
}

// Each writes into an empty `out` and returns whether all is calm.

static bool tell_breaker(const json_t *b, char out[WR_NOW_SIZE])
{
  char age[WR_AGE_SIZE];
  const char *state = text_of(b, "state");
  const char *mode = text_of(b, "mode");
  bool is_normal = strcmp(mode, "normal") == 0 || strcmp(mode, state) == 0;
  bool is_closed = strcmp(state, "closed") == 0;
  add(out, is_normal ? "%s since %s" : "%s since %s (%s)", state,
      wr_age_text(json_object_get(b, "since_s"), age), mode);
  if (number_of(b, "retry_after_s") > 0) {
    add(out, ", probes in %s", wr_age_text(json_object_get(b, "retry_after_s"), age));
  } else if (number_of(b, "probes") > 0) {
    add(out, ", %.0f probes under way", number_of(b, "probes"));
  } else {
    add(out, ", %.1f%% of %.0f calls failed", number_of(b, "failure_rate") * 100,
        number_of(b, "calls"));
  }
  return is_closed && number_of(b, "share") == 1;
}

static bool tell_bulkhead(const json_t *b, char out[WR_NOW_SIZE])
{
  add(out, "%.0f of %.0f in use, %.0f of %.0f queued", number_of(b, "in_use"), number_of(b, "max"),
      number_of(b, "queued"), number_of(b, "queue"));
  if (number_of(b, "max_keys") > 0) add(out, ", %.0f keys", number_of(b, "keys"));
  if (is_true(b, "overridden")) add(out, ", the policy says %.0f", number_of(b, "policy_max"));
  return number_of(b, "queued") == 0 && number_of(b, "in_use") < number_of(b, "max");
}

static bool tell_limiter(const json_t *l, char out[WR_NOW_SIZE])
{
  bool has_keys = number_of(l, "max_keys") > 0;
  size_t refused = json_array_size(json_object_get(l, "refused_keys"));
  if (has_keys) {
    add(out, "keys in debt: %.0f, refused of late: %zu", number_of(l, "keys"), refused);
  } else {
    add(out, "%.0f of %.0f left", number_of(l, "left"), number_of(l, "limit"));
  }
  add(out, ", %.0f waiting", number_of(l, "waiting"));
  if (is_true(l, "overridden")) add(out, ", the policy says %.0f", number_of(l, "policy_limit"));
  return number_of(l, "waiting") == 0 && (has_keys ? refused == 0 : number_of(l, "left") > 0);
}

static bool tell_shedder(const json_t *s, char out[WR_NOW_SIZE])
{
  add(out, "%.0f of %.0f in use (%s), %.0f queued", number_of(s, "in_use"), number_of(s, "limit"),
      text_of(s, "rule"), number_of(s, "queued"));
  if (number_of(s, "overload") > 0) add(out, ", overload %.2f", number_of(s, "overload"));
  return number_of(s, "queued") == 0 && number_of(s, "overload") == 0;
}

static bool tell_throttle(const json_t *t, char out[WR_NOW_SIZE])
{
  add(out, "refuses %.1f%%", number_of(t, "refuses") * 100);
  return number_of(t, "refuses") == 0;
}

static bool tell_hedge(const json_t *h, char out[WR_NOW_SIZE])
{
  if (json_is_number(json_object_get(h, "delay_s"))) {
    add(out, "hedges after %.0f ms", number_of(h, "delay_s") * 1e3);
  } else {
    add(out, "does not know yet what is slow");
  }
  add(out, ", extra load %.1f%%", number_of(h, "extra_load") * 100);
  return true;
}

static bool tell_cache(const json_t *c, char out[WR_NOW_SIZE])
{
  add(out, "serves %.1f%%, %.0f fetches under way", number_of(c, "hit_rate") * 100,
      number_of(c, "fetching"));
  return true;
}

static bool tell_chaos(const json_t *c, char out[WR_NOW_SIZE])
{
  char age[WR_AGE_SIZE];
  bool is_armed = is_true(c, "armed");
  add(out, is_armed ? "armed for another %s, %.0f of %.0f calls hit" : "not armed",
      wr_age_text(json_object_get(c, "left_s"), age), number_of(c, "injected"),
      number_of(c, "seen"));
  return !is_armed;
}

// A retry's.
static bool tell_budget(const json_t *b, char out[WR_NOW_SIZE])
{
  add(out, "budget for %.0f%% of its extra attempts left, %.0f denied",
      number_of(b, "remaining") * 100, number_of(b, "denied"));
  return number_of(b, "remaining") > 0;
}

static bool tell_upstream(const json_t *u, char out[WR_NOW_SIZE])
{
  int drained = 0;
  const json_t *e;
  size_t i;
  json_array_foreach(json_object_get(u, "endpoints"), i, e) drained += is_true(e, "drained");
  add(out, "%.0f of %.0f endpoints usable", number_of(u, "usable"), number_of(u, "count"));
  if (drained > 0) add(out, ", %d drained", drained);
  if (is_true(u, "panic")) add(out, ", in panic");
  return number_of(u, "usable") == number_of(u, "count") && drained == 0;
}

bool wr_now_text(const char *kind, const json_t *one, char out[WR_NOW_SIZE], bool *is_calm)
{
  static const struct {
    const char *kind;
    bool (*tell)(const json_t *one, char out[WR_NOW_SIZE]);
  } kinds[] = {{"breaker", tell_breaker},  {"bulkhead", tell_bulkhead}, {"limiter", tell_limiter},
               {"shedder", tell_shedder},  {"throttle", tell_throttle}, {"hedge", tell_hedge},
               {"cache", tell_cache},      {"chaos", tell_chaos},       {"retry", tell_budget},
               {"upstream", tell_upstream}};
  out[0] = '\0';
  *is_calm = true;
  for (size_t i = 0; i < WR_COUNT(kinds); i++) {
    if (strcmp(kinds[i].kind, kind) != 0) continue;
    *is_calm = kinds[i].tell(one, out);
    return true;
  }
  return false;
}
