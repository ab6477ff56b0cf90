#include "cli/age.h"
#include "cli/client.h"
#include "cli/sections.h"
#include "cli/style.h"

#include <string.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200 };

// The head

static void print_text(const char *before, const char *text, const char *after)
{
  fputs(before, stdout);
  wr_style_text(stdout, text);
  fputs(after, stdout);
}

static void print_process(const json_t *status, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  const json_t *ready = json_object_get(status, "ready");
  const char *colour = json_is_true(ready) ? style->green : style->red;
  const char *word = json_is_true(ready) ? "ready" : json_is_false(ready) ? "not ready" : "-";
  print_text("weir ", wr_sections_text(status, "version"), "  ");
  printf("%s%s%s  pid %lld  up %s\n", colour, word, style->reset,
         json_integer_value(json_object_get(status, "pid")),
         wr_age_text(json_object_get(status, "uptime_s"), age));
}

static void print_generation(const json_t *status, const struct wr_style *style)
{
  const json_t *g = json_object_get(status, "generation");
  if (!json_is_object(g)) return;
  char age[WR_AGE_SIZE];
  printf("generation %lld", json_integer_value(json_object_get(g, "number")));
  print_text("  ", wr_sections_text(g, "file"), "");
  print_text("  hash ", wr_sections_text(g, "hash"), "");
  printf("  live for %s", wr_age_text(json_object_get(g, "age_s"), age));
  long long strikes = json_integer_value(json_object_get(g, "strikes"));
  if (strikes > 0) printf("  %s%lld strikes%s", style->red, strikes, style->reset);
  bool is_quarantined = json_is_true(json_object_get(g, "quarantined"));
  if (is_quarantined) printf("  %squarantined%s", style->red, style->reset);
  fputc('\n', stdout);
}

// One that is not confined although it should be is nobody's wish: red.
static void print_confinement(const json_t *status, const struct wr_style *style)
{
  const json_t *c = json_object_get(status, "confinement");
  if (!json_is_object(c)) return;
  size_t workers = json_array_size(json_object_get(status, "workers"));
  long long confined = json_integer_value(json_object_get(c, "workers"));
  const char *capabilities = json_string_value(json_object_get(c, "master_capabilities"));
  if (!json_is_true(json_object_get(c, "on"))) {
    printf("confinement  %soff%s", style->yellow, style->reset);
  } else {
    const char *colour = (size_t)confined < workers ? style->red : "";
    printf("confinement  %s%lld of %zu workers%s", colour, confined, workers, style->reset);
  }
  printf("  uid %lld", json_integer_value(json_object_get(c, "uid")));
  bool keeps = capabilities != NULL && capabilities[0] != '\0';
  if (keeps) print_text("  master keeps ", capabilities, "");
  fputc('\n', stdout);
}

static void print_last_reload(const json_t *status, const struct wr_style *style)
{
  const json_t *last = json_object_get(status, "last_reload");
  if (!json_is_object(last)) return;
  const char *result = wr_sections_text(last, "result");
  const char *message = json_string_value(json_object_get(last, "message"));
  printf("last reload  %s", strcmp(result, "failed") == 0 ? style->red : "");
  wr_style_text(stdout, result);
  printf("%s", style->reset);
  if (message != NULL && message[0] != '\0') print_text(": ", message, "");
  fputc('\n', stdout);
}

// Of those that left something to see.
static void print_upgrades(const json_t *status, const struct wr_style *style)
{
  const json_t *upgrades = json_object_get(status, "upgrades");
  const char *stage = wr_sections_text(upgrades, "stage");
  const char *message = json_string_value(json_object_get(upgrades, "message"));
  if (strcmp(stage, "draining") == 0) {
    printf("upgrade      done: %lld workers of the program before still finish what they have\n",
           json_integer_value(json_object_get(upgrades, "leaving")));
  } else if (message != NULL && message[0] != '\0') {
    printf("upgrade      %sfailed%s", style->red, style->reset);
    print_text(": ", message, "\n");
  } else if (json_is_object(upgrades) && strcmp(stage, "none") != 0) {
    print_text("upgrade      under way: ", stage, "\n");
  }
}

static void print_sections(const struct wr_section *sections, const json_t *status,
                           const struct wr_style *style)
{
  for (; sections->key != NULL; sections++) wr_sections_print(sections, status, stdout, style);
}

static int print_status(const struct wr_options *o, struct wr_str body)
{
  json_error_t problem;
  json_t *status = json_loadb(body.ptr, body.len, 0, &problem);
  if (!json_is_object(status)) {
    json_decref(status);
    wr_options_refuse(o, "the answer is not a JSON object: is that address weir's?");
    return WR_EXIT_FAILED;
  }
  struct wr_style style = wr_style_of(stdout);
  print_process(status, &style);
  print_generation(status, &style);
  print_confinement(status, &style);
  print_last_reload(status, &style);
  print_upgrades(status, &style);
  print_sections(wr_sections_process, status, &style);
  print_sections(wr_sections_primitives, status, &style);
  json_decref(status);
  return WR_EXIT_OK;
}

int wr_cli_status(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct wr_client_request request = {.method = "GET", .path = "/status", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  int code = wr_client_ask(&o, &request, &reply);
  if (code) return code;
  struct wr_str body = wr_buf_str(&reply.body);
  if (reply.status != STATUS_OK) {
    wr_options_refuse(&o, "weir answered with status %ld", reply.status);
    code = WR_EXIT_FAILED;
  } else if (wr_options_get(&o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(body));
  } else {
    code = print_status(&o, body);
  }
  wr_buf_fini(&reply.body);
  return code;
}
