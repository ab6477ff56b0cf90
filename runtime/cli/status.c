#include "base/check.h"
#include "cli/age.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/style.h"

#include <jansson.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200 };

// What an answer may lack is shown as "-".

static const char *text_of(const json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

static void add_text(struct wr_columns *c, const json_t *object, const char *key)
{
  wr_columns_cell(c, "%s", text_of(object, key));
}

// A number with a unit behind it; of `digits` decimals.
static void add_number(struct wr_columns *c, const json_t *value, int digits, const char *unit)
{
  if (json_is_number(value)) {
    wr_columns_cell(c, "%.*f%s", digits, json_number_value(value), unit);
  } else {
    wr_columns_cell(c, "-");
  }
}

static void add_count(struct wr_columns *c, const json_t *object, const char *key)
{
  add_number(c, json_object_get(object, key), 0, "");
}

// The head

static void print_text(const char *before, const char *text, const char *after)
{
  fputs(before, stdout);
  wr_style_text(stdout, text);
  fputs(after, stdout);
}

static void print_process(const json_t *status, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  const json_t *ready = json_object_get(status, "ready");
  const char *colour = json_is_true(ready) ? style->green : style->red;
  const char *word = json_is_true(ready) ? "ready" : json_is_false(ready) ? "not ready" : "-";
  print_text("weir ", text_of(status, "version"), "  ");
  printf("%s%s%s  pid %lld  up %s\n", colour, word, style->reset,
         json_integer_value(json_object_get(status, "pid")),
         wr_age_text(json_object_get(status, "uptime_s"), age));
}

static void print_generation(const json_t *status, const struct wr_style *style)
{
  const json_t *g = json_object_get(status, "generation");
  if (!json_is_object(g)) return;
  char age[WR_AGE_SIZE];
  printf("generation %lld", json_integer_value(json_object_get(g, "number")));
  print_text("  ", text_of(g, "file"), "");
  print_text("  hash ", text_of(g, "hash"), "");
  printf("  live for %s", wr_age_text(json_object_get(g, "age_s"), age));
  long long strikes = json_integer_value(json_object_get(g, "strikes"));
  if (strikes > 0) printf("  %s%lld strikes%s", style->red, strikes, style->reset);
  bool is_quarantined = json_is_true(json_object_get(g, "quarantined"));
  if (is_quarantined) printf("  %squarantined%s", style->red, style->reset);
  fputc('\n', stdout);
}

// One that is not confined although it should be is nobody's wish: red.
static void print_confinement(const json_t *status, const struct wr_style *style)
{
  const json_t *c = json_object_get(status, "confinement");
  if (!json_is_object(c)) return;
  size_t workers = json_array_size(json_object_get(status, "workers"));
  long long confined = json_integer_value(json_object_get(c, "workers"));
  const char *capabilities = json_string_value(json_object_get(c, "master_capabilities"));
  if (!json_is_true(json_object_get(c, "on"))) {
    printf("confinement  %soff%s", style->yellow, style->reset);
  } else {
    const char *colour = (size_t)confined < workers ? style->red : "";
    printf("confinement  %s%lld of %zu workers%s", colour, confined, workers, style->reset);
  }
  printf("  uid %lld", json_integer_value(json_object_get(c, "uid")));
  bool keeps = capabilities != NULL && capabilities[0] != '\0';
  if (keeps) print_text("  master keeps ", capabilities, "");
  fputc('\n', stdout);
}

static void print_last_reload(const json_t *status, const struct wr_style *style)
{
  const json_t *last = json_object_get(status, "last_reload");
  if (!json_is_object(last)) return;
  const char *result = text_of(last, "result");
  const char *message = json_string_value(json_object_get(last, "message"));
  printf("last reload  %s", strcmp(result, "failed") == 0 ? style->red : "");
  wr_style_text(stdout, result);
  printf("%s", style->reset);
  if (message != NULL && message[0] != '\0') print_text(": ", message, "");
  fputc('\n', stdout);
}

// Of those that left something to see.
static void print_upgrades(const json_t *status, const struct wr_style *style)
{
  const json_t *upgrades = json_object_get(status, "upgrades");
  const char *stage = text_of(upgrades, "stage");
  const char *message = json_string_value(json_object_get(upgrades, "message"));
  if (strcmp(stage, "draining") == 0) {
    printf("upgrade      done: %lld workers of the program before still finish what they have\n",
           json_integer_value(json_object_get(upgrades, "leaving")));
  } else if (message != NULL && message[0] != '\0') {
    printf("upgrade      %sfailed%s", style->red, style->reset);
    print_text(": ", message, "\n");
  } else if (json_is_object(upgrades) && strcmp(stage, "none") != 0) {
    print_text("upgrade      under way: ", stage, "\n");
  }
}

// The tables

static const struct wr_column generation_columns[] = {
    {"number", true}, {"state", false}, {"age", true}, {"hash", false}};

static void add_generation(struct wr_columns *c, const json_t *g, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  wr_columns_row(c, strcmp(text_of(g, "state"), "live") == 0 ? style->green : "");
  add_count(c, g, "number");
  add_text(c, g, "state");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(g, "age_s"), age));
  add_text(c, g, "hash");
}

