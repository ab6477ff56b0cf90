#include "http/cache_control.h"

#include "base/check.h"
#include "http/chars.h"

bool wr_cache_control_seconds(struct wr_str text, int64_t *seconds)
{
  if (text.len == 0) return false;
  int64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (text.ptr[i] - '0');
    if (value > WR_CACHE_CONTROL_FOREVER) value = WR_CACHE_CONTROL_FOREVER;
  }
  *seconds = value;
  return true;
}

// --- one directive ------------------------------------------------------------------------------

struct directive {
  struct wr_str name;
  struct wr_str value; // without quotes; absent when there is none
  bool is_foreign;     // Surrogate-Control's ";device": somebody else is meant
};

// A freshness lifetime: what cannot be understood is stale.
static void read_lifetime(const struct directive *d, int64_t *out)
{
  int64_t value = 0;
  if (!wr_cache_control_seconds(d->value, &value)) value = 0;
  *out = *out == WR_CACHE_CONTROL_NONE || *out == value ? value : 0;
}

// A permission: what cannot be understood permits nothing, and of two the smaller holds.
static void read_permission(const struct directive *d, int64_t *out)
{
  int64_t value = 0;
  if (!wr_cache_control_seconds(d->value, &value)) value = 0;
  *out = *out == WR_CACHE_CONTROL_NONE || value < *out ? value : *out;
}

static void read_min_fresh(const struct directive *d, int64_t *out)
{
  int64_t value = 0;
  if (wr_cache_control_seconds(d->value, &value) && value > *out) *out = value;
}

static bool is_field_list(struct wr_str list)
{
  size_t names = 0;
  while (list.ptr != NULL) {
    struct wr_str name = wr_str_trim(wr_str_split(&list, ','));
    if (name.len > 0 && !wr_headers_is_token(name)) return false;
    names += name.len > 0;
  }
  return names > 0;
}

// no-cache and private: for the whole response, or for the fields that they name.
static void read_restriction(const struct directive *d, struct wr_cache_control *out, bool *whole)
{
  bool has_list = d->value.ptr != NULL && is_field_list(d->value);
  if (has_list && out->list_count < WR_CACHE_CONTROL_LISTS_MAX) {
    out->lists[out->list_count++] = d->value;
  } else {
    *whole = true;
  }
}

static bool read_flag(const struct directive *d, struct wr_cache_control *out)
{
  const struct {
    struct wr_str name;
    bool *flag;
  } flags[] = {
      {WR_STR("no-store"), &out->no_store},
      {WR_STR("public"), &out->is_public},
      {WR_STR("must-revalidate"), &out->must_revalidate},
      {WR_STR("proxy-revalidate"), &out->proxy_revalidate},
      {WR_STR("must-understand"), &out->must_understand},
      {WR_STR("only-if-cached"), &out->only_if_cached},
  };
  for (size_t i = 0; i < WR_COUNT(flags); i++) {
    if (!wr_str_eq_nocase(d->name, flags[i].name)) continue;
    *flags[i].flag = true;
    return true;
  }
  return false;
}

static bool read_number(const struct directive *d, struct wr_cache_control *out)
{
  const struct {
    struct wr_str name;
    void (*read)(const struct directive *d, int64_t *out);
    int64_t *number;
  } numbers[] = {
      {WR_STR("max-age"), read_lifetime, &out->max_age},
      {WR_STR("s-maxage"), read_lifetime, &out->s_maxage},
      {WR_STR("stale-while-revalidate"), read_permission, &out->stale_while_revalidate},
      {WR_STR("stale-if-error"), read_permission, &out->stale_if_error},
      {WR_STR("min-fresh"), read_min_fresh, &out->min_fresh},
  };
  for (size_t i = 0; i < WR_COUNT(numbers); i++) {
    if (!wr_str_eq_nocase(d->name, numbers[i].name)) continue;
    numbers[i].read(d, numbers[i].number);
    return true;
  }
  return false;
}

