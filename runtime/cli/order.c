#include "cli/order.h"

#include "cli/client.h"
#include "cli/style.h"

#include <jansson.h>
#include <stdio.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200 };

// What was done, or why not.
static void print_done(const struct wr_options *o, const struct wr_client_reply *reply)
{
  json_t *answer = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  const char *message = json_string_value(json_object_get(answer, "message"));
  if (reply->status == STATUS_OK) {
    wr_style_text(stdout, message ? message : "done");
    putchar('\n');
  } else {
    fprintf(stderr, "weir %s: ", o->verb->name);
    wr_style_text(stderr, message ? message : "weir refused");
    fputc('\n', stderr);
  }
  json_decref(answer);
}

int wr_order_send(const struct wr_options *o, const char *path)
{
  struct wr_client_request request = {.method = "POST", .path = path, .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, &request, &reply);
  if (failed) return failed;
  if (wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else {
    print_done(o, &reply);
  }
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}
