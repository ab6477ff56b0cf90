#include "cli/help.h"

#include "base/check.h"
#include "base/json.h"
#include "cli/options.h"
#include "cli/style.h"
#include "cli/suggest.h"
#include "cli/words.h"

#include <string.h>

enum {
  COLUMN = 22, // where the explanations of options start
  TEXT_MAX = 256 * 1024,
};

static void print_verbs(FILE *out, bool are_kinds, const struct wr_style *style)
{
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    if (wr_words_is_kind(v) != are_kinds) continue;
    fprintf(out, "  %s%-10s%s %s\n", style->bold, v->name, style->reset, v->summary);
  }
}

void wr_help_verbs(FILE *out)
{
  struct wr_style style = wr_style_of(out);
  fprintf(out,
          "%sweir%s serves HTTP through policies written in Lua.\n\nusage: weir VERB [options]\n\n",
          style.bold, style.reset);
  print_verbs(out, false, &style);
  fprintf(out, "\nPrimitives by their kind: weir KIND ls | show NAME | ACTION NAME\n\n");
  print_verbs(out, true, &style);
  fprintf(out, "\n'weir help VERB' explains one of them, 'weir help KIND' too.\n");
}

// "  --json              print the answer as JSON"
static void print_line(FILE *out, const char *dashes, const char *name, const char *behind,
                       const char *help)
{
  int len = fprintf(out, "  %s%s%s%s", dashes, name, behind[0] ? " " : "", behind);
  fprintf(out, "%*s%s\n", len < COLUMN ? COLUMN - len : 2, "", help);
}

static void print_words(FILE *out, const struct wr_verb *verb)
{
  struct wr_word word;
  for (size_t i = 0; wr_words_at(verb, i, &word); i++) {
    if (i == 0) fputc('\n', out);
    print_line(out, "", word.name, word.operands, word.help);
  }
}

void wr_help_verb(FILE *out, const struct wr_verb *verb)
{
  fprintf(out, "usage: weir %s%s%s%s\n\n%s\n", verb->name, verb->operands[0] ? " " : "",
          verb->operands, verb->options ? " [options]" : "", verb->summary);
  print_words(out, verb);
  if (verb->options != NULL) fprintf(out, "\n");
  for (const struct wr_option *o = verb->options; o != NULL && o->name != NULL; o++) {
    print_line(out, "--", o->name, o->argument ? o->argument : "", o->help);
  }
  if (verb->notes != NULL) fprintf(out, "\n%s", verb->notes);
}

static size_t list_verbs(const char *names[WR_SUGGEST_MAX])
{
  size_t count = 0;
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL && count < WR_SUGGEST_MAX; v++) {
    names[count++] = v->name;
  }
  return count;
}

int wr_help_unknown(const char *name)
{
  const char *names[WR_SUGGEST_MAX];
  const char *meant = wr_suggest_of(name, names, list_verbs(names));
  fprintf(stderr, "weir: unknown verb '");
  wr_style_text(stderr, name);
  if (meant != NULL) {
    fprintf(stderr, "' (did you mean '%s'?)\n", meant);
  } else {
    fprintf(stderr, "'; 'weir help' lists the verbs\n");
  }
  return WR_EXIT_USAGE;
}

// As JSON, for what walks all verbs: a program, or a spec.

static void put_words(struct wr_json *j, const struct wr_verb *verb)
{
  struct wr_word word;
  wr_json_key(j, "actions");
  wr_json_array(j);
  for (size_t i = 0; wr_words_at(verb, i, &word); i++) {
    wr_json_object(j);
    wr_json_field_cstr(j, "name", word.name);
    wr_json_field_cstr(j, "operands", word.operands);
    wr_json_field_cstr(j, "help", word.help);
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

static void put_options(struct wr_json *j, const struct wr_verb *verb)
{
  wr_json_key(j, "options");
  wr_json_array(j);
  for (const struct wr_option *o = verb->options; o != NULL && o->name != NULL; o++) {
    wr_json_object(j);
    wr_json_field_cstr(j, "name", o->name);
    wr_json_field_cstr(j, "argument", o->argument);
    wr_json_field_cstr(j, "help", o->help);
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

static void put_verb(struct wr_json *j, const struct wr_verb *verb)
{
  wr_json_object(j);
  wr_json_field_cstr(j, "name", verb->name);
  wr_json_field_cstr(j, "operands", verb->operands);
  wr_json_field_cstr(j, "summary", verb->summary);
  wr_json_field_bool(j, "is_kind", wr_words_is_kind(verb));
  put_words(j, verb);
  put_options(j, verb);
  wr_json_object_end(j);
}

// `only` or all of them.
static void print_json(const struct wr_verb *only)
{
  struct wr_buf text;
  struct wr_json j;
  wr_buf_init(&text, TEXT_MAX);
  wr_json_init(&j, &text);
  wr_json_array(&j);
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    if (only == NULL || v == only) put_verb(&j, v);
  }
  wr_json_array_end(&j);
  WR_CHECK(!j.failed);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&text)));
  wr_buf_fini(&text);
}

int wr_cli_help(int argc, char **argv)
{
  struct wr_options options;
  if (!wr_options_parse(&options, argc, argv)) return options.exit_code;
  bool is_json = wr_options_get(&options, "json") != NULL;
  const struct wr_verb *verb = NULL;
  if (options.operand_count > 0) {
    verb = wr_cli_find(options.operands[0]);
    if (verb == NULL) return wr_help_unknown(options.operands[0]);
  }
  if (is_json) {
    print_json(verb);
  } else if (verb != NULL) {
    wr_help_verb(stdout, verb);
  } else {
    wr_help_verbs(stdout);
  }
  return WR_EXIT_OK;
}
