#pragma once
/// Which lines of the log somebody wants: `status>=500 and route=="/pay"`.
///
/// A query compares fields of a JSON object with numbers, texts, true, false and null by == != < <=
/// > >= and ~ (a text that contains another), joined by and, or, not and parentheses (&&, || and !
/// too). A field alone asks whether it is there and neither false nor null; `fields.name` looks
/// into an object. Numbers compare with numbers and texts with texts; anything else, and a field
/// that is not there, is unequal and neither smaller nor larger.

#include "base/error.h"

enum { WR_QUERY_DEPTH_MAX = 100 }; ///< parentheses and `not` inside each other

struct json_t; // of jansson
struct wr_query;

/// Reads a query; `text` must outlive it. NULL with `error` set: what is wrong, and at which
/// column.
struct wr_query *wr_query_new(const char *text, struct wr_error *error);

/// NULL is fine.
void wr_query_free(struct wr_query *q);

/// Does the object fit? NULL fits everything.
bool wr_query_fits(const struct wr_query *q, const struct json_t *object);
