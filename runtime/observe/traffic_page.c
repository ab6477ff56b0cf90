#include "observe/traffic_page.h"

#include "base/alloc.h"
#include "base/check.h"
#include "observe/exposition.h"

#include <math.h>
#include <stdlib.h>

enum { TEXT_MAX = 256 };

// What happened between the ends of the window.
static struct wr_traffic_sample difference(const struct wr_traffic *t,
                                           const struct wr_traffic_group *g)
{
  const struct wr_traffic_sample *from = &g->samples[wr_traffic_oldest(t)];
  struct wr_traffic_sample d = g->samples[wr_traffic_newest(t)];
  d.requests -= from->requests;
  d.errors -= from->errors;
  for (int i = 0; i < WR_SERIES_FINE; i++) d.fine[i] -= from->fine[i];
  return d;
}

// To a number of parts of one: 100 keeps two digits.
static double rounded(double value, double parts)
{
  return round(value * parts) / parts;
}

static double per_second(const struct wr_traffic *t, double count)
{
  double window = wr_traffic_window(t);
  return window > 0 ? rounded(count / window, 100) : 0;
}

// Label values have \\, \" and \n for what they stand for.
static void put_text(struct wr_json *j, const char *key, struct wr_str escaped)
{
  char text[TEXT_MAX];
  size_t len = 0;
  for (size_t i = 0; i < escaped.len && len < sizeof(text); i++) {
    char c = escaped.ptr[i];
    if (c == '\\' && i + 1 < escaped.len) {
      c = escaped.ptr[++i];
      if (c == 'n') c = '\n';
    }
    text[len++] = c;
  }
  struct wr_str plain = {text, len};
  key ? wr_json_field_str(j, key, plain) : wr_json_key_str(j, plain);
}

static void put_percentiles(const struct wr_traffic_sample *d, struct wr_json *j)
{
  wr_json_field_num(j, "p50_s", rounded(wr_series_fine_quantile(d->fine, 0.5), 1e5));
  wr_json_field_num(j, "p95_s", rounded(wr_series_fine_quantile(d->fine, 0.95), 1e5));
  wr_json_field_num(j, "p99_s", rounded(wr_series_fine_quantile(d->fine, 0.99), 1e5));
}

static void put_difference(const struct wr_traffic *t, const struct wr_traffic_sample *d,
                           struct wr_json *j)
{
  double requests = (double)d->requests;
  wr_json_field_num(j, "per_s", per_second(t, requests));
  wr_json_field_num(j, "error_ratio",
                    requests > 0 ? rounded((double)d->errors / requests, 1e4) : 0);
  put_percentiles(d, j);
}

static double counted(const struct wr_traffic *t, const struct wr_traffic_counter *c)
{
  double now = c->values[wr_traffic_newest(t)];
  return c->is_gauge ? now : now - c->values[wr_traffic_oldest(t)];
}

// {"ok": 12, …}: what the counters of a family with that name counted in the window.
static void put_words(const struct wr_traffic *t, uint32_t family, struct wr_str name,
                      struct wr_json *j)
{
  wr_json_object(j);
  WR_LIST_EACH(&t->counters, node) {
    const struct wr_traffic_counter *c = WR_CONTAINER(node, struct wr_traffic_counter, link);
    if (c->family_number != family || !wr_str_eq(c->name, name)) continue;
    double count = counted(t, c);
    if (count <= 0) continue;
    put_text(j, NULL, c->word);
    wr_json_num(j, count);
  }
  wr_json_object_end(j);
}

static void put_group(const struct wr_traffic *t, const struct wr_traffic_group *g,
                      struct wr_json *j)
{
  struct wr_traffic_sample d = difference(t, g);
  wr_json_object(j);
  put_text(j, "name", g->name);
  wr_json_field_uint(j, "total", g->samples[wr_traffic_newest(t)].requests);
  put_difference(t, &d, j);
  if (g->family_number == WR_METRIC_HTTP_SERVER_DURATION) {
    wr_json_key(j, "why");
    put_words(t, WR_METRIC_RESPONSES, g->name, j);
  }
  wr_json_object_end(j);
}

struct ranked {
  const struct wr_traffic_group *group;
  uint64_t recent, total;
};

