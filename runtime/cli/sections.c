#include "cli/sections.h"

#include "base/check.h"
#include "cli/age.h"

#include <string.h>

const char *wr_sections_text(const json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

void wr_sections_add_text(struct wr_columns *c, const json_t *object, const char *key)
{
  wr_columns_cell(c, "%s", wr_sections_text(object, key));
}

void wr_sections_add_number(struct wr_columns *c, const json_t *value, int digits, const char *unit)
{
  if (json_is_number(value)) {
    wr_columns_cell(c, "%.*f%s", digits, json_number_value(value), unit);
  } else {
    wr_columns_cell(c, "-");
  }
}

void wr_sections_add_count(struct wr_columns *c, const json_t *object, const char *key)
{
  wr_sections_add_number(c, json_object_get(object, key), 0, "");
}

void wr_sections_add_share(struct wr_columns *c, const json_t *value)
{
  if (json_is_number(value)) {
    wr_columns_cell(c, "%.1f%%", json_number_value(value) * 100);
  } else {
    wr_columns_cell(c, "-");
  }
}

void wr_sections_add_ms(struct wr_columns *c, const json_t *value)
{
  double ms = json_number_value(value) * 1e3;
  if (json_is_number(value)) {
    wr_columns_cell(c, ms < 10 ? "%.2f ms" : "%.0f ms", ms);
  } else {
    wr_columns_cell(c, "-");
  }
}

static const struct wr_column generation_columns[] = {
    {"number", true}, {"state", false}, {"age", true}, {"hash", false}};

static void add_generation(struct wr_columns *c, const json_t *g, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  wr_columns_row(c, strcmp(wr_sections_text(g, "state"), "live") == 0 ? style->green : "");
  wr_sections_add_count(c, g, "number");
  wr_sections_add_text(c, g, "state");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(g, "age_s"), age));
  wr_sections_add_text(c, g, "hash");
}

static const struct wr_column quarantined_columns[] = {
    {"number", true}, {"hash", false}, {"since", true}, {"why", false}};

static void add_quarantined(struct wr_columns *c, const json_t *q, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  wr_columns_row(c, style->red);
  wr_sections_add_count(c, q, "number");
  wr_sections_add_text(c, q, "hash");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(q, "since_s"), age));
  wr_sections_add_text(c, q, "why");
}

static const struct wr_column override_columns[] = {
    {"of", false}, {"order", false}, {"by", false}, {"since", true}};

static void add_override(struct wr_columns *c, const json_t *o, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  const char *endpoint = json_string_value(json_object_get(o, "endpoint"));
  wr_columns_row(c, style->yellow);
  wr_columns_cell(c, "%s %s%s%s", wr_sections_text(o, "kind"), wr_sections_text(o, "name"),
                  endpoint ? " " : "", endpoint ? endpoint : "");
  wr_sections_add_text(c, o, "order");
  wr_sections_add_text(c, o, "by");
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(o, "since_s"), age));
}

static const struct wr_column worker_columns[] = {
    {"slot", true},   {"pid", true},   {"generation", true}, {"connections", true},
    {"active", true}, {"sheds", true}, {"restarts", true},   {"heartbeat", true}};

// How much is shed, or would be: "1.25", "1.25 (shadow)".
static void add_sheds(struct wr_columns *c, const json_t *w)
{
  const json_t *sheds = json_object_get(w, "sheds");
  bool is_shadow = json_is_true(json_object_get(w, "shadow"));
  wr_sections_add_number(c, sheds, 2, is_shadow ? " (shadow)" : "");
}

static void add_worker(struct wr_columns *c, const json_t *w, const struct wr_style *style)
{
  double restarts = json_number_value(json_object_get(w, "restarts"));
  wr_columns_row(c, restarts > 0 ? style->yellow : "");
  wr_sections_add_count(c, w, "slot");
  wr_sections_add_count(c, w, "pid");
  wr_sections_add_count(c, w, "generation");
  wr_sections_add_count(c, w, "connections");
  wr_sections_add_count(c, w, "active");
  add_sheds(c, w);
  wr_sections_add_count(c, w, "restarts");
  wr_sections_add_number(c, json_object_get(w, "heartbeat_ms"), 0, " ms");
}

static const struct wr_column listener_columns[] = {{"address", false}};

static void add_listener(struct wr_columns *c, const json_t *l, const struct wr_style *style)
{
  (void)style;
  wr_columns_row(c, "");
  wr_columns_cell(c, "%s",
                  json_is_string(l) ? json_string_value(l) : wr_sections_text(l, "address"));
}

static const struct wr_column route_columns[] = {
    {"route", false}, {"per s", true}, {"errors", true}, {"p50", true},
    {"p95", true},    {"p99", true},   {"why", false}};

// How most of them ended: "ok 98%, breaker_open 2%".
static void add_why(struct wr_columns *c, const json_t *why)
{
  char text[WR_COLUMNS_CELL_MAX] = "";
  const char *best[2] = {NULL, NULL};
  double most[2] = {0, 0};
  double all = 0;
  const char *word;
  json_t *count;
  json_object_foreach((json_t *)why, word, count)
  {
    double number = json_number_value(count);
    int at = number > most[0] ? 0 : number > most[1] ? 1 : 2;
    all += number;
    if (at == 2) continue;
    if (at == 0) best[1] = best[0], most[1] = most[0];
    best[at] = word;
    most[at] = number;
  }
  for (int i = 0; i < 2 && best[i]; i++) {
    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, "%s%s %.0f%%", i ? ", " : "", best[i],
             most[i] / all * 100);
  }
  wr_columns_cell(c, "%s", text);
}