static const struct wr_column quarantined_columns[] = {
    {"number", true}, {"hash", false}, {"since", true}, {"why", false}};

static void add_quarantined(struct wr_columns *c, const json_t *q, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  wr_columns_row(c, style->red);
  add_count(c, q, "number");
  add_text(c, q, "hash");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(q, "since_s"), age));
  add_text(c, q, "why");
}

static const struct wr_column worker_columns[] = {
    {"slot", true},   {"pid", true},   {"generation", true}, {"connections", true},
    {"active", true}, {"sheds", true}, {"restarts", true},   {"heartbeat", true}};

// How much is shed, or would be: "1.25", "1.25 (shadow)".
static void add_sheds(struct wr_columns *c, const json_t *w)
{
  const json_t *sheds = json_object_get(w, "sheds");
  bool is_shadow = json_is_true(json_object_get(w, "shadow"));
  add_number(c, sheds, 2, is_shadow ? " (shadow)" : "");
}

static void add_worker(struct wr_columns *c, const json_t *w, const struct wr_style *style)
{
  double restarts = json_number_value(json_object_get(w, "restarts"));
  wr_columns_row(c, restarts > 0 ? style->yellow : "");
  add_count(c, w, "slot");
  add_count(c, w, "pid");
  add_count(c, w, "generation");
  add_count(c, w, "connections");
  add_count(c, w, "active");
  add_sheds(c, w);
  add_count(c, w, "restarts");
  add_number(c, json_object_get(w, "heartbeat_ms"), 0, " ms");
}

static const struct wr_column listener_columns[] = {{"address", false}};

static void add_listener(struct wr_columns *c, const json_t *l, const struct wr_style *style)
{
  (void)style;
  wr_columns_row(c, "");
  wr_columns_cell(c, "%s", json_is_string(l) ? json_string_value(l) : text_of(l, "address"));
}

static const struct wr_column check_columns[] = {{"name", false}, {"state", false},
                                                 {"since", true}, {"type", false},
                                                 {"took", true},  {"output", false}};

static void add_check(struct wr_columns *c, const json_t *h, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  bool is_critical = json_is_true(json_object_get(h, "critical"));
  bool is_down = strcmp(text_of(h, "state"), "down") == 0;
  wr_columns_row(c, is_down ? (is_critical ? style->red : style->yellow) : "");
  add_text(c, h, "name");
  bool is_stale = json_is_true(json_object_get(h, "stale"));
  wr_columns_cell(c, "%s%s", text_of(h, "state"), is_stale ? " (stale)" : "");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(h, "since_s"), age));
  add_text(c, h, "type");
  add_number(c, json_object_get(h, "latency_ms"), 1, " ms");
  add_text(c, h, "output");
}

