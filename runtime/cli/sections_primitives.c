// The lists of named primitives.

#include "base/check.h"
#include "cli/age.h"
#include "cli/sections.h"

#include <string.h>

static const struct wr_column check_columns[] = {{"name", false}, {"state", false},
                                                 {"since", true}, {"type", false},
                                                 {"took", true},  {"output", false}};

static void add_check(struct wr_columns *c, const json_t *h, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  bool is_critical = json_is_true(json_object_get(h, "critical"));
  bool is_down = strcmp(wr_sections_text(h, "state"), "down") == 0;
  wr_columns_row(c, is_down ? (is_critical ? style->red : style->yellow) : "");
  wr_sections_add_text(c, h, "name");
  bool is_stale = json_is_true(json_object_get(h, "stale"));
  wr_columns_cell(c, "%s%s", wr_sections_text(h, "state"), is_stale ? " (stale)" : "");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(h, "since_s"), age));
  wr_sections_add_text(c, h, "type");
  wr_sections_add_number(c, json_object_get(h, "latency_ms"), 1, " ms");
  wr_sections_add_text(c, h, "output");
}

static const struct wr_column flag_columns[] = {{"name", false},   {"on for", true}, {"by", false},
                                                {"why", false},    {"on", true},     {"off", true},
                                                {"fallback", true}};

static void add_flag(struct wr_columns *c, const json_t *f, const struct wr_style *style)
{
  wr_columns_row(c, json_is_true(json_object_get(f, "overridden")) ? style->yellow : "");
  wr_sections_add_text(c, f, "name");
  wr_columns_cell(c, "%.6g%%", json_number_value(json_object_get(f, "percent")));
  wr_sections_add_text(c, f, "by");
  wr_sections_add_text(c, f, "why");
  wr_sections_add_count(c, f, "on");
  wr_sections_add_count(c, f, "off");
  wr_sections_add_count(c, f, "fallback");
}

static const struct wr_column breaker_columns[] = {
    {"name", false}, {"state", false}, {"failures", true}, {"calls", true}, {"retry in", true}};

static void add_breaker(struct wr_columns *c, const json_t *b, const struct wr_style *style)
{
  const char *state = wr_sections_text(b, "state");
  bool is_calm = strcmp(state, "closed") == 0 || strcmp(state, "disabled") == 0;
  wr_columns_row(c, is_calm ? "" : strstr(state, "half") ? style->yellow : style->red);
  wr_sections_add_text(c, b, "name");
  const char *mode = json_string_value(json_object_get(b, "mode"));
  bool is_normal = mode == NULL || strcmp(mode, "normal") == 0;
  wr_columns_cell(c, is_normal ? "%s" : "%s (%s)", state, mode);
  const json_t *rate = json_object_get(b, "failure_rate");
  if (json_is_number(rate)) {
    wr_columns_cell(c, "%.1f%%", json_number_value(rate) * 100);
  } else {
    wr_columns_cell(c, "-");
  }
  wr_sections_add_count(c, b, "calls");
  const json_t *after = json_object_get(b, "retry_after_s");
  wr_sections_add_number(c, json_number_value(after) > 0 ? after : NULL, 1, "s");
}

// "payments", or "payments (shadow)" for one that refuses nothing.
static void add_name(struct wr_columns *c, const json_t *row)
{
  bool is_shadow = json_is_true(json_object_get(row, "shadow"));
  wr_columns_cell(c, "%s%s", wr_sections_text(row, "name"), is_shadow ? " (shadow)" : "");
}

static const struct wr_column bulkhead_columns[] = {
    {"name", false}, {"in use", true}, {"max", true}, {"queued", true}, {"keys", true}};

