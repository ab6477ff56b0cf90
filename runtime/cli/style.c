#include "cli/style.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_colour(FILE *out)
{
  const char *no_color = getenv("NO_COLOR");
  if (no_color != NULL && no_color[0] != '\0') return false;
  const char *term = getenv("TERM");
  if (term != NULL && strcmp(term, "dumb") == 0) return false;
  return isatty(fileno(out)) == 1;
}

struct wr_style wr_style_of(FILE *out)
{
  if (!wants_colour(out)) return (struct wr_style){"", "", "", "", "", ""};
  return (struct wr_style){"\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"};
}

void wr_style_text(FILE *out, const char *text)
{
  for (const char *c = text; *c != '\0'; c++) {
    bool is_control = ((unsigned char)*c < ' ' && *c != '\n') || *c == 127;
    fputc(*c == '\t' ? ' ' : is_control ? '?' : *c, out);
  }
}
