#include "cli/top_frame.h"

#include "base/check.h"
#include "cli/age.h"
#include "cli/sections.h"

#include <math.h>

// As on the dashboard.
static const char *const panels[] = {
    "routes",    "breakers", "upstreams", "attempts", "bulkheads", "limiters", "shedders", "waits",
    "throttles", "budgets",  "retries",   "caches",   "checks",    "chaos",    "workers",
};

static const char *colour_of(enum wr_snapshot_word word, const struct wr_style *style)
{
  if (word == WR_SNAPSHOT_OK) return style->green;
  return word == WR_SNAPSHOT_DEGRADED ? style->yellow : style->red;
}

static void put_ms(FILE *out, const char *name, double seconds)
{
  if (isnan(seconds)) {
    fprintf(out, "  %s -", name);
  } else {
    fprintf(out, seconds < 0.01 ? "  %s %.2f ms" : "  %s %.0f ms", name, seconds * 1e3);
  }
}

// "▁▂▇": each second beside the busiest.
static void put_history(const struct wr_top_view *v, FILE *out)
{
  static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t highest = WR_COUNT(blocks) - 1;
  size_t shown = v->seconds < WR_TOP_HISTORY ? v->seconds : WR_TOP_HISTORY;
  double most = 1;
  for (size_t i = 0; i < shown; i++) most = fmax(most, v->history[i]);
  for (size_t i = v->seconds - shown; i < v->seconds; i++) {
    double share = v->history[i % WR_TOP_HISTORY] / most;
    fputs(blocks[(size_t)(share * (double)highest)], out);
  }
  fprintf(out, "  most %.0f/s\n", most);
}

void wr_top_frame_head(const struct wr_top_view *v, FILE *out, const struct wr_style *style)
{
  char up[WR_AGE_SIZE];
  char age[WR_AGE_SIZE];
  const struct wr_snapshot *s = &v->now;
  const json_t *generation = json_object_get(v->status, "generation");
  fprintf(out, "%s%s%s%s", style->bold, colour_of(s->word, style), wr_snapshot_word_name(s->word),
          style->reset);
  fprintf(out, "  %.1f req/s  errors %.1f%%", s->per_s, s->error_ratio * 100);
  put_ms(out, "p50", s->p50_s);
  put_ms(out, "p95", s->p95_s);
  put_ms(out, "p99", s->p99_s);
  fprintf(out, "\nactive %.0f  queued %.0f", s->active, s->queued);
  put_ms(out, "lag", s->lag_s);
  fprintf(out, "  breakers not closed %d/%d  endpoints out %d/%d%s\n", s->breakers_out, s->breakers,
          s->endpoints_out, s->endpoints, v->is_paused ? "  PAUSED" : "");
  fprintf(out, "workers %d/%d  %.0f MiB  generation %d for %s  weir ", s->workers_live, s->workers,
          s->memory / (1 << 20), s->generation,
          wr_age_text(json_object_get(generation, "age_s"), age));
  wr_style_text(out, wr_sections_text(v->status, "version"));
  fprintf(out, " up %s\n", wr_age_text(json_object_get(v->status, "uptime_s"), up));
  if (v->seconds > 0) put_history(v, out);
  if (v->trouble == NULL) return;
  fputs(style->red, out);
  wr_style_text(out, v->trouble);
  fprintf(out, "%s\n", style->reset);
}

void wr_top_frame_body(const struct wr_top_view *v, FILE *out, const struct wr_style *style)
{
  for (size_t i = 0; i < WR_COUNT(panels); i++) {
    wr_sections_print(wr_sections_find(panels[i]), v->status, out, style);
  }
}
