#include "cli/answer.h"

#include "base/check.h"
#include "cli/excerpt.h"
#include "cli/style.h"

#include <jansson.h>
#include <string.h>

enum { STATUS_OK = 200, STATUS_REJECTED = 422 };

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

// How the two generations of a canary fared.
static void print_group(const char *name, const json_t *group)
{
  if (group == NULL) return;
  printf("%-9s %lld requests", name, json_integer_value(json_object_get(group, "requests")));
  static const char *const counts[] = {"raised", "failed", "refused", "slow"};
  for (size_t i = 0; i < WR_COUNT(counts); i++) {
    printf(", %lld %s", json_integer_value(json_object_get(group, counts[i])), counts[i]);
  }
  putchar('\n');
}

static void print_groups(const json_t *answer)
{
  print_group("canary", json_object_get(answer, "canary"));
  print_group("baseline", json_object_get(answer, "baseline"));
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

static void print_files(const json_t *files, const char *mark)
{
  for (size_t i = 0; i < json_array_size(files); i++) {
    const char *path = json_string_value(json_array_get(files, i));
    fputs(mark, stdout);
    wr_style_text(stdout, path ? path : "");
    putchar('\n');
  }
}

// "policy 'pay': retry  max=2 backoff=50ms"
static void print_declared(const json_t *thing)
{
  const char *key;
  json_t *value;
  const char *what = json_string_value(json_object_get(thing, "what"));
  wr_style_text(stdout, what ? what : "");
  json_object_foreach(json_object_get(thing, "options"), key, value)
  {
    const char *text = json_string_value(value);
    fputs("  ", stdout);
    wr_style_text(stdout, key);
    putchar('=');
    wr_style_text(stdout, text ? text : "");
  }
  putchar('\n');
}

static void print_changes(const json_t *answer)
{
  const json_t *files = json_object_get(answer, "files");
  const json_t *changes = json_object_get(answer, "changes");
  print_files(files, "~ file ");
  for (size_t i = 0; i < json_array_size(changes); i++) print_change(json_array_get(changes, i));
  puts(json_array_size(files) == 0 ? "nothing would change" : "it would load; nothing was changed");
}

static void print_shown(const json_t *answer)
{
  const json_t *declared = json_object_get(answer, "declared");
  print_files(json_object_get(answer, "files"), "file ");
  for (size_t i = 0; i < json_array_size(declared); i++) {
    print_declared(json_array_get(declared, i));
  }
}

static void print_rejected(const struct wr_options *o, const json_t *answer)
{
  struct wr_excerpt e = {
      .stage = json_string_value(json_object_get(answer, "stage")),
      .file = json_string_value(json_object_get(answer, "file")),
      .line = (int)json_integer_value(json_object_get(answer, "line")),
      .message = json_string_value(json_object_get(answer, "message")),
      .traceback = json_string_value(json_object_get(answer, "traceback")),
  };
  print_groups(answer);
  wr_excerpt_print(stderr, &e);
  long long active = json_integer_value(json_object_get(answer, "generation"));
  if (active > 0) {
    bool is_canary = json_object_get(answer, "canary") != NULL;
    fprintf(stderr, "%s rejected: generation %lld stays active%s\n", o->verb->name, active,
            is_canary ? "" : " (0 requests affected)");
  } else {
    fprintf(stderr, "%s rejected: no generation is active\n", o->verb->name);
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

// "breaker 'pay'  1200 calls, 34 refused by it only, 0 by the live one only"
static void print_decision(const json_t *d)
{
  const char *kind = json_string_value(json_object_get(d, "kind"));
  const char *name = json_string_value(json_object_get(d, "name"));
  printf("%s '", kind ? kind : "-");
  wr_style_text(stdout, name ? name : "");
  printf("'  %lld calls, %lld refused by it only, %lld by the live one only\n",
         json_integer_value(json_object_get(d, "asked")),
         json_integer_value(json_object_get(d, "stricter")),
         json_integer_value(json_object_get(d, "looser")));
}

static void print_shadowed(const json_t *answer)
{
  const json_t *decisions = json_object_get(answer, "decisions");
  for (size_t i = 0; i < json_array_size(decisions); i++) {
    print_decision(json_array_get(decisions, i));
  }
  if (json_array_size(decisions) == 0) puts("it declares nothing that refuses calls");
  printf("generation %lld stays live: it was only a shadow\n",
         json_integer_value(json_object_get(answer, "generation")));
}

static void print_done(const json_t *answer)
{
  const char *result = json_string_value(json_object_get(answer, "result"));
  if (result != NULL && strcmp(result, "changes") == 0) {
    print_changes(answer);
  } else if (result != NULL && strcmp(result, "shown") == 0) {
    print_shown(answer);
  } else if (result != NULL && strcmp(result, "shadowed") == 0) {
    print_shadowed(answer);
  } else {
    print_groups(answer);
    print_live(answer);
  }
}

static void print_answer(const struct wr_options *o, const struct wr_client_reply *reply)
{
  json_t *answer = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  if (reply->status == STATUS_OK) {
    print_done(answer);
  } else if (reply->status == STATUS_REJECTED) {
    print_rejected(o, answer);
  } else {
    print_other(o, reply->status, answer);
  }
  json_decref(answer);
}

int wr_answer_ask(const struct wr_options *o, const struct wr_client_request *request)
{
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, request, &reply);
  if (failed) return failed;
  if (wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else {
    print_answer(o, &reply);
  }
  wr_buf_fini(&reply.body);
  return exit_code_of(reply.status);
}