static const struct wr_column flag_columns[] = {{"name", false},   {"on for", true}, {"by", false},
                                                {"why", false},    {"on", true},     {"off", true},
                                                {"fallback", true}};

static void add_flag(struct wr_columns *c, const json_t *f, const struct wr_style *style)
{
  wr_columns_row(c, json_is_true(json_object_get(f, "overridden")) ? style->yellow : "");
  add_text(c, f, "name");
  wr_columns_cell(c, "%.6g%%", json_number_value(json_object_get(f, "percent")));
  add_text(c, f, "by");
  add_text(c, f, "why");
  add_count(c, f, "on");
  add_count(c, f, "off");
  add_count(c, f, "fallback");
}

static const struct wr_column breaker_columns[] = {
    {"name", false}, {"state", false}, {"failures", true}, {"calls", true}, {"retry in", true}};

static void add_breaker(struct wr_columns *c, const json_t *b, const struct wr_style *style)
{
  const char *state = text_of(b, "state");
  bool is_calm = strcmp(state, "closed") == 0 || strcmp(state, "disabled") == 0;
  wr_columns_row(c, is_calm ? "" : strstr(state, "half") ? style->yellow : style->red);
  add_text(c, b, "name");
  const char *mode = json_string_value(json_object_get(b, "mode"));
  bool is_normal = mode == NULL || strcmp(mode, "normal") == 0;
  wr_columns_cell(c, is_normal ? "%s" : "%s (%s)", state, mode);
  const json_t *rate = json_object_get(b, "failure_rate");
  if (json_is_number(rate)) {
    wr_columns_cell(c, "%.1f%%", json_number_value(rate) * 100);
  } else {
    wr_columns_cell(c, "-");
  }
  add_count(c, b, "calls");
  const json_t *after = json_object_get(b, "retry_after_s");
  add_number(c, json_number_value(after) > 0 ? after : NULL, 1, "s");
}

// "payments", or "payments (shadow)" for one that refuses nothing.
static void add_name(struct wr_columns *c, const json_t *row)
{
  bool is_shadow = json_is_true(json_object_get(row, "shadow"));
  wr_columns_cell(c, "%s%s", text_of(row, "name"), is_shadow ? " (shadow)" : "");
}

static const struct wr_column bulkhead_columns[] = {
    {"name", false}, {"in use", true}, {"max", true}, {"queued", true}, {"keys", true}};

