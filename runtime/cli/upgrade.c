#include "cli/client.h"
#include "cli/style.h"

#include <jansson.h>
#include <stdio.h>

enum {
  TIMEOUT_MS = 60000, // a rehearsal of 20 s, a trial of 5 and a preparation of 10
  STATUS_OK = 200,
};

static void print_done(const json_t *answer)
{
  const char *version = json_string_value(json_object_get(answer, "version"));
  const char *state = json_string_value(json_object_get(answer, "state"));
  bool is_whole = state != NULL && state[0] == 'a';
  printf("weir %s serves with %lld workers, generation %lld, %s (%.0f ms)\n",
         version ? version : "?", json_integer_value(json_object_get(answer, "workers")),
         json_integer_value(json_object_get(answer, "generation")),
         is_whole ? "all state handed over" : "state restored from a snapshot",
         json_number_value(json_object_get(answer, "took_ms")));
}

static void print_failed(const json_t *answer)
{
  const char *message = json_string_value(json_object_get(answer, "message"));
  fputs("weir upgrade: nothing has changed: ", stderr);
  wr_style_text(stderr, message ? message : "weir did not say why");
  fputc('\n', stderr);
}

int wr_cli_upgrade(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct wr_client_request request = {
      .method = "POST", .path = "/upgrade", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(&o, &request, &reply);
  if (failed) return failed;
  json_t *answer = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  if (wr_options_get(&o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else if (reply.status == STATUS_OK) {
    print_done(answer);
  } else {
    print_failed(answer);
  }
  json_decref(answer);
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}
