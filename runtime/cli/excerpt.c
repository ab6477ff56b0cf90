#include "cli/excerpt.h"

#include "cli/style.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX = 512, AROUND = 1 }; // a longer line is shown in part

static bool is_given(const char *text)
{
  return text != NULL && text[0] != '\0';
}

// The message without the place that Lua puts before it.
static const char *message_of(const struct wr_excerpt *e)
{
  if (!is_given(e->message)) return "no message";
  char place[LINE_MAX];
  int len = snprintf(place, sizeof(place), "%s:%d: ", e->file ? e->file : "", e->line);
  bool has_place =
      len > 0 && (size_t)len < sizeof(place) && strncmp(e->message, place, (size_t)len) == 0;
  return has_place ? e->message + len : e->message;
}

static FILE *open_source(const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not hold us
  if (fd < 0) return NULL;
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fdopen(fd, "r");
  close(fd);
  return NULL;
}

// The next line without its end, the part past LINE_MAX skipped. False at the end of the file.
static bool read_line(FILE *file, char out[LINE_MAX])
{
  if (fgets(out, LINE_MAX, file) == NULL) return false;
  size_t len = strcspn(out, "\r\n");
  bool is_whole = out[len] != '\0';
  out[len] = '\0';
  for (int c = 0; !is_whole && c != '\n' && c != EOF;) c = fgetc(file);
  return true;
}

struct span {
  size_t start, len;
};

// What to mark: the first word in quotes in the message that the line has, else all of the line.
static struct span find_culprit(const char *line, const char *message)
{
  for (const char *open = strpbrk(message, "'\""); open != NULL;) {
    const char *close = strchr(open + 1, *open);
    if (close == NULL) break;
    size_t len = (size_t)(close - open) - 1;
    const char *at = len > 0 ? memmem(line, strlen(line), open + 1, len) : NULL;
    if (at != NULL) return (struct span){(size_t)(at - line), len};
    open = strpbrk(close + 1, "'\"");
  }
  size_t start = strspn(line, " \t");
  size_t end = strlen(line);
  while (end > start && isspace((unsigned char)line[end - 1])) end--;
  return (struct span){start, end - start};
}

static bool is_continuation(char c)
{
  return ((unsigned char)c & 0xC0) == 0x80;
}

// One mark per character, not per byte.
static void print_marks(FILE *out, const char *line, struct span span)
{
  for (size_t i = 0; i < span.start; i++) {
    if (!is_continuation(line[i])) fputc(' ', out);
  }
  for (size_t i = span.start; i < span.start + span.len; i++) {
    if (!is_continuation(line[i])) fputc('^', out);
  }
}

static void print_source(FILE *out, const struct wr_style *style, const struct wr_excerpt *e,
                         FILE *file)
{
  char line[LINE_MAX];
  for (int number = 1; number <= e->line + AROUND && read_line(file, line); number++) {
    if (number < e->line - AROUND) continue;
    fprintf(out, "%s%5d |%s ", style->dim, number, style->reset);
    wr_style_text(out, line);
    fputc('\n', out);
    struct span span = find_culprit(line, message_of(e));
    if (number != e->line || span.len == 0) continue;
    fprintf(out, "%s      |%s %s", style->dim, style->reset, style->red);
    print_marks(out, line, span);
    fprintf(out, "%s\n", style->reset);
  }
}

static void print_place(FILE *out, const struct wr_style *style, const struct wr_excerpt *e)
{
  if (!is_given(e->file)) return;
  fprintf(out, "  %s-->%s ", style->dim, style->reset);
  wr_style_text(out, e->file);
  if (e->line > 0) fprintf(out, ":%d", e->line);
  fputc('\n', out);
  FILE *file = e->line > 0 ? open_source(e->file) : NULL;
  if (file == NULL) return;
  print_source(out, style, e, file);
  fclose(file);
}

void wr_excerpt_print(FILE *out, const struct wr_excerpt *e)
{
  struct wr_style style = wr_style_of(out);
  fprintf(out, "%s%serror", style.bold, style.red);
  if (is_given(e->stage)) {
    fputc('[', out);
    wr_style_text(out, e->stage);
    fputc(']', out);
  }
  fprintf(out, "%s: ", style.reset);
  wr_style_text(out, message_of(e));
  fputc('\n', out);
  print_place(out, &style, e);
  if (!is_given(e->traceback)) return;
  fputs(style.dim, out);
  wr_style_text(out, e->traceback);
  fprintf(out, "%s%s", style.reset, e->traceback[strlen(e->traceback) - 1] == '\n' ? "" : "\n");
}