static int by_traffic(const void *a, const void *b)
{
  const struct ranked *x = a;
  const struct ranked *y = b;
  if (x->recent != y->recent) return x->recent < y->recent ? 1 : -1;
  return x->total < y->total ? 1 : x->total > y->total ? -1 : 0;
}

// The busiest first, then those that were.
static void put_groups(const struct wr_traffic *t, uint32_t family, struct wr_json *j)
{
  size_t count = 0;
  WR_LIST_EACH(&t->groups, node) count++;
  struct ranked *all = wr_alloc((count + 1) * sizeof(*all));
  size_t found = 0;
  WR_LIST_EACH(&t->groups, node) {
    const struct wr_traffic_group *g = WR_CONTAINER(node, struct wr_traffic_group, link);
    if (g->family_number != family) continue;
    all[found++] =
        (struct ranked){g, difference(t, g).requests, g->samples[wr_traffic_newest(t)].requests};
  }
  qsort(all, found, sizeof(*all), by_traffic);
  wr_json_array(j);
  for (size_t i = 0; i < found && i < WR_TRAFFIC_SHOWN; i++) put_group(t, all[i].group, j);
  wr_json_array_end(j);
  wr_free(all);
}

// All routes together.
static void put_sum(const struct wr_traffic *t, struct wr_json *j)
{
  struct wr_traffic_sample sum = {0};
  uint64_t total = 0;
  uint64_t errors = 0;
  WR_LIST_EACH(&t->groups, node) {
    const struct wr_traffic_group *g = WR_CONTAINER(node, struct wr_traffic_group, link);
    if (g->family_number != WR_METRIC_HTTP_SERVER_DURATION) continue;
    struct wr_traffic_sample d = difference(t, g);
    total += g->samples[wr_traffic_newest(t)].requests;
    errors += g->samples[wr_traffic_newest(t)].errors;
    sum.requests += d.requests;
    sum.errors += d.errors;
    for (int i = 0; i < WR_SERIES_FINE; i++) sum.fine[i] += d.fine[i];
  }
  wr_json_object(j);
  wr_json_field_uint(j, "total", total);
  wr_json_field_uint(j, "errors", errors);
  put_difference(t, &sum, j);
  wr_json_object_end(j);
}

static bool is_first_of_name(const struct wr_traffic *t, const struct wr_traffic_counter *c)
{
  WR_LIST_EACH(&t->counters, node) {
    const struct wr_traffic_counter *other = WR_CONTAINER(node, struct wr_traffic_counter, link);
    if (other == c) return true;
    if (other->family_number == c->family_number && wr_str_eq(other->name, c->name)) return false;
  }
  return true;
}

