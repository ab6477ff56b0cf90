#pragma once
/// An ordered list of header fields: duplicates kept, names compared without case, written as
/// given.
///
/// Names and values are slices: either into the head that was parsed, or copies in the region given
/// at init. Both live as long as the exchange. One task's own.

#include "base/region.h"
#include "http/field.h"

#include <stdint.h>

struct wr_header {
  struct wr_str name;
  struct wr_str value;
  enum wr_field field; ///< which one it is; kept by the functions below and the parser
  bool is_sound;       ///< name and value were parsed, so their grammar need not be looked at again
};

struct wr_headers {
  struct wr_header *items; ///< read-only
  size_t count;            ///< read-only
  size_t cap;
  size_t max; ///< most fields it will hold
  struct wr_region *region;
  uint64_t known; // private: a bit for each field (enum wr_field) that was added
};

/// Starts empty; the list and its copies live in `region`.
void wr_headers_init(struct wr_headers *h, struct wr_region *region, size_t max);

/// Takes over `count` fields from `items`, which live in the region. Only for a list that is empty.
void wr_headers_adopt(struct wr_headers *h, struct wr_header *items, size_t count);

/// Appends a field whose bytes the caller keeps alive. False when the list or the region is full.
bool wr_headers_add(struct wr_headers *h, struct wr_str name, struct wr_str value);

/// Appends a field of another list as it is; its slices are shared. False when the list or the
/// region is full.
bool wr_headers_share(struct wr_headers *h, const struct wr_header *field);

/// Appends a field, copying name and value. False when the list or the region is full.
bool wr_headers_add_copy(struct wr_headers *h, struct wr_str name, struct wr_str value);

/// Replaces the slices of all fields by copies in the region, in one piece. False when it is full;
/// then nothing is changed.
bool wr_headers_own(struct wr_headers *h);

/// Replaces all fields of that name by one copy at the place of the first. False when full.
bool wr_headers_set_copy(struct wr_headers *h, struct wr_str name, struct wr_str value);

/// The same, but borrowed: the caller keeps name and value alive.
bool wr_headers_set(struct wr_headers *h, struct wr_str name, struct wr_str value);

/// The same for a field of the table, under its name there.
bool wr_headers_put(struct wr_headers *h, enum wr_field field, struct wr_str value);

/// Removes all fields of that name; returns how many there were.
size_t wr_headers_remove(struct wr_headers *h, struct wr_str name);

/// False when there surely is no such field.
static inline bool wr_headers_may_have(const struct wr_headers *h, enum wr_field field)
{
  return (h->known >> field & 1) != 0;
}

/// The first value of a field of the table, or the absent slice.
struct wr_str wr_headers_value(const struct wr_headers *h, enum wr_field field);

/// Removes all of a field of the table.
void wr_headers_drop(struct wr_headers *h, enum wr_field field);

/// Value of the first field of that name, or the absent slice.
struct wr_str wr_headers_get(const struct wr_headers *h, struct wr_str name);

/// Walks the values of one name: start with `*at` = 0; the absent slice at the end.
struct wr_str wr_headers_each(const struct wr_headers *h, struct wr_str name, size_t *at);

/// Does any element of the comma-separated lists under `name` equal `token`, ignoring case?
bool wr_headers_has_token(const struct wr_headers *h, struct wr_str name, struct wr_str token);

/// RFC 9110 5.6.2 token: what a field name or a method must be.
bool wr_headers_is_token(struct wr_str s);

/// RFC 9110 5.5 field value without obs-fold: no CR, LF, NUL or other control but tab; no white
/// space at either end.
bool wr_headers_is_value(struct wr_str s);

/// Are name and value such as may be sent? Looked at only when they were not parsed.
bool wr_headers_is_sound(const struct wr_header *field);

/// Hop-by-hop (RFC 9110 7.6.1) or framing: WR_FIELD_IS_HOP in tables/fields.def. Owned by C on both
/// sides; scripts cannot set them.
bool wr_headers_is_hop(struct wr_str name);

/// May a field of that name follow a body (RFC 9110 6.5.1)? Not what frames, routes, authenticates,
/// controls a cache or says how to read the content: it would come too late, or past a check.
bool wr_headers_is_trailer(struct wr_str name);

/// Copies to `out` the fields of `in` that may cross the gateway: no hop-by-hop field, and none
/// named by a Connection field — except that a peer cannot thus delete what we rely on
/// (WR_FIELD_IS_KEPT, Content-*, X-Forwarded-*…: RFC 9110 7.6.1 forbids naming end-to-end ones).
/// Slices are shared, not copied. False when `out` is full.
bool wr_headers_forwardable(const struct wr_headers *in, struct wr_headers *out);
