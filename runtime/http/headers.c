#include "http/headers.h"

#include "base/check.h"
#include "http/chars.h"

// A browser's request fits without growing; a large one doubles a few times.
enum { FIRST_CAP = 16 };

// The kind of a name, as one bit: most names that are looked for are not there, and are like none
// that is.
static uint64_t kind_of(struct wr_str name)
{
  if (name.len == 0) return 1;
  unsigned first = (unsigned char)name.ptr[0] | 0x20;
  return UINT64_C(1) << ((name.len * 5 + first) % 64);
}

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
  for (size_t i = 0; i < count; i++) h->likes |= kind_of(items[i].name);
}

bool wr_headers_add(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  if (h->count >= h->max) return false;
  if (h->count == h->cap && !grow(h)) return false;
  h->items[h->count++] = (struct wr_header){name, value};
  h->likes |= kind_of(name);
  return true;
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

// Removes the fields of that name from index `from` on.
static size_t remove_from(struct wr_headers *h, struct wr_str name, size_t from)
{
  if (!(h->likes & kind_of(name))) return 0;
  size_t kept = from;
  for (size_t i = from; i < h->count; i++) {
    if (!wr_str_eq_nocase(h->items[i].name, name)) h->items[kept++] = h->items[i];
  }
  size_t removed = h->count - kept;
  h->count = kept;
  return removed;
}

static size_t find(const struct wr_headers *h, struct wr_str name, size_t from)
{
  if (!(h->likes & kind_of(name))) return h->count;
  size_t i = from;
  while (i < h->count && !wr_str_eq_nocase(h->items[i].name, name)) i++;
  return i;
}

bool wr_headers_set(struct wr_headers *h, struct wr_str name, struct wr_str value)
{
  size_t first = find(h, name, 0);
  if (first == h->count) return wr_headers_add(h, name, value);
  h->items[first] = (struct wr_header){name, value};
  remove_from(h, name, first + 1);
  return true;
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
  return remove_from(h, name, 0);
}

struct wr_str wr_headers_get(const struct wr_headers *h, struct wr_str name)
{
  size_t at = 0;
  return wr_headers_each(h, name, &at);
}

struct wr_str wr_headers_each(const struct wr_headers *h, struct wr_str name, size_t *at)
{
  size_t i = find(h, name, *at);
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

static bool is_listed(const struct wr_str *list, size_t count, struct wr_str name)
{
  for (size_t i = 0; i < count; i++) {
    if (wr_str_eq_nocase(list[i], name)) return true;
  }
  return false;
}

#define NAME(literal)                                                                              \
  {                                                                                                \
    literal, sizeof(literal) - 1                                                                   \
  }

#define HOP_NAMES(X)                                                                               \
  X("Connection")                                                                                  \
  X("Keep-Alive")                                                                                  \
  X("Proxy-Connection")                                                                            \
  X("TE")                                                                                          \
  X("Trailer")                                                                                     \
  X("Transfer-Encoding")                                                                           \
  X("Upgrade")                                                                                     \
  X("Content-Length")                                                                              \
  X("Proxy-Authenticate")                                                                          \
  X("Proxy-Authorization")                                                                         \
  X("HTTP2-Settings")

#define LISTED(literal) NAME(literal),
static const struct wr_str hop_names[] = {HOP_NAMES(LISTED)};
#undef LISTED

// A bit for each length that one of them has: most names need no comparing.
#define LENGTH(literal) | UINT32_C(1) << (sizeof(literal) - 1)
static const uint32_t hop_lengths = 0 HOP_NAMES(LENGTH);
#undef LENGTH

// End-to-end by nature: a Connection field that names one is an attack on what the next hop relies
// on (identity, routing, caching, tracing), so the name is ignored.
static const struct wr_str kept_names[] = {
    NAME("Host"),          NAME("Authorization"), NAME("Cookie"),        NAME("Set-Cookie"),
    NAME("Forwarded"),     NAME("Via"),           NAME("Date"),          NAME("Cache-Control"),
    NAME("X-Real-IP"),     NAME("X-Request-ID"),  NAME("Traceparent"),   NAME("Tracestate"),
    NAME("Expect"),        NAME("Range"),         NAME("Accept"),        NAME("Idempotency-Key"),
    NAME("Age"),           NAME("Vary"),          NAME("ETag"),          NAME("Expires"),
    NAME("Last-Modified"), NAME("Location"),      NAME("Retry-After"),   NAME("Max-Forwards"),
    NAME("Origin"),        NAME("Referer"),       NAME("If-Match"),      NAME("If-None-Match"),
    NAME("If-Range"),      NAME("User-Agent"),    NAME("Accept-Ranges"), NAME("WWW-Authenticate"),
    NAME("Server"),        NAME("X-Degraded"),    NAME("Pragma"),
};

static const struct wr_str kept_prefixes[] = {
    NAME("Content-"), NAME("X-Forwarded-"), NAME("Access-Control-"),
    NAME("Sec-"),     NAME("X-Request-"),
};

// What a recipient acts upon before the body, or must not take from behind its checks.
static const struct wr_str early_names[] = {
    NAME("Host"),         NAME("Authorization"), NAME("WWW-Authenticate"), NAME("Cookie"),
    NAME("Set-Cookie"),   NAME("Age"),           NAME("Cache-Control"),    NAME("Expires"),
    NAME("Date"),         NAME("Location"),      NAME("Retry-After"),      NAME("Vary"),
    NAME("Warning"),      NAME("Expect"),        NAME("Max-Forwards"),     NAME("Range"),
    NAME("Pragma"),       NAME("Via"),           NAME("Forwarded"),        NAME("X-Real-IP"),
    NAME("X-Request-ID"),
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

static bool is_kept(struct wr_str name)
{
  return begins_with_any(kept_prefixes, WR_COUNT(kept_prefixes), name) ||
         is_listed(kept_names, WR_COUNT(kept_names), name);
}

bool wr_headers_is_trailer(struct wr_str name)
{
  return !wr_headers_is_hop(name) && !is_listed(early_names, WR_COUNT(early_names), name) &&
         !begins_with_any(early_prefixes, WR_COUNT(early_prefixes), name);
}

bool wr_headers_is_hop(struct wr_str name)
{
  if (name.len >= 32 || !(hop_lengths >> name.len & 1)) return false;
  return is_listed(hop_names, WR_COUNT(hop_names), name);
}

bool wr_headers_forwardable(const struct wr_headers *in, struct wr_headers *out)
{
  bool has_options = wr_headers_get(in, WR_STR("Connection")).ptr != NULL;
  for (size_t i = 0; i < in->count; i++) {
    struct wr_str name = in->items[i].name;
    if (wr_headers_is_hop(name)) continue;
    bool is_named = has_options && wr_headers_has_token(in, WR_STR("Connection"), name);
    if (is_named && !is_kept(name)) continue;
    if (!wr_headers_add(out, name, in->items[i].value)) return false;
  }
  return true;
}
