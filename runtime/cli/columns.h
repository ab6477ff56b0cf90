#pragma once
/// A table of text with aligned columns, printed when all of its rows are known.

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct wr_style;

enum { WR_COLUMNS_MAX = 8, WR_COLUMNS_CELL_MAX = 64 };

struct wr_column {
  const char *head;
  bool is_number; ///< aligned to the right
};

struct wr_columns_row;

struct wr_columns {
  const struct wr_column *columns;
  size_t width;                ///< columns in use
  struct wr_columns_row *rows; ///< private
  size_t count, cap;           ///< private
};

/// Starts without rows; `columns` stays the caller's and holds `width` <= WR_COLUMNS_MAX of them.
void wr_columns_init(struct wr_columns *c, const struct wr_column *columns, size_t width);

/// Frees the rows.
void wr_columns_fini(struct wr_columns *c);

/// Starts a row; `colour` is an escape sequence of `struct wr_style` that outlives the table, or
/// "".
void wr_columns_row(struct wr_columns *c, const char *colour);

/// Fills the row's next cell; longer text is cut. Cells that are not filled stay empty.
__attribute__((format(printf, 2, 3))) void wr_columns_cell(struct wr_columns *c, const char *format,
                                                           ...);

/// Prints a title, the heads and the rows; nothing when there is no row.
void wr_columns_print(const struct wr_columns *c, FILE *out, const struct wr_style *style,
                      const char *title);
