#include "base/duration.h"
#include "base/region.h"
#include "cli/answer.h"
#include "http/uri.h"

#include <stdio.h>

#define TARGET "/reload"

enum { PATH_ROOM = 512 };

// Appends "?key=value" or "&key=value" for an option that was given; weir judges the value.
static bool append(struct wr_buf *path, const struct wr_options *o, const char *option,
                   const char *key)
{
  const char *value = wr_options_get(o, option);
  if (value == NULL) return true;
  struct wr_region region;
  wr_region_init(&region, PATH_ROOM);
  struct wr_str text = wr_uri_encode(value[0] ? wr_str_of(value) : WR_STR("1"), &region);
  bool is_first = path->len == sizeof(TARGET) - 1;
  bool fits = text.ptr && wr_buf_append(path, is_first ? "?" : "&", 1) &&
              wr_buf_append_str(path, wr_str_of(key)) && wr_buf_append(path, "=", 1) &&
              wr_buf_append_str(path, text);
  wr_region_fini(&region);
  return fits;
}

static bool build_path(struct wr_buf *path, const struct wr_options *o)
{
  return wr_buf_append_str(path, WR_STR(TARGET)) && append(path, o, "dry-run", "dry_run") &&
         append(path, o, "force", "force") && append(path, o, "canary", "canary") &&
         append(path, o, "shadow", "shadow") && append(path, o, "for", "for") &&
         append(path, o, "by", "by") && wr_buf_append(path, "", 1);
}

// A canary or a shadow is answered when its time is over.
static long timeout_of(const struct wr_options *o)
{
  uint64_t ns = 0;
  const char *time = wr_options_get(o, "for");
  bool is_on_probation = wr_options_get(o, "canary") || wr_options_get(o, "shadow");
  if (!is_on_probation) return WR_ANSWER_TIMEOUT_MS;
  if (time == NULL || !wr_duration_parse(wr_str_of(time), &ns)) ns = WR_ANSWER_PROBATION_NS;
  return WR_ANSWER_TIMEOUT_MS + (long)(ns / WR_MS);
}

// An option that is about something else than what is asked for; NULL: none.
static const char *stray_option(const struct wr_options *o)
{
  bool is_canary = wr_options_get(o, "canary") != NULL;
  bool is_shadow = wr_options_get(o, "shadow") != NULL;
  if (is_canary && is_shadow) return "--canary or --shadow, not both";
  if (wr_options_get(o, "by") && !is_canary)
    return "--by is about a canary: give --canary SHARE too";
  if (wr_options_get(o, "for") == NULL || is_canary || is_shadow) return NULL;
  return "--for is about a canary or a shadow: give --canary SHARE or --shadow too";
}

int wr_cli_reload(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *stray = stray_option(&o);
  if (stray) return wr_options_refuse(&o, "%s", stray);
  struct wr_buf path;
  wr_buf_init(&path, PATH_ROOM);
  int code;
  if (build_path(&path, &o)) {
    const char *target = wr_buf_str(&path).ptr;
    code = wr_answer_ask(&o, &(struct wr_client_request){
                                 .method = "POST", .path = target, .timeout_ms = timeout_of(&o)});
  } else {
    code = wr_options_refuse(&o, "that is too long");
  }
  wr_buf_fini(&path);
  return code;
}
