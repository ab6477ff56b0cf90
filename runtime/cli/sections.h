#pragma once
/// The lists of a status (`GET /status`), each as a table for people: what `weir status` and
/// `weir top` show. What an answer may lack is shown as "-".

#include "cli/columns.h"
#include "cli/style.h"

#include <jansson.h>

/// Adds one element of a list as a row.
typedef void (*wr_sections_add_fn)(struct wr_columns *c, const json_t *element,
                                   const struct wr_style *style);

/// One list of a status.
struct wr_section {
  const char *key; ///< NULL ends the lists
  const char *of;  ///< the member of the status that has it; NULL: the status itself
  const struct wr_column *columns;
  size_t width;
  size_t least; ///< shown from this many elements
  wr_sections_add_fn add;
};

/// Those about the process and its requests, and those of named primitives: in the order of
/// `weir status`.
extern const struct wr_section wr_sections_process[];
extern const struct wr_section wr_sections_primitives[];

/// Prints one, with its title; nothing when there are too few elements.
void wr_sections_print(const struct wr_section *section, const json_t *status, FILE *out,
                       const struct wr_style *style);

/// Finds one by its key; there must be one.
const struct wr_section *wr_sections_find(const char *key);

/// A text of `object`, "-" when it has none.
const char *wr_sections_text(const json_t *object, const char *key);

/// Cells: that text, a number of `digits` decimals with a unit behind it, a count.
void wr_sections_add_text(struct wr_columns *c, const json_t *object, const char *key);
void wr_sections_add_number(struct wr_columns *c, const json_t *value, int digits,
                            const char *unit);
void wr_sections_add_count(struct wr_columns *c, const json_t *object, const char *key);

/// The same for a share of one, in percent, and for seconds, in milliseconds.
void wr_sections_add_share(struct wr_columns *c, const json_t *value);
void wr_sections_add_ms(struct wr_columns *c, const json_t *value);
