// One line of numbers, and with --watch one each interval, as vmstat has it.

#include "base/check.h"
#include "base/duration.h"
#include "base/json.h"
#include "cli/snapshot.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>

enum { HEAD_EVERY = 20, TEXT_MAX = 4096, LONGEST_S = 86400 };

static void print_head(void)
{
  printf("   req/s  err%%    p50ms    p95ms    p99ms  active  queued   lag_ms  open   out  "
         "shed     MiB  gen  state\n");
}

static void print_ms(double seconds, int width)
{
  if (isnan(seconds)) {
    printf(" %*s", width, "-");
  } else {
    printf(" %*.*f", width, seconds < 0.01 ? 2 : 0, seconds * 1e3);
  }
}

static void print_line(const struct wr_snapshot *s)
{
  printf("%8.1f %5.1f", s->per_s, s->error_ratio * 100);
  print_ms(s->p50_s, 8);
  print_ms(s->p95_s, 8);
  print_ms(s->p99_s, 8);
  printf(" %7.0f %7.0f", s->active, s->queued);
  print_ms(s->lag_s, 8);
  printf(" %5d %5d %5.2f %7.1f %4d  %s\n", s->breakers_out, s->endpoints_out, s->sheds,
         s->memory / (1 << 20), s->generation, wr_snapshot_word_name(s->word));
}

static void print_json(const struct wr_snapshot *s)
{
  struct wr_buf text;
  struct wr_json j;
  wr_buf_init(&text, TEXT_MAX);
  wr_json_init(&j, &text);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "state", wr_snapshot_word_name(s->word));
  wr_json_field_num(&j, "uptime_s", s->at_s);
  wr_json_field_num(&j, "requests", s->requests);
  wr_json_field_num(&j, "errors", s->errors);
  wr_json_field_num(&j, "per_s", s->per_s);
  wr_json_field_num(&j, "error_ratio", s->error_ratio);
  wr_json_field_num(&j, "p50_s", s->p50_s);
  wr_json_field_num(&j, "p95_s", s->p95_s);
  wr_json_field_num(&j, "p99_s", s->p99_s);
  wr_json_field_num(&j, "active", s->active);
  wr_json_field_num(&j, "queued", s->queued);
  wr_json_field_num(&j, "lag_s", s->lag_s);
  wr_json_field_num(&j, "sheds", s->sheds);
  wr_json_field_num(&j, "memory_bytes", s->memory);
  wr_json_field_uint(&j, "breakers", (uint64_t)s->breakers);
  wr_json_field_uint(&j, "breakers_not_closed", (uint64_t)s->breakers_out);
  wr_json_field_uint(&j, "endpoints", (uint64_t)s->endpoints);
  wr_json_field_uint(&j, "endpoints_out", (uint64_t)s->endpoints_out);
  wr_json_field_uint(&j, "workers", (uint64_t)s->workers);
  wr_json_field_uint(&j, "workers_live", (uint64_t)s->workers_live);
  wr_json_field_uint(&j, "generation", (uint64_t)s->generation);
  wr_json_object_end(&j);
  WR_CHECK(!j.failed);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&text)));
  wr_buf_fini(&text);
}

static bool read_duration(const char *text, uint64_t *ns)
{
  return wr_duration_parse(wr_str_of(text), ns) && *ns >= WR_MS && *ns <= LONGEST_S * WR_SECOND;
}

// "1" and "1s" are the same; "200ms" is another.
static bool read_interval(struct wr_options *o, uint64_t *ns)
{
  const char *text = wr_options_get(o, "watch");
  uint64_t seconds = 0;
  *ns = 0;
  if (text == NULL || read_duration(text, ns)) return true;
  if (!wr_options_number(o, "watch", 1, LONGEST_S, &seconds)) return false;
  *ns = seconds * WR_SECOND;
  return true;
}

int wr_cli_stat(int argc, char **argv)
{
  struct wr_options o;
  uint64_t interval_ns;
  if (!wr_options_parse(&o, argc, argv) || !read_interval(&o, &interval_ns)) return o.exit_code;
  bool is_json = wr_options_get(&o, "json") != NULL;
  struct wr_snapshot before = {0};
  int code = WR_EXIT_OK;
  for (uint64_t i = 0;; i++) {
    struct wr_snapshot s;
    json_t *status = wr_snapshot_fetch(&o, &code);
    if (status == NULL) return code;
    wr_snapshot_read(&s, status);
    json_decref(status);
    if (i > 0) wr_snapshot_since(&s, &before);
    if (!is_json && i % HEAD_EVERY == 0) print_head();
    is_json ? print_json(&s) : print_line(&s);
    before = s;
    if (interval_ns == 0 || fflush(stdout) != 0) return code;
    poll(NULL, 0, (int)(interval_ns / WR_MS));
  }
}
