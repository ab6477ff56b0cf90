#include "cli/options.h"

#include "base/check.h"
#include "cli/help.h"
#include "cli/suggest.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

enum { HELP = 'h', MISSING = ':', UNKNOWN = '?', FIRST = 256 };

int wr_options_refuse(const struct wr_options *o, const char *format, ...)
{
  fprintf(stderr, "weir %s: ", o->verb->name);
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  return WR_EXIT_USAGE;
}

static size_t count_options(const struct wr_verb *verb)
{
  size_t count = 0;
  if (verb->options == NULL) return 0;
  while (verb->options[count].name != NULL) count++;
  WR_CHECK(count <= WR_CLI_OPTIONS_MAX);
  return count;
}

// Says what is wrong with the argument that getopt stumbled over.
static int refuse_option(const struct wr_options *o, const char *typed, const struct option *known)
{
  if (strncmp(typed, "--", 2) != 0) return wr_options_refuse(o, "unknown option '%s'", typed);
  char name[WR_SUGGEST_LEN_MAX + 1] = "";
  size_t len = strcspn(typed + 2, "=");
  if (len < sizeof(name)) memcpy(name, typed + 2, len);
  const char *names[WR_CLI_OPTIONS_MAX + 1];
  size_t count = 0;
  for (; known[count].name != NULL; count++) {
    names[count] = known[count].name;
    if (strcmp(name, names[count]) == 0) {
      return wr_options_refuse(o, "option '--%s' takes no value", name);
    }
  }
  const char *meant = wr_suggest_of(name, names, count);
  if (meant == NULL) return wr_options_refuse(o, "unknown option '%s'", typed);
  return wr_options_refuse(o, "unknown option '--%s' (did you mean '--%s'?)", name, meant);
}

// A letter stands for the only option that begins with it: "-j" for --json.
static void list_letters(const struct wr_verb *verb, size_t count, char out[])
{
  size_t len = 0;
  out[len++] = ':';
  out[len++] = HELP;
  for (size_t i = 0; i < count; i++) {
    char letter = verb->options[i].name[0];
    size_t same = 0;
    for (size_t k = 0; k < count; k++) same += verb->options[k].name[0] == letter;
    if (same > 1 || letter == HELP) continue;
    out[len++] = letter;
    if (verb->options[i].argument) out[len++] = ':';
  }
  out[len] = '\0';
}

// Which option a letter or a number of getopt's stands for.
static size_t option_of(const struct wr_verb *verb, int key)
{
  size_t i = 0;
  if (key >= FIRST) return (size_t)(key - FIRST);
  while (verb->options[i].name[0] != key) i++;
  return i;
}

static bool read_options(struct wr_options *o, int argc, char **argv)
{
  struct option known[WR_CLI_OPTIONS_MAX + 2] = {{NULL, 0, NULL, 0}};
  char letters[2 * WR_CLI_OPTIONS_MAX + 3];
  size_t count = count_options(o->verb);
  list_letters(o->verb, count, letters);
  for (size_t i = 0; i < count; i++) {
    const struct wr_option *option = &o->verb->options[i];
    int has_value = option->argument ? required_argument : no_argument;
    known[i] = (struct option){option->name, has_value, NULL, FIRST + (int)i};
  }
  known[count] = (struct option){"help", no_argument, NULL, HELP};
  opterr = 0;
  optind = 0; // GNU: start anew
  for (int key; (key = getopt_long(argc, argv, letters, known, NULL)) != -1;) {
    if (key == HELP) {
      wr_help_verb(stdout, o->verb);
      return false;
    }
    if (key != MISSING && key != UNKNOWN) {
      o->values[option_of(o->verb, key)] = optarg ? optarg : "";
    } else {
      const char *typed = argv[optind - 1];
      o->exit_code = key == MISSING ? wr_options_refuse(o, "option '%s' needs a value", typed)
                                    : refuse_option(o, typed, known);
      return false;
    }
  }
  return true;
}

bool wr_options_parse(struct wr_options *o, int argc, char **argv)
{
  *o = (struct wr_options){.verb = wr_cli_find(argv[0]), .exit_code = WR_EXIT_OK};
  WR_CHECK(o->verb != NULL);
  if (!read_options(o, argc, argv)) return false;
  o->operands = argv + optind;
  o->operand_count = (size_t)(argc - optind);
  if (o->operand_count < o->verb->operands_min) {
    o->exit_code = wr_options_refuse(o, "%s is missing (usage: weir %s %s)", o->verb->operands,
                                     o->verb->name, o->verb->operands);
  } else if (o->operand_count > o->verb->operands_max) {
    o->exit_code =
        wr_options_refuse(o, "unexpected argument '%s'", o->operands[o->verb->operands_max]);
  }
  return o->exit_code == WR_EXIT_OK;
}

const char *wr_options_get(const struct wr_options *o, const char *name)
{
  size_t count = count_options(o->verb);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(o->verb->options[i].name, name) == 0) return o->values[i];
  }
  WR_UNREACHABLE("an option that the verb does not have");
}

bool wr_options_number(struct wr_options *o, const char *name, uint64_t min, uint64_t max,
                       uint64_t *out)
{
  const char *text = wr_options_get(o, name);
  if (text == NULL) return true;
  uint64_t value = 0;
  bool is_number = text[0] != '\0';
  for (const char *c = text; *c != '\0' && is_number; c++) {
    is_number = *c >= '0' && *c <= '9' && value <= (UINT64_MAX - 9) / 10;
    if (is_number) value = value * 10 + (uint64_t)(*c - '0');
  }
  if (is_number && value >= min && value <= max) {
    *out = value;
    return true;
  }
  o->exit_code = wr_options_refuse(o, "--%s takes a number from %llu to %llu, not '%s'", name,
                                   (unsigned long long)min, (unsigned long long)max, text);
  return false;
}

int wr_options_refuse_action(const struct wr_options *o, const char *typed,
                             const char *const *words, size_t count)
{
  const char *near = wr_suggest_of(typed, words, count);
  if (near) return wr_options_refuse(o, "unknown action '%s' (did you mean '%s'?)", typed, near);
  return wr_options_refuse(o, "unknown action '%s'; weir help %s lists them", typed, o->verb->name);
}
