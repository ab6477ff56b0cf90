#include "cli/top_events.h"

#include "base/check.h"
#include "base/duration.h"
#include "cli/style.h"
#include "loop/loop.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

__attribute__((format(printf, 2, 3))) static void note(struct wr_top_events *e, const char *format,
                                                       ...)
{
  char *line = e->lines[e->count++ % WR_TOP_EVENTS_KEPT];
  time_t now = (time_t)(wr_loop_wall() / WR_SECOND);
  struct tm local;
  localtime_r(&now, &local);
  size_t len = strftime(line, WR_TOP_EVENTS_TEXT, "%H:%M:%S  ", &local);
  va_list args;
  va_start(args, format);
  vsnprintf(line + len, WR_TOP_EVENTS_TEXT - len, format, args);
  va_end(args);
}

// Lists of the status whose elements have a name, and the member whose change is told.
static const struct {
  const char *list, *noun, *key;
} watched[] = {
    {"breakers", "breaker", "state"},   {"breakers", "breaker", "mode"},
    {"checks", "check", "state"},       {"flags", "flag", "percent"},
    {"chaos", "chaos", "armed"},        {"upstreams", "upstream", "usable"},
    {"upstreams", "upstream", "panic"},
};

static const json_t *find(const json_t *list, const char *name)
{
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *other = json_string_value(json_object_get(json_array_get(list, i), "name"));
    if (other && strcmp(other, name) == 0) return json_array_get(list, i);
  }
  return NULL;
}

static const char *text_of(const json_t *value, char room[32])
{
  if (json_is_string(value)) return json_string_value(value);
  if (json_is_boolean(value)) return json_is_true(value) ? "yes" : "no";
  snprintf(room, 32, json_is_number(value) ? "%.6g" : "-", json_number_value(value));
  return room;
}

static void note_list(struct wr_top_events *e, size_t row, const json_t *before,
                      const json_t *after)
{
  const json_t *list = json_object_get(after, watched[row].list);
  const json_t *earlier = json_object_get(before, watched[row].list);
  for (size_t i = 0; i < json_array_size(list); i++) {
    char rooms[2][32];
    const json_t *now = json_array_get(list, i);
    const char *name = json_string_value(json_object_get(now, "name"));
    const json_t *then = name ? find(earlier, name) : NULL;
    const json_t *is = json_object_get(now, watched[row].key);
    const json_t *was = json_object_get(then, watched[row].key);
    if (was == NULL || json_equal(was, is)) continue;
    bool is_state = strcmp(watched[row].key, "state") == 0;
    note(e, "%s %s: %s%s%s -> %s", watched[row].noun, name, is_state ? "" : watched[row].key,
         is_state ? "" : " ", text_of(was, rooms[0]), text_of(is, rooms[1]));
  }
}

static void note_process(struct wr_top_events *e, const json_t *before, const json_t *after)
{
  long long was =
      json_integer_value(json_object_get(json_object_get(before, "generation"), "number"));
  long long is =
      json_integer_value(json_object_get(json_object_get(after, "generation"), "number"));
  const json_t *reload = json_object_get(after, "last_reload");
  if (was != is) note(e, "generation %lld -> %lld", was, is);
  if (!json_equal(reload, json_object_get(before, "last_reload")) && was == is) {
    const char *result = json_string_value(json_object_get(reload, "result"));
    const char *message = json_string_value(json_object_get(reload, "message"));
    note(e, "reload: %s %s", result ? result : "-", message ? message : "");
  }
  const json_t *workers = json_object_get(after, "workers");
  for (size_t i = 0; i < json_array_size(workers); i++) {
    const json_t *then = json_array_get(json_object_get(before, "workers"), i);
    long long pid = json_integer_value(json_object_get(json_array_get(workers, i), "pid"));
    long long old = json_integer_value(json_object_get(then, "pid"));
    if (then != NULL && pid != old) note(e, "worker %zu: pid %lld -> %lld", i, old, pid);
  }
}

void wr_top_events_note(struct wr_top_events *e, const json_t *before, const json_t *after)
{
  if (before == NULL) return;
  note_process(e, before, after);
  for (size_t i = 0; i < WR_COUNT(watched); i++) note_list(e, i, before, after);
}

void wr_top_events_print(const struct wr_top_events *e, size_t most, FILE *out)
{
  size_t kept = e->count < WR_TOP_EVENTS_KEPT ? e->count : WR_TOP_EVENTS_KEPT;
  size_t shown = kept < most ? kept : most;
  for (size_t i = e->count - shown; i < e->count; i++) {
    wr_style_text(out, e->lines[i % WR_TOP_EVENTS_KEPT]);
    fputc('\n', out);
  }
}
