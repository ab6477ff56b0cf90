#include "base/log.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/order.h"
#include "cli/sections.h"
#include "cli/words.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200 };

static int refuse_word(const struct wr_options *o)
{
  const char *words[4];
  struct wr_word word;
  size_t count = 0;
  while (wr_words_at(o->verb, count, &word)) words[count++] = word.name;
  return wr_options_refuse_action(o, o->operands[0], words, count);
}

static int show(const struct wr_options *o)
{
  struct wr_client_request request = {.method = "GET", .path = "/log", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, &request, &reply);
  if (failed) return failed;
  json_t *answer = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  const char *level = wr_sections_text(answer, "level");
  const char *before = wr_sections_text(answer, "started_with");
  if (reply.status != STATUS_OK) {
    wr_options_refuse(o, "weir answered with status %ld", reply.status);
  } else if (wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else if (strcmp(level, before) == 0) {
    printf("%s\n", level);
  } else {
    printf("%s, by an order; started with %s\n", level, before);
  }
  json_decref(answer);
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}

static int set(const struct wr_options *o, const char *wanted)
{
  char path[32];
  enum wr_log_level level;
  if (!wr_log_level_find(wr_str_of(wanted), &level)) {
    return wr_options_refuse(o, "a level is debug, info, warn or error, not '%s'", wanted);
  }
  snprintf(path, sizeof(path), "/log?level=%s", wanted);
  return wr_order_send(o, path);
}

int wr_cli_log(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *word = o.operands[0];
  if (!wr_words_have(o.verb, word)) return refuse_word(&o);
  bool is_reset = strcmp(word, "reset") == 0;
  if (!is_reset) return o.operand_count == 1 ? show(&o) : set(&o, o.operands[1]);
  if (o.operand_count == 1) return wr_order_send(&o, "/log?level=reset");
  return wr_options_refuse(&o, "unexpected argument '%s'", o.operands[1]);
}
