#include "base/archive.h"

#include "base/str.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HASH_TEXT = 17 };

bool wr_archive_is_reading(const struct wr_archive *a)
{
  return a->out == NULL;
}

static const json_t *find(const struct wr_archive *a, const char *key)
{
  return json_object_get(a->in, key);
}

// --- numbers ------------------------------------------------------------------------------------

static uint64_t fit(uint64_t value)
{
  return value <= INT64_MAX ? value : INT64_MAX;
}

static bool read_number(const json_t *value, uint64_t max, uint64_t *out)
{
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  uint64_t number = (uint64_t)json_integer_value(value);
  if (number <= max) *out = number;
  return number <= max;
}

void wr_archive_u64(struct wr_archive *a, const char *key, uint64_t *value)
{
  if (wr_archive_is_reading(a)) {
    read_number(find(a, key), INT64_MAX, value);
  } else {
    wr_json_field_uint(a->out, key, fit(*value));
  }
}

void wr_archive_u32(struct wr_archive *a, const char *key, uint32_t *value)
{
  uint64_t wide = *value;
  if (!wr_archive_is_reading(a)) {
    wr_json_field_uint(a->out, key, wide);
  } else if (read_number(find(a, key), UINT32_MAX, &wide)) {
    *value = (uint32_t)wide;
  }
}

void wr_archive_num(struct wr_archive *a, const char *key, double *value)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_field_num(a->out, key, *value);
    return;
  }
  const json_t *number = find(a, key);
  if (json_is_number(number) && isfinite(json_number_value(number))) {
    *value = json_number_value(number);
  }
}

void wr_archive_flag(struct wr_archive *a, const char *key, uint8_t *value)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_field_bool(a->out, key, *value != 0);
    return;
  }
  const json_t *flag = find(a, key);
  if (json_is_boolean(flag)) *value = json_is_true(flag);
}

void wr_archive_u64s(struct wr_archive *a, const char *key, uint64_t *values, size_t count)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_key(a->out, key);
    wr_json_array(a->out);
    for (size_t i = 0; i < count; i++) wr_json_uint(a->out, fit(values[i]));
    wr_json_array_end(a->out);
    return;
  }
  const json_t *row = find(a, key);
  if (json_array_size(row) != count) return;
  for (size_t i = 0; i < count; i++) read_number(json_array_get(row, i), INT64_MAX, &values[i]);
}

void wr_archive_u32s(struct wr_archive *a, const char *key, uint32_t *values, size_t count)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_key(a->out, key);
    wr_json_array(a->out);
    for (size_t i = 0; i < count; i++) wr_json_uint(a->out, values[i]);
    wr_json_array_end(a->out);
    return;
  }
  const json_t *row = find(a, key);
  if (json_array_size(row) != count) return;
  for (size_t i = 0; i < count; i++) {
    uint64_t wide;
    if (read_number(json_array_get(row, i), UINT32_MAX, &wide)) values[i] = (uint32_t)wide;
  }
}

// --- times --------------------------------------------------------------------------------------

// Nanoseconds from now, below 0 in the past.
static int64_t distance(uint64_t at_ns, uint64_t now_ns)
{
  return at_ns >= now_ns ? (int64_t)fit(at_ns - now_ns) : -(int64_t)fit(now_ns - at_ns);
}

static uint64_t moment(int64_t from_now_ns, uint64_t now_ns, uint64_t elapsed_ns)
{
  uint64_t ahead = from_now_ns > 0 ? (uint64_t)from_now_ns : 0;
  uint64_t ago = from_now_ns < 0 ? (uint64_t) - (from_now_ns + 1) + 1 : 0;
  if (ahead >= elapsed_ns) {
    ahead -= elapsed_ns;
  } else {
    ago += elapsed_ns - ahead; // the one is 0 or the other is, and both are below 2^63 or so
    ahead = 0;
  }
  if (ahead >= UINT64_MAX - now_ns) return UINT64_MAX - 1;
  return ago < now_ns ? now_ns + ahead - ago : 1;
}

void wr_archive_time(struct wr_archive *a, const char *key, uint64_t *ns)
{
  bool is_none = *ns == 0 || *ns == UINT64_MAX;
  if (!wr_archive_is_reading(a)) {
    wr_json_key(a->out, key);
    if (is_none) {
      wr_json_cstr(a->out, *ns == 0 ? "none" : "never");
    } else {
      wr_json_int(a->out, distance(*ns, a->now_ns));
    }
    return;
  }
  const json_t *value = find(a, key);
  const char *word = json_string_value(value);
  if (json_is_integer(value)) {
    *ns = moment(json_integer_value(value), a->now_ns, a->elapsed_ns);
  } else if (word != NULL && strcmp(word, "none") == 0) {
    *ns = 0;
  } else if (word != NULL && strcmp(word, "never") == 0) {
    *ns = UINT64_MAX;
  }
}

// --- words --------------------------------------------------------------------------------------

void wr_archive_word(struct wr_archive *a, const char *key, uint8_t *value,
                     const char *const *words, size_t count)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_field_cstr(a->out, key, *value < count ? words[*value] : NULL);
    return;
  }
  const char *word = json_string_value(find(a, key));
  for (size_t i = 0; word != NULL && i < count; i++) {
    if (strcmp(words[i], word) == 0) *value = (uint8_t)i;
  }
}

void wr_archive_text(struct wr_archive *a, const char *key, char *text, size_t size)
{
  if (!wr_archive_is_reading(a)) {
    wr_json_field_str(a->out, key, (struct wr_str){text, strnlen(text, size)});
    return;
  }
  const char *read = json_string_value(find(a, key));
  if (read == NULL) return;
  memset(text, 0, size);
  memcpy(text, read, strnlen(read, size - 1));
}

void wr_archive_hash(struct wr_archive *a, const char *key, uint64_t *value)
{
  char text[HASH_TEXT];
  snprintf(text, sizeof(text), "%016" PRIx64, *value);
  wr_archive_text(a, key, text, sizeof(text));
  if (wr_archive_is_reading(a)) sscanf(text, "%16" SCNx64, value);
}

// --- states inside ------------------------------------------------------------------------------

struct wr_archive wr_archive_open(struct wr_archive *a, const char *key)
{
  struct wr_archive inner = *a;
  if (wr_archive_is_reading(a)) {
    inner.in = find(a, key);
  } else {
    wr_json_key(a->out, key);
    wr_json_object(a->out);
  }
  return inner;
}

void wr_archive_close(struct wr_archive *inner)
{
  if (!wr_archive_is_reading(inner)) wr_json_object_end(inner->out);
}

size_t wr_archive_begin(struct wr_archive *list, struct wr_archive *a, const char *key,
                        size_t count)
{
  *list = *a;
  if (wr_archive_is_reading(a)) {
    list->in = find(a, key);
    return json_array_size(list->in);
  }
  wr_json_key(a->out, key);
  wr_json_array(a->out);
  return count;
}

void wr_archive_end(struct wr_archive *list)
{
  if (!wr_archive_is_reading(list)) wr_json_array_end(list->out);
}

struct wr_archive wr_archive_item(struct wr_archive *list, size_t at)
{
  struct wr_archive inner = *list;
  if (wr_archive_is_reading(list)) {
    inner.in = json_array_get(list->in, at);
  } else {
    wr_json_object(list->out);
  }
  return inner;
}
