#include "cli/help.h"

#include "cli/options.h"
#include "cli/style.h"
#include "cli/suggest.h"

#include <string.h>

enum { COLUMN = 22 }; // where the explanations of options start

void wr_help_verbs(FILE *out)
{
  struct wr_style style = wr_style_of(out);
  fprintf(out,
          "%sweir%s serves HTTP through policies written in Lua.\n\nusage: weir VERB [options]\n\n",
          style.bold, style.reset);
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    fprintf(out, "  %s%-9s%s %s\n", style.bold, v->name, style.reset, v->summary);
  }
  fprintf(out, "\n'weir help VERB' explains one of them.\n");
}

static void print_option(FILE *out, const struct wr_option *o)
{
  int len =
      fprintf(out, "  --%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
  fprintf(out, "%*s%s\n", len < COLUMN ? COLUMN - len : 1, "", o->help);
}

void wr_help_verb(FILE *out, const struct wr_verb *verb)
{
  fprintf(out, "usage: weir %s%s%s%s\n\n%s\n", verb->name, verb->operands[0] ? " " : "",
          verb->operands, verb->options ? " [options]" : "", verb->summary);
  if (verb->options != NULL) fprintf(out, "\n");
  for (const struct wr_option *o = verb->options; o != NULL && o->name != NULL; o++) {
    print_option(out, o);
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

int wr_cli_help(int argc, char **argv)
{
  struct wr_options options;
  if (!wr_options_parse(&options, argc, argv)) return options.exit_code;
  if (options.operand_count == 0) {
    wr_help_verbs(stdout);
    return WR_EXIT_OK;
  }
  const struct wr_verb *verb = wr_cli_find(options.operands[0]);
  if (verb == NULL) return wr_help_unknown(options.operands[0]);
  wr_help_verb(stdout, verb);
  return WR_EXIT_OK;
}
