#include "http/headers.h"

#include "base/check.h"
#include "http/chars.h"

// A browser's request fits without growing; a large one doubles a few times.
enum { FIRST_CAP = 16 };

_Static_assert(WR_FIELD_COUNT <= 64, "a bit for each field");

void wr_headers_init(struct wr_headers *h, struct wr_region *region, size_t max)
{
  *h = (struct wr_headers){.region = region, .max = max};
}

static bool grow(struct wr_headers *h)
{
  size_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
  if (cap > h->max) cap = h->max;
  if (cap <= h->count) return false;
  struct wr_header *items = wr_region_take(h->region, cap * sizeof(*items));
  if (items == NULL) return false;
  if (h->count > 0) memcpy(items, h->items, h->count * sizeof(*items));
  h->items = items;
  h->cap = cap;
  return true;
}

void wr_headers_adopt(struct wr_headers *h, struct wr_header *items, size_t count)
{
  WR_CHECK(h->count == 0 && count <= h->max);
  h->items = items;
  h->count = count;
  h->cap = count;
  for (size_t i = 0; i < count; i++) h->known |= UINT64_C(1) << items[i].field;
}

bool wr_headers_share(struct wr_headers *h, const struct wr_header *field)
{
  if (h->count == h->cap && !grow(h)) return false;
  h->items[h->count++] = *field;
  h->known |= UINT64_C(1) << field->field;
  return true;
}

static bool add(struct wr_headers *h, enum wr_field field, struct wr_str name, struct wr_str value)
{
  return wr_headers_share(h, &(struct wr_header){name, value, field, false});
}

bool wr_headers_add(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  return add(h, wr_field_of(name), name, value);
}

// Both or neither: a half-copied field would be a field with another meaning.
static bool copy_field(struct wr_region *region, struct wr_str *name, struct wr_str *value)
{
  struct wr_str name_copy = wr_region_copy(region, *name);
  struct wr_str value_copy = wr_region_copy(region, *value);
  if (name_copy.ptr == NULL || value_copy.ptr == NULL) return false;
  *name = name_copy;
  *value = value_copy;
  return true;
}

bool wr_headers_add_copy(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  if (h->count >= h->max || !copy_field(h->region, &name, &value)) return false;
  return wr_headers_add(h, name, value);
}

static bool is_it(const struct wr_header *h, enum wr_field field, struct wr_str name)
{
  return h->field == field && (field != WR_FIELD_OTHER || wr_str_eq_nocase(h->name, name));
}

// Removes the fields of that name from index `from` on.
static size_t remove_from(struct wr_headers *h, enum wr_field field, struct wr_str name,
                          size_t from)
{
  if (!wr_headers_may_have(h, field)) return 0;
  size_t kept = from;
  for (size_t i = from; i < h->count; i++) {
    if (!is_it(&h->items[i], field, name)) h->items[kept++] = h->items[i];
  }
  size_t removed = h->count - kept;
  h->count = kept;
  return removed;
}

static size_t find(const struct wr_headers *h, enum wr_field field, struct wr_str name, size_t from)
{
  if (!wr_headers_may_have(h, field)) return h->count;
  size_t i = from;
  while (i < h->count && !is_it(&h->items[i], field, name)) i++;
  return i;
}

static bool set(struct wr_headers *h, enum wr_field field, struct wr_str name, struct wr_str value)
{
  size_t first = find(h, field, name, 0);
  if (first == h->count) return add(h, field, name, value);
  h->items[first] = (struct wr_header){name, value, field, false};
  remove_from(h, field, name, first + 1);
  return true;
}

bool wr_headers_set(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  return set(h, wr_field_of(name), name, value);
}

bool wr_headers_put(struct wr_headers *h, enum wr_field field, struct wr_str value)
{
  return set(h, field, wr_field_name(field), value);
}

bool wr_headers_set_copy(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  // `name` may be a slice of the field that is replaced: compare with the copy.
  return copy_field(h->region, &name, &value) && wr_headers_set(h, name, value);
}

static struct wr_str move(struct wr_str s, char **to)
{
  char *at = *to;
  if (s.len > 0) memcpy(at, s.ptr, s.len);
  at[s.len] = '\0';
  *to = at + s.len + 1;
  return (struct wr_str){at, s.len};
}

bool wr_headers_own(struct wr_headers *h)
{
  size_t total = 0;
  for (size_t i = 0; i < h->count; i++) {
    total += h->items[i].name.len + h->items[i].value.len + 2;
  }
  char *at = wr_region_take(h->region, total);
  if (at == NULL) return false;
  for (size_t i = 0; i < h->count; i++) {
    h->items[i].name = move(h->items[i].name, &at);
    h->items[i].value = move(h->items[i].value, &at);
  }
  return true;
}