static void add_bulkhead(struct wr_columns *c, const json_t *b, const struct wr_style *style)
{
  bool has_queue = json_number_value(json_object_get(b, "queued")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  add_name(c, b);
  add_count(c, b, "in_use");
  add_count(c, b, "max");
  add_count(c, b, "queued");
  add_count(c, b, "keys");
}

static const struct wr_column limiter_columns[] = {
    {"name", false},    {"rate", false},   {"left", true}, {"waiting", true},
    {"admitted", true}, {"refused", true}, {"keys", true}};

static void add_limiter(struct wr_columns *c, const json_t *l, const struct wr_style *style)
{
  wr_columns_row(c, json_number_value(json_object_get(l, "waiting")) > 0 ? style->yellow : "");
  add_name(c, l);
  wr_columns_cell(c, "%.0f in %gs", json_number_value(json_object_get(l, "limit")),
                  json_number_value(json_object_get(l, "per_s")));
  add_count(c, l, "left");
  add_count(c, l, "waiting");
  add_count(c, l, "admitted");
  add_count(c, l, "refused");
  add_count(c, l, "keys");
}

static const struct wr_column shedder_columns[] = {{"name", false},  {"rule", false},
                                                   {"in use", true}, {"limit", true},
                                                   {"queued", true}, {"shed", true}};

static void add_shedder(struct wr_columns *c, const json_t *s, const struct wr_style *style)
{
  double shed = 0;
  const char *priority;
  json_t *count;
  json_object_foreach(json_object_get(s, "shed"), priority, count) shed += json_number_value(count);
  bool has_queue = json_number_value(json_object_get(s, "queued")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  add_name(c, s);
  add_text(c, s, "rule");
  add_count(c, s, "in_use");
  add_count(c, s, "limit");
  add_count(c, s, "queued");
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
  add_count(c, t, "admitted");
  add_count(c, t, "refused");
}

static const struct wr_column hedge_columns[] = {
    {"name", false}, {"delay", true}, {"calls", true}, {"hedges", true}, {"won", true}};

static void add_hedge(struct wr_columns *c, const json_t *h, const struct wr_style *style)
{
  (void)style;
  wr_columns_row(c, "");
  add_text(c, h, "name");
  add_number(c, json_object_get(h, "delay_s"), 3, " s");
  add_count(c, h, "calls");
  add_count(c, h, "hedges");
  add_count(c, h, "won");
}

static const struct wr_column cache_columns[] = {
    {"name", false}, {"served", true},    {"hit", true},    {"stale", true},
    {"miss", true},  {"coalesced", true}, {"waiting", true}};

static void add_cache(struct wr_columns *c, const json_t *cache, const struct wr_style *style)
{
  bool has_queue = json_number_value(json_object_get(cache, "waiting")) > 0;
  wr_columns_row(c, has_queue ? style->yellow : "");
  add_text(c, cache, "name");
  wr_columns_cell(c, "%.1f%%", json_number_value(json_object_get(cache, "hit_rate")) * 100);
  for (size_t i = 2; i < WR_COUNT(cache_columns); i++) add_count(c, cache, cache_columns[i].head);
}

static const struct wr_column chaos_columns[] = {
    {"name", false}, {"armed", false}, {"left", true}, {"hit", true}, {"of", true}};

static void add_chaos(struct wr_columns *c, const json_t *e, const struct wr_style *style)
{
  char left[WR_AGE_SIZE];
  bool is_armed = json_is_true(json_object_get(e, "armed"));
  wr_columns_row(c, is_armed ? style->red : "");
  add_text(c, e, "name");
  wr_columns_cell(c, is_armed ? "yes" : "no (%s)", text_of(e, "cause"));
  wr_columns_cell(c, "%s", is_armed ? wr_age_text(json_object_get(e, "left_s"), left) : "-");
  add_count(c, e, "injected");
  add_count(c, e, "seen");
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
  add_text(c, l, "name");
  wr_columns_cell(c, is_running ? "%.0f" : "-", json_number_value(json_object_get(l, "worker")));
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(l, "last_s"), age));
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(l, "next_s"), age));
  add_count(c, l, "runs");
  add_count(c, l, "lost");
}

static const struct wr_column upstream_columns[] = {
    {"name", false}, {"endpoints", true}, {"usable", true}, {"ejected", true}, {"out", false}};

// Which are out: "http://10.0.0.7:80 (latency, 12s)".
static void add_out(struct wr_columns *c, const json_t *u)
{
  char text[WR_COLUMNS_CELL_MAX] = "";
  char age[WR_AGE_SIZE];
  const json_t *e;
  size_t i;
  json_array_foreach(json_object_get(u, "endpoints"), i, e)
  {
    bool is_ejected = json_is_true(json_object_get(e, "ejected"));
    if (!is_ejected && json_is_true(json_object_get(e, "healthy"))) continue;
    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, "%s%s (%s)", len ? ", " : "", text_of(e, "url"),
             is_ejected ? wr_age_text(json_object_get(e, "back_in_s"), age) : "unhealthy");
  }
  wr_columns_cell(c, "%s", text);
}

static void add_upstream(struct wr_columns *c, const json_t *u, const struct wr_style *style)
{
  bool is_panic = json_is_true(json_object_get(u, "panic"));
  bool is_whole = json_integer_value(json_object_get(u, "usable")) ==
                  json_integer_value(json_object_get(u, "count"));
  wr_columns_row(c, is_panic ? style->red : is_whole ? "" : style->yellow);
  wr_columns_cell(c, is_panic ? "%s (panic)" : "%s", text_of(u, "name"));
  add_count(c, u, "count");
  add_count(c, u, "usable");
  add_count(c, u, "ejected");
  add_out(c, u);
}

