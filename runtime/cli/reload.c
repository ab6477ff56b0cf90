#include "cli/client.h"
#include "cli/excerpt.h"
#include "cli/style.h"

#include <jansson.h>
#include <string.h>

// A reload loads, checks and tests the candidate before it answers.
enum { TIMEOUT_MS = 120000, STATUS_OK = 200, STATUS_REJECTED = 422 };

static void print_live(const json_t *answer)
{
  long long workers = json_integer_value(json_object_get(answer, "workers"));
  bool is_changed = !json_is_false(json_object_get(answer, "changed"));
  printf("generation %lld %s in %lld worker%s%s (%.0f ms)\n",
         json_integer_value(json_object_get(answer, "generation")),
         is_changed ? "is live" : "stays live", workers, workers == 1 ? "" : "s",
         is_changed ? "" : ": nothing has changed",
         json_number_value(json_object_get(answer, "took_ms")));
}

// "+ route GET /new", "- cache 'old'", "~ policy 'pay': retry  max 2 -> 3".
static void print_change(const json_t *change)
{
  const char *what = json_string_value(json_object_get(change, "what"));
  const char *option = json_string_value(json_object_get(change, "option"));
  const char *before = json_string_value(json_object_get(change, "before"));
  const char *after = json_string_value(json_object_get(change, "after"));
  fputs(option ? "~ " : after ? "+ " : "- ", stdout);
  wr_style_text(stdout, what ? what : "");
  if (option != NULL) {
    printf("  ");
    wr_style_text(stdout, option);
    putchar(' ');
    wr_style_text(stdout, before ? before : "(none)");
    fputs(" -> ", stdout);
    wr_style_text(stdout, after ? after : "(none)");
  }
  putchar('\n');
}

static void print_dry(const json_t *answer)
{
  const json_t *files = json_object_get(answer, "files");
  const json_t *changes = json_object_get(answer, "changes");
  for (size_t i = 0; i < json_array_size(files); i++) {
    const char *path = json_string_value(json_array_get(files, i));
    fputs("~ file ", stdout);
    wr_style_text(stdout, path ? path : "");
    putchar('\n');
  }
  for (size_t i = 0; i < json_array_size(changes); i++) print_change(json_array_get(changes, i));
  if (json_array_size(files) == 0) {
    puts("nothing would change");
  } else {
    puts("it would load; nothing was changed");
  }
}

static void print_rejected(const json_t *answer)
{
  struct wr_excerpt e = {
      .stage = json_string_value(json_object_get(answer, "stage")),
      .file = json_string_value(json_object_get(answer, "file")),
      .line = (int)json_integer_value(json_object_get(answer, "line")),
      .message = json_string_value(json_object_get(answer, "message")),
      .traceback = json_string_value(json_object_get(answer, "traceback")),
  };
  wr_excerpt_print(stderr, &e);
  long long active = json_integer_value(json_object_get(answer, "generation"));
  if (active > 0) {
    fprintf(stderr, "reload rejected: generation %lld stays active (0 requests affected)\n",
            active);
  } else {
    fprintf(stderr, "reload rejected: no generation is active\n");
  }
}

static void print_other(const struct wr_options *o, long status, const json_t *answer)
{
  const char *message = json_string_value(json_object_get(answer, "message"));
  fprintf(stderr, "weir %s: weir answered with status %ld", o->verb->name, status);
  if (message != NULL) fputs(": ", stderr);
  wr_style_text(stderr, message ? message : "");
  fputc('\n', stderr);
}

static int exit_code_of(long status)
{
  if (status == STATUS_OK) return WR_EXIT_OK;
  return status == STATUS_REJECTED ? WR_EXIT_INVALID : WR_EXIT_FAILED;
}

static void print_answer(const struct wr_options *o, const struct wr_client_reply *reply)
{
  json_t *answer = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  const char *result = json_string_value(json_object_get(answer, "result"));
  if (reply->status == STATUS_OK && result != NULL && strcmp(result, "dry_run") == 0) {
    print_dry(answer);
  } else if (reply->status == STATUS_OK) {
    print_live(answer);
  } else if (reply->status == STATUS_REJECTED) {
    print_rejected(answer);
  } else {
    print_other(o, reply->status, answer);
  }
  json_decref(answer);
}

int wr_cli_reload(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *target = wr_options_get(&o, "force") != NULL ? "/reload?force=1" : "/reload";
  if (wr_options_get(&o, "dry-run") != NULL) target = "/reload?dry_run=1";
  struct wr_client_request request = {"POST", target, TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(&o, &request, &reply);
  if (failed) return failed;
  if (wr_options_get(&o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else {
    print_answer(&o, &reply);
  }
  wr_buf_fini(&reply.body);
  return exit_code_of(reply.status);
}