// One member for each name of a counter family: what `family` and `second` counted.
static void put_counters(const struct wr_traffic *t, const uint32_t families[2],
                         const char *const keys[2], struct wr_json *j)
{
  wr_json_array(j);
  WR_LIST_EACH(&t->counters, node) {
    const struct wr_traffic_counter *c = WR_CONTAINER(node, struct wr_traffic_counter, link);
    if (c->family_number != families[0] || !is_first_of_name(t, c)) continue;
    wr_json_object(j);
    put_text(j, "name", c->name);
    for (int i = 0; i < 2 && keys[i]; i++) {
      wr_json_key(j, keys[i]);
      put_words(t, families[i], c->name, j);
    }
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

// Calls that had to wait for a primitive, by its name.
static void put_waits(const struct wr_traffic *t, struct wr_json *j)
{
  static const struct {
    uint32_t family;
    const char *kind;
  } waits[] = {{WR_METRIC_BULKHEAD_WAIT, "bulkhead"},
               {WR_METRIC_LIMITER_WAIT, "limiter"},
               {WR_METRIC_SHEDDER_WAIT, "shedder"}};
  wr_json_array(j);
  WR_LIST_EACH(&t->groups, node) {
    const struct wr_traffic_group *g = WR_CONTAINER(node, struct wr_traffic_group, link);
    struct wr_traffic_sample d = difference(t, g);
    for (size_t i = 0; i < WR_COUNT(waits); i++) {
      if (g->family_number != waits[i].family) continue;
      wr_json_object(j);
      wr_json_field_cstr(j, "kind", waits[i].kind);
      put_text(j, "name", g->name);
      wr_json_field_num(j, "per_s", per_second(t, (double)d.requests));
      put_percentiles(&d, j);
      wr_json_object_end(j);
    }
  }
  wr_json_array_end(j);
}

void wr_traffic_page_write(const struct wr_traffic *t, struct wr_json *j)
{
  static const uint32_t retries[] = {WR_METRIC_RETRY_CALLS, WR_METRIC_RETRY_ATTEMPTS};
  static const char *const of_retries[] = {"calls", "extra"};
  static const uint32_t fallbacks[] = {WR_METRIC_FALLBACK, 0};
  static const char *const of_fallbacks[] = {"steps", NULL};
  static const uint32_t endpoints[] = {WR_METRIC_ENDPOINT_IN_FLIGHT, 0};
  static const char *const of_endpoints[] = {"in_flight", NULL};
  wr_json_field_num(j, "window_s", rounded(wr_traffic_window(t), 1000));
  wr_json_key(j, "requests");
  put_sum(t, j);
  wr_json_key(j, "routes");
  put_groups(t, WR_METRIC_HTTP_SERVER_DURATION, j);
  wr_json_key(j, "attempts");
  put_groups(t, WR_METRIC_HTTP_CLIENT_DURATION, j);
  wr_json_key(j, "waits");
  put_waits(t, j);
  wr_json_key(j, "retries");
  put_counters(t, retries, of_retries, j);
  wr_json_key(j, "fallbacks");
  put_counters(t, fallbacks, of_fallbacks, j);
  wr_json_key(j, "endpoints");
  put_counters(t, endpoints, of_endpoints, j);
}

// Summaries

static bool put_summary(const struct wr_traffic *t, const struct wr_traffic_group *g,
                        const char *const names[2], struct wr_buf *out)
{
  static const char *const quantiles[] = {"0.5", "0.95", "0.99"};
  static const double values[] = {0.5, 0.95, 0.99};
  const struct wr_traffic_sample *newest = &g->samples[wr_traffic_newest(t)];
  struct wr_traffic_sample d = difference(t, g);
  bool ok = true;
  for (size_t i = 0; ok && i < WR_COUNT(values); i++) {
    ok = wr_buf_printf(out, "%s{%s=\"%.*s\",quantile=\"%s\"} ", names[0], names[1],
                       WR_STR_ARG(g->name), quantiles[i]) &&
         wr_exposition_number(out, wr_series_fine_quantile(d.fine, values[i]));
  }
  return ok &&
         wr_buf_printf(out, "%s_sum{%s=\"%.*s\"} %.9g\n", names[0], names[1], WR_STR_ARG(g->name),
                       newest->sum) &&
         wr_buf_printf(out, "%s_count{%s=\"%.*s\"} %llu\n", names[0], names[1], WR_STR_ARG(g->name),
                       (unsigned long long)newest->requests);
}

bool wr_traffic_page_summaries(const struct wr_traffic *t, struct wr_buf *out)
{
  static const struct {
    uint32_t family;
    const char *names[2]; // of the summary, and of its label
    const char *help;
  } summaries[] = {
      {WR_METRIC_HTTP_SERVER_DURATION,
       {"weir_route_duration_seconds", "route"},
       "Time of requests, quantiles of the last ten seconds {route, quantile}"},
      {WR_METRIC_HTTP_CLIENT_DURATION,
       {"weir_attempt_duration_seconds", "upstream"},
       "Time of attempts, quantiles of the last ten seconds {upstream, quantile}"},
  };
  bool ok = true;
  for (size_t i = 0; ok && i < WR_COUNT(summaries); i++) {
    ok = wr_exposition_header(out, summaries[i].names[0], summaries[i].help, "summary");
    WR_LIST_EACH(&t->groups, node) {
      const struct wr_traffic_group *g = WR_CONTAINER(node, struct wr_traffic_group, link);
      if (ok && g->family_number == summaries[i].family) {
        ok = put_summary(t, g, summaries[i].names, out);
      }
    }
  }
  return ok;
}
