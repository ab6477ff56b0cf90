#include "cli/columns.h"

#include "base/alloc.h"
#include "base/check.h"
#include "cli/style.h"

#include <stdarg.h>
#include <string.h>

struct wr_columns_row {
  const char *colour;
  size_t filled;
  char cells[WR_COLUMNS_MAX][WR_COLUMNS_CELL_MAX];
};

void wr_columns_init(struct wr_columns *c, const struct wr_column *columns, size_t width)
{
  WR_CHECK(width <= WR_COLUMNS_MAX);
  *c = (struct wr_columns){.columns = columns, .width = width};
}

void wr_columns_fini(struct wr_columns *c)
{
  wr_free(c->rows);
  c->rows = NULL;
}

void wr_columns_row(struct wr_columns *c, const char *colour)
{
  if (c->count == c->cap) {
    c->cap = c->cap ? c->cap * 2 : 8;
    c->rows = wr_realloc(c->rows, c->cap * sizeof(*c->rows));
  }
  c->rows[c->count++] = (struct wr_columns_row){.colour = colour};
}

static bool is_continuation(char c)
{
  return ((unsigned char)c & 0xC0) == 0x80;
}

// Takes the rest of a character off that was cut.
static void end_at_character(char *text)
{
  size_t len = strlen(text);
  while (len > 0 && is_continuation(text[len - 1])) len--;
  if (len > 0) text[len - 1] = '\0';
}

void wr_columns_cell(struct wr_columns *c, const char *format, ...)
{
  struct wr_columns_row *row = &c->rows[c->count - 1];
  WR_CHECK(row->filled < c->width);
  char *cell = row->cells[row->filled++];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(cell, WR_COLUMNS_CELL_MAX, format, args);
  va_end(args);
  if (len >= WR_COLUMNS_CELL_MAX) end_at_character(cell);
  for (char *at = strchr(cell, '\n'); at != NULL; at = strchr(at, '\n')) *at = ' ';
}

// Columns on the screen, for text whose characters are one wide.
static size_t width_of(const char *text)
{
  size_t width = 0;
  for (; *text != '\0'; text++) width += !is_continuation(*text);
  return width;
}

static size_t widest(const struct wr_columns *c, size_t column)
{
  size_t width = width_of(c->columns[column].head);
  for (size_t i = 0; i < c->count; i++) {
    size_t cell = width_of(c->rows[i].cells[column]);
    if (cell > width) width = cell;
  }
  return width;
}

static void print_cell(const struct wr_columns *c, FILE *out, size_t column, const char *text)
{
  bool is_last = column + 1 == c->width;
  int room = (int)(widest(c, column) - width_of(text));
  bool is_number = c->columns[column].is_number;
  fprintf(out, "  %*s", is_number ? room : 0, "");
  wr_style_text(out, text);
  fprintf(out, "%*s", is_number || is_last ? 0 : room, "");
}

void wr_columns_print(const struct wr_columns *c, FILE *out, const struct wr_style *style,
                      const char *title)
{
  if (c->count == 0) return;
  fprintf(out, "\n%s%s%s\n%s", style->bold, title, style->reset, style->dim);
  for (size_t j = 0; j < c->width; j++) print_cell(c, out, j, c->columns[j].head);
  fprintf(out, "%s\n", style->reset);
  for (size_t i = 0; i < c->count; i++) {
    fputs(c->rows[i].colour, out);
    for (size_t j = 0; j < c->width; j++) print_cell(c, out, j, c->rows[i].cells[j]);
    fprintf(out, "%s\n", c->rows[i].colour[0] ? style->reset : "");
  }
}
