#include "http/conditional.h"

#include "base/check.h"
#include "resilience/retry_after.h"

static bool is_weak(struct wr_str tag)
{
  return tag.len >= 2 && tag.ptr[0] == 'W' && tag.ptr[1] == '/';
}

static struct wr_str opaque(struct wr_str tag)
{
  return is_weak(tag) ? (struct wr_str){tag.ptr + 2, tag.len - 2} : tag;
}

bool wr_conditional_weak_match(struct wr_str a, struct wr_str b)
{
  return a.len > 0 && wr_str_eq(opaque(a), opaque(b));
}

// Cuts the next entity tag off: commas inside of its quotes are its own.
static struct wr_str next_tag(struct wr_str *rest)
{
  bool in_quotes = false;
  size_t len = 0;
  for (; len < rest->len; len++) {
    if (rest->ptr[len] == '"') in_quotes = !in_quotes;
    if (rest->ptr[len] == ',' && !in_quotes) break;
  }
  struct wr_str tag = wr_str_trim((struct wr_str){rest->ptr, len});
  len += len < rest->len;
  rest->ptr += len;
  rest->len -= len;
  return tag;
}

static bool any_match(const struct wr_headers *request, struct wr_str stored)
{
  size_t at = 0;
  struct wr_str rest;
  while ((rest = wr_headers_each(request, WR_STR("If-None-Match"), &at)).ptr != NULL) {
    while (rest.len > 0) {
      struct wr_str tag = next_tag(&rest);
      if (wr_str_eq(tag, WR_STR("*"))) return true;
      if (stored.ptr && wr_conditional_weak_match(tag, stored)) return true;
    }
  }
  return false;
}

bool wr_conditional_not_modified(const struct wr_headers *request, const struct wr_headers *stored,
                                 int64_t wall_s)
{
  if (wr_headers_get(request, WR_STR("If-None-Match")).ptr != NULL) {
    return any_match(request, wr_headers_get(stored, WR_STR("ETag")));
  }
  int64_t since = 0;
  int64_t modified = 0;
  struct wr_str asked = wr_headers_get(request, WR_STR("If-Modified-Since"));
  if (asked.ptr == NULL || !wr_retry_after_date(asked, wall_s, &since)) return false;
  struct wr_str last = wr_headers_get(stored, WR_STR("Last-Modified"));
  if (last.ptr == NULL) last = wr_headers_get(stored, WR_STR("Date"));
  if (last.ptr == NULL || !wr_retry_after_date(last, wall_s, &modified)) return false;
  return modified <= since;
}

// --- ranges -------------------------------------------------------------------------------------

// If-Range: a strong tag that is the same, or the very date of Last-Modified.
static bool is_same_thing(const struct wr_headers *request, const struct wr_headers *stored)
{
  struct wr_str asked = wr_headers_get(request, WR_STR("If-Range"));
  if (asked.ptr == NULL) return true;
  asked = wr_str_trim(asked);
  bool is_tag = is_weak(asked) || (asked.len > 0 && asked.ptr[0] == '"');
  if (!is_tag) return wr_str_eq(asked, wr_headers_get(stored, WR_STR("Last-Modified")));
  struct wr_str tag = wr_headers_get(stored, WR_STR("ETag"));
  return !is_weak(asked) && !is_weak(tag) && wr_str_eq(asked, tag);
}

// Digits up to a number that no body has.
static bool read_offset(struct wr_str text, uint64_t *out)
{
  if (text.len == 0) return false;
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    if (value > INT64_MAX / 16) value = INT64_MAX / 16;
  }
  *out = value;
  return true;
}

// "-n": the last n bytes.
static enum wr_conditional_range read_suffix(struct wr_str count, uint64_t length,
                                             struct wr_conditional_part *part)
{
  uint64_t wanted = 0;
  if (!read_offset(count, &wanted)) return WR_CONDITIONAL_WHOLE;
  if (wanted == 0 || length == 0) return WR_CONDITIONAL_UNSATISFIABLE;
  *part = (struct wr_conditional_part){wanted < length ? length - wanted : 0, length - 1};
  return WR_CONDITIONAL_PART;
}

// "a-b", "a-" or "-n" of a body of `length` bytes.
static enum wr_conditional_range read_spec(struct wr_str spec, uint64_t length,
                                           struct wr_conditional_part *part)
{
  struct wr_str last = wr_str_trim(spec);
  if (last.len == 0 || memchr(last.ptr, '-', last.len) == NULL) return WR_CONDITIONAL_WHOLE;
  struct wr_str first = wr_str_split(&last, '-');
  if (first.len == 0) return read_suffix(last, length, part);
  uint64_t from = 0;
  uint64_t to = INT64_MAX;
  bool is_read = read_offset(first, &from) && (last.len == 0 || read_offset(last, &to));
  if (!is_read || to < from) return WR_CONDITIONAL_WHOLE;
  if (from >= length) return WR_CONDITIONAL_UNSATISFIABLE;
  *part = (struct wr_conditional_part){from, to < length ? to : length - 1};
  return WR_CONDITIONAL_PART;
}

enum wr_conditional_range wr_conditional_read_range(const struct wr_headers *request,
                                                    const struct wr_headers *stored,
                                                    uint64_t length,
                                                    struct wr_conditional_part *part)
{
  struct wr_str value = wr_headers_get(request, WR_STR("Range"));
  if (value.ptr == NULL || !is_same_thing(request, stored)) return WR_CONDITIONAL_WHOLE;
  struct wr_str specs = wr_str_trim(value);
  struct wr_str unit = {specs.ptr, 0};
  if (specs.len > 0 && memchr(specs.ptr, '=', specs.len)) unit = wr_str_split(&specs, '=');
  if (!wr_str_eq_nocase(unit, WR_STR("bytes")) || specs.len == 0) return WR_CONDITIONAL_WHOLE;
  if (memchr(specs.ptr, ',', specs.len)) return WR_CONDITIONAL_WHOLE;
  return read_spec(specs, length, part);
}

void wr_conditional_strip(struct wr_headers *stored)
{
  static const char *const gone[] = {"Content-Type", "Content-Encoding", "Content-Language",
                                     "Content-Range", "Content-MD5"};
  for (size_t i = 0; i < WR_COUNT(gone); i++) wr_headers_remove(stored, wr_str_of(gone[i]));
  if (wr_headers_get(stored, WR_STR("ETag")).ptr) {
    wr_headers_remove(stored, WR_STR("Last-Modified"));
  }
}
