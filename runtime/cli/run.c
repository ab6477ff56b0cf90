#include "cli/admin_address.h"
#include "cli/admin_token.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/style.h"
#include "process.h"

#include "base/duration.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_duration(struct wr_options *o, const char *name, uint64_t *out)
{
  const char *text = wr_options_get(o, name);
  if (text == NULL || wr_duration_parse(wr_str_of(text), out)) return true;
  o->exit_code = wr_options_refuse(
      o, "--%s is '%s'; it must be a duration like \"250ms\" or \"30s\"", name, text);
  return false;
}

static bool read_session_keys(struct wr_options *o, uint64_t *out)
{
  if (!read_duration(o, "session-keys", out)) return false;
  // RFC 8446 4.6.1: no ticket is good for longer.
  if (*out >= WR_SECOND && *out <= 168 * 3600 * WR_SECOND) return true;
  o->exit_code = wr_options_refuse(o, "--session-keys is '%s'; it must be from 1s to 168h",
                                   wr_options_get(o, "session-keys"));
  return false;
}

static bool read_level(struct wr_options *o, enum wr_log_level *out)
{
  const char *text = wr_options_get(o, "log-level");
  if (text == NULL || wr_log_level_find(wr_str_of(text), out)) return true;
  o->exit_code =
      wr_options_refuse(o, "--log-level is '%s'; it must be debug, info, warn or error", text);
  return false;
}

// People at a terminal read text, programs JSON.
static bool read_format(struct wr_options *o, enum wr_log_format *out)
{
  const char *text = wr_options_get(o, "log-format");
  *out = isatty(STDOUT_FILENO) ? WR_LOG_TEXT : WR_LOG_JSON;
  if (text == NULL || wr_log_format_find(wr_str_of(text), out)) return true;
  o->exit_code =
      wr_options_refuse(o, "--log-format is '%s'; it must be json, otel, ecs or text", text);
  return false;
}

static bool read_confinement(struct wr_options *o, struct wr_confine_options *out)
{
  const char *wanted = wr_options_get(o, "confine");
  const char *user = wr_options_get(o, "user");
  struct wr_error error;
  out->is_off = wanted != NULL && strcmp(wanted, "no") == 0;
  out->has_user = user != NULL;
  if (wanted != NULL && !out->is_off && strcmp(wanted, "yes") != 0) {
    o->exit_code = wr_options_refuse(o, "--confine is '%s'; it must be yes or no", wanted);
  } else if (user != NULL && !wr_user_find(&out->user, user, &error)) {
    o->exit_code = wr_options_refuse(o, "%s", error.message);
  } else {
    return true;
  }
  return false;
}

static bool read_token(struct wr_options *o, char room[WR_ADMIN_TOKEN_MAX + 1], const char **out)
{
  const char *file = wr_admin_token_file(wr_options_get(o, "admin-token-file"));
  struct wr_error error;
  if (file == NULL) return true;
  *out = room;
  if (wr_admin_token_read(file, room, &error)) return true;
  o->exit_code = wr_options_refuse(o, "%s", error.message);
  return false;
}

int wr_cli_run(int argc, char **argv)
{
  struct wr_options o;
  char admin[WR_ADMIN_ADDRESS_MAX];
  char token[WR_ADMIN_TOKEN_MAX + 1];
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct wr_settings settings;
  wr_process_defaults(&settings);
  uint64_t workers = settings.workers;
  if (!wr_options_number(&o, "workers", 1, WR_ARENA_WORKERS_MAX, &workers)) return o.exit_code;
  if (!read_level(&o, &settings.log_level)) return o.exit_code;
  if (!read_format(&o, &settings.log_format)) return o.exit_code;
  if (!read_duration(&o, "drain", &settings.drain_ns)) return o.exit_code;
  if (!read_duration(&o, "heartbeat", &settings.heartbeat_ns)) return o.exit_code;
  if (!read_session_keys(&o, &settings.session_keys_ns)) return o.exit_code;
  if (!read_confinement(&o, &settings.confine)) return o.exit_code;
  if (!read_token(&o, token, &settings.admin_token)) return o.exit_code;
  settings.workers = (uint32_t)workers;
  settings.file = o.operands[0];
  settings.arguments = argv;
  settings.admin = wr_admin_address_default(wr_options_get(&o, "admin"), admin);
  settings.allow_chaos = wr_options_get(&o, "allow-chaos") != NULL;
  settings.watch = wr_options_get(&o, "watch") != NULL;
  settings.dns = wr_options_get(&o, "dns");
  settings.ca_file = wr_options_get(&o, "ca-file");
  settings.state = wr_options_get(&o, "state");
  struct wr_error error = {0};
  int code = wr_process_run(&settings, &error);
  if (error.kind != WR_ERROR_NONE) {
    fputs("weir run: ", stderr);
    wr_style_text(stderr, error.message);
    fputc('\n', stderr);
  }
  return code;
}