static void add_bulkhead(struct wr_columns *c, const json_t *b, const struct wr_style *style)
{
  bool has_queue = json_number_value(json_object_get(b, "queued")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  add_name(c, b);
  wr_sections_add_count(c, b, "in_use");
  wr_sections_add_count(c, b, "max");
  wr_sections_add_count(c, b, "queued");
  wr_sections_add_count(c, b, "keys");
}

static const struct wr_column limiter_columns[] = {
    {"name", false},    {"rate", false},   {"left", true}, {"waiting", true},
    {"admitted", true}, {"refused", true}, {"keys", true}, {"most refused", false}};

// "9f3c2a11d0e4b7aa (1203)": by hash, as a refusal names it.
static void add_most_refused(struct wr_columns *c, const json_t *l)
{
  const json_t *most = json_array_get(json_object_get(l, "refused_keys"), 0);
  wr_columns_cell(c, most ? "%s (%.0f)" : "-", wr_sections_text(most, "key"),
                  json_number_value(json_object_get(most, "refused")));
}

static void add_limiter(struct wr_columns *c, const json_t *l, const struct wr_style *style)
{
  wr_columns_row(c, json_number_value(json_object_get(l, "waiting")) > 0 ? style->yellow : "");
  add_name(c, l);
  wr_columns_cell(c, "%.0f in %gs", json_number_value(json_object_get(l, "limit")),
                  json_number_value(json_object_get(l, "per_s")));
  wr_sections_add_count(c, l, "left");
  wr_sections_add_count(c, l, "waiting");
  wr_sections_add_count(c, l, "admitted");
  wr_sections_add_count(c, l, "refused");
  wr_sections_add_count(c, l, "keys");
  add_most_refused(c, l);
}

static const struct wr_column shedder_columns[] = {
    {"name", false}, {"rule", false},    {"in use", true}, {"limit", true},
    {"took", true},  {"baseline", true}, {"queued", true}, {"shed", true}};

static void add_shedder(struct wr_columns *c, const json_t *s, const struct wr_style *style)
{
  double shed = 0;
  const char *priority;
  json_t *count;
  json_object_foreach(json_object_get(s, "shed"), priority, count) shed += json_number_value(count);
  bool has_queue = json_number_value(json_object_get(s, "queued")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  add_name(c, s);
  wr_sections_add_text(c, s, "rule");
  wr_sections_add_count(c, s, "in_use");
  wr_sections_add_count(c, s, "limit");
  wr_sections_add_ms(c, json_object_get(s, "latency_s"));
  wr_sections_add_ms(c, json_object_get(s, "baseline_s"));
  wr_sections_add_count(c, s, "queued");
  wr_columns_cell(c, "%.0f", shed);
}

static const struct wr_column throttle_columns[] = {
    {"name", false}, {"refuses", true}, {"admitted", true}, {"refused", true}};

static void add_throttle(struct wr_columns *c, const json_t *t, const struct wr_style *style)
{
  const json_t *refuses = json_object_get(t, "refuses");
  wr_columns_row(c, json_number_value(refuses) > 0 ? style->yellow : "");
  add_name(c, t);
  wr_columns_cell(c, "%.1f%%", json_number_value(refuses) * 100);
  wr_sections_add_count(c, t, "admitted");
  wr_sections_add_count(c, t, "refused");
}

static const struct wr_column hedge_columns[] = {
    {"name", false}, {"delay", true}, {"calls", true}, {"hedges", true}, {"won", true}};

static void add_hedge(struct wr_columns *c, const json_t *h, const struct wr_style *style)
{
  (void)style;
  wr_columns_row(c, "");
  wr_sections_add_text(c, h, "name");
  wr_sections_add_number(c, json_object_get(h, "delay_s"), 3, " s");
  wr_sections_add_count(c, h, "calls");
  wr_sections_add_count(c, h, "hedges");
  wr_sections_add_count(c, h, "won");
}

static const struct wr_column cache_columns[] = {
    {"name", false}, {"served", true},    {"hit", true},    {"stale", true},
    {"miss", true},  {"coalesced", true}, {"waiting", true}};

static void add_cache(struct wr_columns *c, const json_t *cache, const struct wr_style *style)
{
  bool has_queue = json_number_value(json_object_get(cache, "waiting")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  wr_sections_add_text(c, cache, "name");
  wr_columns_cell(c, "%.1f%%", json_number_value(json_object_get(cache, "hit_rate")) * 100);
  for (size_t i = 2; i < WR_COUNT(cache_columns); i++)
    wr_sections_add_count(c, cache, cache_columns[i].head);
}

static const struct wr_column chaos_columns[] = {
    {"name", false}, {"armed", false}, {"left", true}, {"hit", true}, {"of", true}};

static void add_chaos(struct wr_columns *c, const json_t *e, const struct wr_style *style)
{
  char left[WR_AGE_SIZE];
  bool is_armed = json_is_true(json_object_get(e, "armed"));
  wr_columns_row(c, is_armed ? style->red : "");
  wr_sections_add_text(c, e, "name");
  wr_columns_cell(c, is_armed ? "yes" : "no (%s)", wr_sections_text(e, "cause"));
  wr_columns_cell(c, "%s", is_armed ? wr_age_text(json_object_get(e, "left_s"), left) : "-");
  wr_sections_add_count(c, e, "injected");
  wr_sections_add_count(c, e, "seen");
}

static const struct wr_column lease_columns[] = {{"name", false}, {"worker", false},
                                                 {"last", true},  {"next", true},
                                                 {"runs", true},  {"lost", true}};

// The worker whose run is under way.
static void add_lease(struct wr_columns *c, const json_t *l, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  bool is_running = json_is_true(json_object_get(l, "running"));
  wr_columns_row(c, json_number_value(json_object_get(l, "lost")) > 0 ? style->yellow : "");
  wr_sections_add_text(c, l, "name");
  wr_columns_cell(c, is_running ? "%.0f" : "-", json_number_value(json_object_get(l, "worker")));
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(l, "last_s"), age));
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(l, "next_s"), age));
  wr_sections_add_count(c, l, "runs");
  wr_sections_add_count(c, l, "lost");
}