// One list of the answer, and how its elements become rows.
static const struct section {
  const char *key;
  const struct wr_column *columns;
  size_t width;
  size_t least; // shown from this many elements
  void (*add)(struct wr_columns *c, const json_t *element, const struct wr_style *style);
} sections[] = {
    {"generations", generation_columns, WR_COUNT(generation_columns), 2, add_generation},
    {"quarantined", quarantined_columns, WR_COUNT(quarantined_columns), 1, add_quarantined},
    {"workers", worker_columns, WR_COUNT(worker_columns), 1, add_worker},
    {"listeners", listener_columns, WR_COUNT(listener_columns), 1, add_listener},
    {"upstreams", upstream_columns, WR_COUNT(upstream_columns), 1, add_upstream},
    {"checks", check_columns, WR_COUNT(check_columns), 1, add_check},
    {"flags", flag_columns, WR_COUNT(flag_columns), 1, add_flag},
    {"breakers", breaker_columns, WR_COUNT(breaker_columns), 1, add_breaker},
    {"bulkheads", bulkhead_columns, WR_COUNT(bulkhead_columns), 1, add_bulkhead},
    {"limiters", limiter_columns, WR_COUNT(limiter_columns), 1, add_limiter},
    {"caches", cache_columns, WR_COUNT(cache_columns), 1, add_cache},
    {"shedders", shedder_columns, WR_COUNT(shedder_columns), 1, add_shedder},
    {"leases", lease_columns, WR_COUNT(lease_columns), 1, add_lease},
    {"chaos", chaos_columns, WR_COUNT(chaos_columns), 1, add_chaos},
    {"throttles", throttle_columns, WR_COUNT(throttle_columns), 1, add_throttle},
    {"hedges", hedge_columns, WR_COUNT(hedge_columns), 1, add_hedge},
};

static void print_section(const json_t *status, const struct section *section,
                          const struct wr_style *style)
{
  const json_t *list = json_object_get(status, section->key);
  if (json_array_size(list) < section->least) return;
  struct wr_columns columns;
  wr_columns_init(&columns, section->columns, section->width);
  for (size_t i = 0; i < json_array_size(list); i++) {
    section->add(&columns, json_array_get(list, i), style);
  }
  wr_columns_print(&columns, stdout, section->key);
  wr_columns_fini(&columns);
}

static int print_status(const struct wr_options *o, struct wr_str body)
{
  json_error_t problem;
  json_t *status = json_loadb(body.ptr, body.len, 0, &problem);
  if (!json_is_object(status)) {
    json_decref(status);
    wr_options_refuse(o, "the answer is not a JSON object: is that address weir's?");
    return WR_EXIT_FAILED;
  }
  struct wr_style style = wr_style_of(stdout);
  print_process(status, &style);
  print_generation(status, &style);
  print_confinement(status, &style);
  print_last_reload(status, &style);
  print_upgrades(status, &style);
  for (size_t i = 0; i < WR_COUNT(sections); i++) print_section(status, &sections[i], &style);
  json_decref(status);
  return WR_EXIT_OK;
}

int wr_cli_status(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct wr_client_request request = {"GET", "/status", TIMEOUT_MS};
  struct wr_client_reply reply;
  int code = wr_client_ask(&o, &request, &reply);
  if (code) return code;
  struct wr_str body = wr_buf_str(&reply.body);
  if (reply.status != STATUS_OK) {
    wr_options_refuse(&o, "weir answered with status %ld", reply.status);
    code = WR_EXIT_FAILED;
  } else if (wr_options_get(&o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(body));
  } else {
    code = print_status(&o, body);
  }
  wr_buf_fini(&reply.body);
  return code;
}
