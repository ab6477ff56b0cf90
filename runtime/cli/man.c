// Manual pages, made from the table of verbs: weir(1), and weir-VERB(1) for each of them.

#include "base/check.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct {
  int code;
  const char *meaning;
} exits[] = {
    {WR_EXIT_OK, "It is done."},
    {WR_EXIT_FAILED, "There are findings, or it was understood and failed."},
    {WR_EXIT_USAGE, "The command line is wrong."},
    {WR_EXIT_UNREACHABLE, "No running weir answers at the admin address."},
    {WR_EXIT_UNAVAILABLE, "An address could not be listened on."},
    {WR_EXIT_INTERNAL, "A bug of weir."},
    {WR_EXIT_PERMISSION, "That is not permitted."},
    {WR_EXIT_INVALID, "The policy or an option of it is invalid."},
};

static const struct {
  const char *name;
  const char *meaning;
} variables[] = {
    {"WEIR_ADMIN", "The admin address, where --admin is not given."},
    {"XDG_RUNTIME_DIR", "Where the admin socket is when /run/weir is not there."},
    {"NO_COLOR", "No colours, even on a terminal."},
    {"NOTIFY_SOCKET", "Where systemd is told of starts, reloads and stops."},
};

// Text in which roff finds no requests: backslashes and dashes are escaped, and so is what a line
// must not begin with.
static void put(FILE *out, const char *text)
{
  bool begins = true;
  for (; *text != '\0'; text++) {
    if (begins && (*text == '.' || *text == '\'')) fputs("\\&", out);
    begins = *text == '\n';
    switch (*text) {
    case '\\': fputs("\\e", out); break;
    case '-': fputs("\\-", out); break;
    case '\'': fputs("\\(aq", out); break;
    case '`': fputs("\\(ga", out); break;
    case '~': fputs("\\(ti", out); break;
    case '^': fputs("\\(ha", out); break;
    default: fputc(*text, out);
    }
  }
}

// A tagged paragraph: "--json FILE", then what it means.
static void put_item(FILE *out, const char *dashes, const char *name, const char *behind,
                     const char *help)
{
  fputs(".TP\n\\fB", out);
  put(out, dashes);
  put(out, name);
  fputs("\\fR", out);
  if (behind != NULL && behind[0] != '\0') {
    fputs(" \\fI", out);
    put(out, behind);
    fputs("\\fR", out);
  }
  fputc('\n', out);
  put(out, help);
  fputc('\n', out);
}

static void put_head(FILE *out, const char *name, const char *summary)
{
  fputs(".TH ", out);
  for (const char *c = name; *c != '\0'; c++) fputc(*c >= 'a' && *c <= 'z' ? *c - 32 : *c, out);
  fprintf(out, " 1 \"\" \"weir %s\" \"weir\"\n.SH NAME\n", WEIR_VERSION);
  put(out, name);
  fputs(" \\- ", out);
  put(out, summary);
  fputs("\n.SH SYNOPSIS\n\\fBweir\\fR ", out);
}

static void put_exits(FILE *out)
{
  fputs(".SH EXIT STATUS\n", out);
  for (size_t i = 0; i < WR_COUNT(exits); i++) {
    char code[16];
    snprintf(code, sizeof(code), "%d", exits[i].code);
    put_item(out, "", code, "", exits[i].meaning);
  }
}

// weir(1)
static void put_main(FILE *out)
{
  put_head(out, "weir", "serves HTTP through policies written in Lua");
  fputs("\\fIVERB\\fR [\\fIoptions\\fR]\n.SH VERBS\n", out);
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    put_item(out, "", v->name, v->operands, v->summary);
  }
  fputs(".PP\nEach verb has a page of its own, \\fBweir\\-VERB\\fR(1), and an option "
        "\\fB\\-\\-help\\fR.\n.SH ENVIRONMENT\n",
        out);
  for (size_t i = 0; i < WR_COUNT(variables); i++) {
    put_item(out, "", variables[i].name, "", variables[i].meaning);
  }
  put_exits(out);
}

// Notes are lines that somebody wrapped: they stay lines.
static void put_notes(FILE *out, const char *notes)
{
  if (notes == NULL) return;
  fputs(".SH NOTES\n.nf\n", out);
  put(out, notes);
  fputs(".fi\n", out);
}

// weir-VERB(1)
static void put_verb(FILE *out, const struct wr_verb *v)
{
  char name[64];
  struct wr_word word;
  snprintf(name, sizeof(name), "weir-%s", v->name);
  put_head(out, name, v->summary);
  fputs("\\fB", out);
  put(out, v->name);
  fputs("\\fR \\fI", out);
  put(out, v->operands);
  fputs("\\fR [\\fIoptions\\fR]\n", out);
  for (size_t i = 0; wr_words_at(v, i, &word); i++) {
    if (i == 0) fputs(".SH ACTIONS\n", out);
    put_item(out, "", word.name, word.operands, word.help);
  }
  fputs(".SH OPTIONS\n", out);
  for (const struct wr_option *o = v->options; o && o->name; o++) {
    put_item(out, "--", o->name, o->argument, o->help);
  }
  put_item(out, "--", "help", "", "explain it");
  put_notes(out, v->notes);
  put_exits(out);
  fputs(".SH SEE ALSO\n\\fBweir\\fR(1)\n", out);
}

// Writes one page, weir(1) for a verb that is NULL. False when it could not, with errno set.
static bool write_page(const char *folder, const struct wr_verb *v)
{
  char path[PATH_MAX];
  snprintf(path, sizeof(path), "%s/weir%s%s.1", folder, v ? "-" : "", v ? v->name : "");
  FILE *out = fopen(path, "we");
  if (out == NULL) return false;
  v ? put_verb(out, v) : put_main(out);
  return fclose(out) == 0;
}

static int write_pages(const struct wr_options *o, const char *folder)
{
  bool ok = write_page(folder, NULL);
  for (const struct wr_verb *v = wr_cli_verbs; ok && v->name != NULL; v++) {
    ok = write_page(folder, v);
  }
  if (ok) return WR_EXIT_OK;
  wr_options_refuse(o, "cannot write to %s: %s", folder, strerror(errno));
  return WR_EXIT_FAILED;
}

int wr_cli_man(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *folder = wr_options_get(&o, "into");
  if (folder != NULL) return write_pages(&o, folder);
  if (o.operand_count == 0) {
    put_main(stdout);
    return WR_EXIT_OK;
  }
  const struct wr_verb *verb = wr_cli_find(o.operands[0]);
  if (verb == NULL) return wr_help_unknown(o.operands[0]);
  put_verb(stdout, verb);
  return WR_EXIT_OK;
}