size_t wr_headers_remove(struct wr_headers *h, struct wr_str name)
{
  return remove_from(h, wr_field_of(name), name, 0);
}

void wr_headers_drop(struct wr_headers *h, enum wr_field field)
{
  remove_from(h, field, wr_field_name(field), 0);
}

struct wr_str wr_headers_value(const struct wr_headers *h, enum wr_field field)
{
  size_t i = find(h, field, wr_field_name(field), 0);
  return i < h->count ? h->items[i].value : (struct wr_str){NULL, 0};
}

struct wr_str wr_headers_get(const struct wr_headers *h, struct wr_str name)
{
  size_t at = 0;
  return wr_headers_each(h, name, &at);
}

struct wr_str wr_headers_each(const struct wr_headers *h, struct wr_str name, size_t *at)
{
  size_t i = find(h, wr_field_of(name), name, *at);
  if (i >= h->count) return (struct wr_str){NULL, 0};
  *at = i + 1;
  return h->items[i].value;
}

bool wr_headers_has_token(const struct wr_headers *h, struct wr_str name, struct wr_str token)
{
  size_t at = 0;
  for (;;) {
    struct wr_str rest = wr_headers_each(h, name, &at);
    if (rest.ptr == NULL) return false;
    while (rest.ptr != NULL) {
      if (wr_str_eq_nocase(wr_str_trim(wr_str_split(&rest, ',')), token)) return true;
    }
  }
}

bool wr_headers_is_token(struct wr_str s)
{
  return s.len > 0 && wr_chars_skip(s.ptr, s.ptr + s.len, WR_CHARS_TOKEN) == s.ptr + s.len;
}

bool wr_headers_is_value(struct wr_str s)
{
  if (s.len == 0) return true;
  if (wr_str_trim(s).len != s.len) return false;
  return wr_chars_skip_field(s.ptr, s.ptr + s.len) == s.ptr + s.len;
}

bool wr_headers_is_sound(const struct wr_header *field)
{
  if (field->is_sound) return true;
  // The names of the table are tokens.
  bool is_named = field->field != WR_FIELD_OTHER || wr_headers_is_token(field->name);
  return is_named && wr_headers_is_value(field->value);
}

#define NAME(literal)                                                                              \
  {                                                                                                \
    literal, sizeof(literal) - 1                                                                   \
  }

// Families of names that are not all in the table: end-to-end by nature, and what must come early.
static const struct wr_str kept_prefixes[] = {
    NAME("Content-"), NAME("X-Forwarded-"), NAME("Access-Control-"),
    NAME("Sec-"),     NAME("X-Request-"),
};

static const struct wr_str early_prefixes[] = {
    NAME("Content-"),
    NAME("X-Forwarded-"),
    NAME("Access-Control-"),
    NAME("If-"),
};

static bool begins_with_any(const struct wr_str *prefixes, size_t count, struct wr_str name)
{
  for (size_t i = 0; i < count; i++) {
    struct wr_str prefix = prefixes[i];
    if (name.len >= prefix.len && wr_str_eq_nocase((struct wr_str){name.ptr, prefix.len}, prefix)) {
      return true;
    }
  }
  return false;
}

bool wr_headers_is_trailer(struct wr_str name)
{
  enum wr_field field = wr_field_of(name);
  if (field != WR_FIELD_OTHER) {
    return !wr_field_is(field, WR_FIELD_IS_HOP) && !wr_field_is(field, WR_FIELD_IS_EARLY);
  }
  return !begins_with_any(early_prefixes, WR_COUNT(early_prefixes), name);
}

bool wr_headers_is_hop(struct wr_str name)
{
  return wr_field_is(wr_field_of(name), WR_FIELD_IS_HOP);
}

static void remove_named(struct wr_headers *out, struct wr_str name)
{
  enum wr_field field = wr_field_of(name);
  bool is_kept = field == WR_FIELD_OTHER
                     ? begins_with_any(kept_prefixes, WR_COUNT(kept_prefixes), name)
                     : wr_field_is(field, WR_FIELD_IS_KEPT);
  if (!is_kept) remove_from(out, field, name, 0);
}

bool wr_headers_forwardable(const struct wr_headers *in, struct wr_headers *out)
{
  for (size_t i = 0; i < in->count; i++) {
    const struct wr_header *field = &in->items[i];
    if (wr_field_is(field->field, WR_FIELD_IS_HOP)) continue;
    if (!wr_headers_share(out, field)) return false;
  }
  if (!wr_headers_may_have(in, WR_FIELD_CONNECTION)) return true;
  for (size_t i = 0; i < in->count; i++) {
    struct wr_str list = in->items[i].value;
    if (in->items[i].field != WR_FIELD_CONNECTION) continue;
    while (list.ptr != NULL) remove_named(out, wr_str_trim(wr_str_split(&list, ',')));
  }
  return true;
}