static void apply(const struct directive *d, struct wr_cache_control *out)
{
  if (d->name.len == 0 || d->is_foreign) return;
  out->is_present = true;
  if (read_flag(d, out) || read_number(d, out)) return;
  if (wr_str_eq_nocase(d->name, WR_STR("no-cache"))) {
    read_restriction(d, out, &out->no_cache);
  } else if (wr_str_eq_nocase(d->name, WR_STR("private"))) {
    read_restriction(d, out, &out->is_private);
  } else if (wr_str_eq_nocase(d->name, WR_STR("max-stale"))) {
    bool is_bare = d->value.ptr == NULL;
    if (is_bare) {
      if (out->max_stale == WR_CACHE_CONTROL_NONE) out->max_stale = INT64_MAX;
    } else {
      read_permission(d, &out->max_stale);
    }
  }
}

// --- the list -----------------------------------------------------------------------------------

// Length of the element that `s` begins with: up to a comma outside of quotes. A quote that is
// never closed takes the rest.
static size_t element_len(struct wr_str s)
{
  bool in_quotes = false;
  for (size_t i = 0; i < s.len; i++) {
    if (in_quotes && s.ptr[i] == '\\') {
      i++;
    } else if (s.ptr[i] == '"') {
      in_quotes = !in_quotes;
    } else if (s.ptr[i] == ',' && !in_quotes) {
      return i;
    }
  }
  return s.len;
}

// The value with its quotes off. One with escapes stays as it is: no directive of ours needs them,
// so it is read as what cannot be understood.
static void read_value(struct wr_str text, struct directive *d)
{
  d->value = text;
  if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"') return;
  struct wr_str inner = {text.ptr + 1, text.len - 2};
  if (memchr(inner.ptr, '"', inner.len) || memchr(inner.ptr, '\\', inner.len)) return;
  d->value = inner;
}

// Surrogate-Control's "max-age=60;device", which holds for that device only. Cuts it off.
static bool is_foreign(struct wr_str *element)
{
  struct wr_str rest = *element;
  const char *quote = memchr(rest.ptr, '"', rest.len);
  const char *semicolon = memchr(rest.ptr, ';', rest.len);
  if (semicolon == NULL || (quote && quote < semicolon)) return false;
  *element = wr_str_split(&rest, ';');
  return !wr_str_eq_nocase(wr_str_trim(rest), WR_STR(WR_CACHE_CONTROL_DEVICE));
}

static struct directive split(struct wr_str element, bool has_devices)
{
  struct directive d = {0};
  element = wr_str_trim(element);
  if (element.len == 0) return d;
  d.is_foreign = has_devices && is_foreign(&element);
  const char *end = element.ptr + element.len;
  const char *at = wr_chars_skip(element.ptr, end, WR_CHARS_TOKEN);
  d.name = (struct wr_str){element.ptr, (size_t)(at - element.ptr)};
  if (at == end) return d;
  // "max-age =1": a value that is none (an empty one is not the same as no value).
  d.value = (struct wr_str){at, 0};
  if (*at != '=') return d;
  read_value((struct wr_str){at + 1, (size_t)(end - at) - 1}, &d);
  return d;
}

void wr_cache_control_read(const struct wr_headers *headers, struct wr_str name,
                           struct wr_cache_control *out)
{
  *out = (struct wr_cache_control){
      .max_age = WR_CACHE_CONTROL_NONE,
      .s_maxage = WR_CACHE_CONTROL_NONE,
      .stale_while_revalidate = WR_CACHE_CONTROL_NONE,
      .stale_if_error = WR_CACHE_CONTROL_NONE,
      .min_fresh = WR_CACHE_CONTROL_NONE,
      .max_stale = WR_CACHE_CONTROL_NONE,
  };
  bool has_devices = wr_str_eq_nocase(name, WR_STR("Surrogate-Control"));
  size_t at = 0;
  struct wr_str rest;
  while ((rest = wr_headers_each(headers, name, &at)).ptr != NULL) {
    while (rest.len > 0) {
      size_t len = element_len(rest);
      struct directive d = split((struct wr_str){rest.ptr, len}, has_devices);
      apply(&d, out);
      len += len < rest.len;
      rest.ptr += len;
      rest.len -= len;
    }
  }
}

bool wr_cache_control_names(const struct wr_cache_control *cc, struct wr_str field)
{
  for (size_t i = 0; i < cc->list_count; i++) {
    struct wr_str rest = cc->lists[i];
    while (rest.ptr != NULL) {
      if (wr_str_eq_nocase(wr_str_trim(wr_str_split(&rest, ',')), field)) return true;
    }
  }
  return false;
}