static const struct wr_column upstream_columns[] = {
    {"name", false},   {"endpoints", true},   {"usable", true}, {"ejected", true},
    {"slowest", true}, {"last error", false}, {"out", false}};

// Which are out: "http://10.0.0.7:80 (12s)".
static void add_out(struct wr_columns *c, const json_t *u)
{
  char text[WR_COLUMNS_CELL_MAX] = "";
  char age[WR_AGE_SIZE];
  const json_t *e;
  size_t i;
  json_array_foreach(json_object_get(u, "endpoints"), i, e)
  {
    bool is_ejected = json_is_true(json_object_get(e, "ejected"));
    bool is_drained = json_is_true(json_object_get(e, "drained"));
    const char *why = is_drained ? "drained" : "unhealthy";
    if (!is_ejected && !is_drained && json_is_true(json_object_get(e, "healthy"))) continue;
    if (is_ejected) why = wr_age_text(json_object_get(e, "back_in_s"), age);
    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, "%s%s (%s)", len ? ", " : "",
             wr_sections_text(e, "url"), why);
  }
  wr_columns_cell(c, "%s", text);
}

// Of its endpoints the latency of the slowest, and what went wrong last: "503 12s ago".
static void add_standing(struct wr_columns *c, const json_t *u)
{
  const json_t *slowest = NULL;
  const json_t *last = NULL;
  const json_t *e;
  char age[WR_AGE_SIZE];
  size_t i;
  json_array_foreach(json_object_get(u, "endpoints"), i, e)
  {
    const json_t *latency = json_object_get(e, "latency_s");
    const json_t *ago = json_object_get(e, "last_error_s");
    if (json_number_value(latency) > json_number_value(slowest)) slowest = latency;
    double newest = json_number_value(json_object_get(last, "last_error_s"));
    if (ago && (last == NULL || json_number_value(ago) < newest)) last = e;
  }
  wr_sections_add_ms(c, slowest);
  if (last) {
    wr_columns_cell(c, "%s %s ago", wr_sections_text(last, "last_error"),
                    wr_age_text(json_object_get(last, "last_error_s"), age));
  } else {
    wr_columns_cell(c, "-");
  }
}

static void add_upstream(struct wr_columns *c, const json_t *u, const struct wr_style *style)
{
  bool is_panic = json_is_true(json_object_get(u, "panic"));
  bool is_whole = json_integer_value(json_object_get(u, "usable")) ==
                  json_integer_value(json_object_get(u, "count"));
  wr_columns_row(c, is_panic ? style->red : is_whole ? "" : style->yellow);
  wr_columns_cell(c, is_panic ? "%s (panic)" : "%s", wr_sections_text(u, "name"));
  wr_sections_add_count(c, u, "count");
  wr_sections_add_count(c, u, "usable");
  wr_sections_add_count(c, u, "ejected");
  add_standing(c, u);
  add_out(c, u);
}

static const struct wr_column budget_columns[] = {
    {"name", false}, {"left", true}, {"of", true}, {"granted", true}, {"denied", true}};

static void add_budget(struct wr_columns *c, const json_t *b, const struct wr_style *style)
{
  double share = json_number_value(json_object_get(b, "share"));
  wr_columns_row(c, share <= 0 ? style->red : "");
  wr_sections_add_text(c, b, "name");
  wr_sections_add_number(c, json_object_get(b, "remaining"), 0, "");
  wr_sections_add_share(c, json_object_get(b, "share"));
  wr_sections_add_count(c, b, "granted");
  wr_sections_add_count(c, b, "denied");
}

const struct wr_section wr_sections_primitives[] = {
    {"upstreams", NULL, upstream_columns, WR_COUNT(upstream_columns), 1, add_upstream},
    {"checks", NULL, check_columns, WR_COUNT(check_columns), 1, add_check},
    {"flags", NULL, flag_columns, WR_COUNT(flag_columns), 1, add_flag},
    {"breakers", NULL, breaker_columns, WR_COUNT(breaker_columns), 1, add_breaker},
    {"bulkheads", NULL, bulkhead_columns, WR_COUNT(bulkhead_columns), 1, add_bulkhead},
    {"limiters", NULL, limiter_columns, WR_COUNT(limiter_columns), 1, add_limiter},
    {"caches", NULL, cache_columns, WR_COUNT(cache_columns), 1, add_cache},
    {"shedders", NULL, shedder_columns, WR_COUNT(shedder_columns), 1, add_shedder},
    {"leases", NULL, lease_columns, WR_COUNT(lease_columns), 1, add_lease},
    {"chaos", NULL, chaos_columns, WR_COUNT(chaos_columns), 1, add_chaos},
    {"throttles", NULL, throttle_columns, WR_COUNT(throttle_columns), 1, add_throttle},
    {"hedges", NULL, hedge_columns, WR_COUNT(hedge_columns), 1, add_hedge},
    {"budgets", NULL, budget_columns, WR_COUNT(budget_columns), 1, add_budget},
    {NULL, NULL, NULL, 0, 0, NULL},
};