static void add_traffic(struct wr_columns *c, const json_t *t, const struct wr_style *style)
{
  const json_t *errors = json_object_get(t, "error_ratio");
  double ratio = json_number_value(errors);
  wr_columns_row(c, ratio >= 0.05 ? style->red : ratio > 0 ? style->yellow : "");
  wr_sections_add_text(c, t, "name");
  wr_sections_add_number(c, json_object_get(t, "per_s"), 1, "");
  wr_sections_add_share(c, errors);
  wr_sections_add_ms(c, json_object_get(t, "p50_s"));
  wr_sections_add_ms(c, json_object_get(t, "p95_s"));
  wr_sections_add_ms(c, json_object_get(t, "p99_s"));
}

static void add_route(struct wr_columns *c, const json_t *r, const struct wr_style *style)
{
  add_traffic(c, r, style);
  add_why(c, json_object_get(r, "why"));
}

static const struct wr_column attempt_columns[] = {{"upstream", false}, {"per s", true},
                                                   {"errors", true},    {"p50", true},
                                                   {"p95", true},       {"p99", true}};

static const struct wr_column wait_columns[] = {{"kind", false}, {"name", false}, {"per s", true},
                                                {"p50", true},   {"p95", true},   {"p99", true}};

static void add_wait(struct wr_columns *c, const json_t *w, const struct wr_style *style)
{
  wr_columns_row(c, json_number_value(json_object_get(w, "per_s")) > 0 ? style->yellow : "");
  wr_sections_add_text(c, w, "kind");
  wr_sections_add_text(c, w, "name");
  wr_sections_add_number(c, json_object_get(w, "per_s"), 1, "");
  wr_sections_add_ms(c, json_object_get(w, "p50_s"));
  wr_sections_add_ms(c, json_object_get(w, "p95_s"));
  wr_sections_add_ms(c, json_object_get(w, "p99_s"));
}

static const struct wr_column retry_columns[] = {
    {"policy", false}, {"calls", true}, {"retried", true}, {"extra", true}, {"denied", true}};

// In the window: calls, those of them that were tried again, attempts made for that, and those that
// the budget denied.
static void add_retry(struct wr_columns *c, const json_t *r, const struct wr_style *style)
{
  const json_t *calls = json_object_get(r, "calls");
  const json_t *extra = json_object_get(r, "extra");
  const json_t *denied = json_object_get(extra, "budget_exhausted");
  double all = 0;
  double retried = 0;
  const char *word;
  json_t *count;
  json_object_foreach((json_t *)calls, word, count)
  {
    double number = json_number_value(count);
    all += number;
    if (strstr(word, "with_retry") != NULL) retried += number;
  }
  wr_columns_row(c, denied != NULL ? style->yellow : "");
  wr_sections_add_text(c, r, "name");
  wr_columns_cell(c, "%.0f", all);
  wr_columns_cell(c, "%.0f", retried);
  wr_columns_cell(c, "%.0f", json_number_value(json_object_get(extra, "retry")));
  wr_columns_cell(c, "%.0f", json_number_value(denied));
}

const struct wr_section wr_sections_process[] = {
    {"generations", NULL, generation_columns, WR_COUNT(generation_columns), 2, add_generation},
    {"quarantined", NULL, quarantined_columns, WR_COUNT(quarantined_columns), 1, add_quarantined},
    {"overrides", NULL, override_columns, WR_COUNT(override_columns), 1, add_override},
    {"workers", NULL, worker_columns, WR_COUNT(worker_columns), 1, add_worker},
    {"listeners", NULL, listener_columns, WR_COUNT(listener_columns), 1, add_listener},
    {"routes", "traffic", route_columns, WR_COUNT(route_columns), 1, add_route},
    {"attempts", "traffic", attempt_columns, WR_COUNT(attempt_columns), 1, add_traffic},
    {"waits", "traffic", wait_columns, WR_COUNT(wait_columns), 1, add_wait},
    {"retries", "traffic", retry_columns, WR_COUNT(retry_columns), 1, add_retry},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct wr_section *wr_sections_find(const char *key)
{
  static const struct wr_section *const lists[] = {wr_sections_process, wr_sections_primitives};
  for (size_t i = 0; i < WR_COUNT(lists); i++) {
    for (const struct wr_section *s = lists[i]; s->key != NULL; s++) {
      if (strcmp(s->key, key) == 0) return s;
    }
  }
  WR_UNREACHABLE("a list that is in no table");
}

void wr_sections_print(const struct wr_section *section, const json_t *status, FILE *out,
                       const struct wr_style *style)
{
  const json_t *holder = section->of ? json_object_get(status, section->of) : status;
  const json_t *list = json_object_get(holder, section->key);
  if (json_array_size(list) < section->least) return;
  struct wr_columns columns;
  wr_columns_init(&columns, section->columns, section->width);
  for (size_t i = 0; i < json_array_size(list); i++) {
    section->add(&columns, json_array_get(list, i), style);
  }
  wr_columns_print(&columns, out, style, section->key);
  wr_columns_fini(&columns);
}
