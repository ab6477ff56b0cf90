#include "http/vary.h"

#include "base/check.h"

// --- names --------------------------------------------------------------------------------------

// Written by weir on the way, from what it knows: see script/fetch.c.
static bool is_ours(struct wr_str name)
{
  static const char *const ours[] = {"x-forwarded-for",
                                     "x-forwarded-proto",
                                     "x-forwarded-host",
                                     "x-forwarded-port",
                                     "x-real-ip",
                                     "forwarded",
                                     "x-request-id",
                                     "via",
                                     "host",
                                     "x-request-deadline-ms"};
  for (size_t i = 0; i < WR_COUNT(ours); i++) {
    if (wr_str_eq_nocase(name, wr_str_of(ours[i]))) return true;
  }
  return false;
}

static int compare_nocase(struct wr_str a, struct wr_str b)
{
  size_t len = a.len < b.len ? a.len : b.len;
  for (size_t i = 0; i < len; i++) {
    int by = (unsigned char)wr_str_lower(a.ptr[i]) - (unsigned char)wr_str_lower(b.ptr[i]);
    if (by != 0) return by;
  }
  return a.len < b.len ? -1 : a.len > b.len;
}

struct list {
  struct wr_str items[64];
  size_t count;
  size_t max;
};

// Keeps the list sorted without case; what is there already changes nothing.
static bool insert(struct list *l, struct wr_str item)
{
  size_t at = 0;
  while (at < l->count && compare_nocase(l->items[at], item) < 0) at++;
  if (at < l->count && compare_nocase(l->items[at], item) == 0) return true;
  if (l->count == l->max) return false;
  memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof(item));
  l->items[at] = item;
  l->count++;
  return true;
}

static bool append_lower(struct wr_buf *out, struct wr_str s)
{
  char *to = wr_buf_reserve(out, s.len);
  if (to == NULL) return false;
  for (size_t i = 0; i < s.len; i++) to[i] = wr_str_lower(s.ptr[i]);
  wr_buf_grow(out, s.len);
  return true;
}

static bool append_list(struct wr_buf *out, const struct list *l)
{
  for (size_t i = 0; i < l->count; i++) {
    if (i > 0 && !wr_buf_append(out, ",", 1)) return false;
    if (!append_lower(out, l->items[i])) return false;
  }
  return true;
}

bool wr_vary_names(const struct wr_headers *response, struct wr_buf *out)
{
  struct list names = {.max = WR_VARY_NAMES_MAX};
  size_t at = 0;
  struct wr_str rest;
  while ((rest = wr_headers_each(response, WR_STR("Vary"), &at)).ptr != NULL) {
    while (rest.ptr != NULL) {
      struct wr_str name = wr_str_trim(wr_str_split(&rest, ','));
      if (name.len == 0) continue;
      if (wr_str_eq(name, WR_STR("*")) || !wr_headers_is_token(name) || is_ours(name)) return false;
      if (!insert(&names, name)) return false;
    }
  }
  return append_list(out, &names);
}

// --- values -------------------------------------------------------------------------------------

// Fields whose elements have neither case nor order, weights apart.
static bool is_set(struct wr_str name)
{
  return wr_str_eq_nocase(name, WR_STR("accept-language")) ||
         wr_str_eq_nocase(name, WR_STR("accept-encoding")) ||
         wr_str_eq_nocase(name, WR_STR("accept-charset"));
}

// The elements in order, one comma between them.
static bool append_elements(struct wr_str name, const struct wr_headers *request,
                            struct wr_buf *out)
{
  size_t at = 0;
  bool is_first = true;
  struct wr_str rest;
  while ((rest = wr_headers_each(request, name, &at)).ptr != NULL) {
    while (rest.ptr != NULL) {
      struct wr_str element = wr_str_trim(wr_str_split(&rest, ','));
      if (element.len == 0) continue;
      if (!is_first && !wr_buf_append(out, ",", 1)) return false;
      if (!wr_buf_append_str(out, element)) return false;
      is_first = false;
    }
  }
  return true;
}

// A set too large to sort is taken as it is written: it matches less often, and never wrongly.
static bool append_set(struct wr_str name, const struct wr_headers *request, struct wr_buf *out)
{
  struct list set = {.max = WR_COUNT(set.items)};
  size_t at = 0;
  struct wr_str rest;
  while ((rest = wr_headers_each(request, name, &at)).ptr != NULL) {
    while (rest.ptr != NULL) {
      struct wr_str element = wr_str_trim(wr_str_split(&rest, ','));
      if (element.len > 0 && !insert(&set, element)) return append_elements(name, request, out);
    }
  }
  return append_list(out, &set);
}

bool wr_vary_values(struct wr_str names, const struct wr_headers *request, struct wr_buf *out)
{
  while (names.len > 0) {
    struct wr_str name = wr_str_split(&names, ',');
    // A field that is absent differs from one that is empty; no value has a line break.
    bool is_there = wr_headers_get(request, name).ptr != NULL;
    if (!wr_buf_append(out, is_there ? "\n+" : "\n-", 2)) return false;
    if (!is_there) continue;
    bool ok = is_set(name) ? append_set(name, request, out) : append_elements(name, request, out);
    if (!ok) return false;
  }
  return true;
}
