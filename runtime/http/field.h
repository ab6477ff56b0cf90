#pragma once
/// The header fields that weir knows by name (tables/fields.def). A name is looked up once, when
/// its field is read or added; from then on a number stands for it. Pure; any thread.

#include "base/str.h"

#include <stdint.h>

enum wr_field {
  WR_FIELD_OTHER, ///< none of the table
#define WR_FIELD(name, text, rules, doc) WR_FIELD_##name,
#include "tables/fields.def"
#undef WR_FIELD
  WR_FIELD_COUNT
};

/// What a field may be, see tables/fields.def.
enum wr_field_rule {
  WR_FIELD_IS_HOP = 1,
  WR_FIELD_IS_KEPT = 2,
  WR_FIELD_IS_EARLY = 4,
};

/// The field of that name, whatever its case.
enum wr_field wr_field_of(struct wr_str name);

/// Its name as it is written; "" for OTHER. Constant text.
struct wr_str wr_field_name(enum wr_field field);

/// The rules of each field, or-ed.
extern const uint8_t wr_field_rules[WR_FIELD_COUNT];

static inline bool wr_field_is(enum wr_field field, enum wr_field_rule rule)
{
  return (wr_field_rules[field] & rule) != 0;
}
