/// libFuzzer harness: JSON as scripts read it, beside jansson: both take a text, or neither.
///
/// What must hold for any bytes is checked with WR_CHECK; the sanitizers see to the memory. A text
/// that is taken is written again from what was read of it, and reads the same.
// sources: runtime/base/json_reader.c runtime/base/json.c runtime/base/buf.c runtime/base/alloc.c
// sources: runtime/base/check.c runtime/base/decimal.c runtime/base/utf8.c
// libraries: jansson

#include "base/check.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20 };

struct seen {
  bool is_whole;
  bool is_deep;         // refused for its depth alone
  bool has_nul_in_name; // which jansson does not take
};

static void check_string(struct wr_str s)
{
  for (size_t at = 0; at < s.len;) {
    size_t len = wr_utf8_length((const unsigned char *)s.ptr + at, s.len - at);
    WR_CHECK(len > 0 && len <= s.len - at);
    at += len;
  }
}

static void write_token(struct wr_json *j, const struct wr_json_reader *r, enum wr_json_token token)
{
  switch (token) {
  case WR_JSON_OBJECT: wr_json_object(j); break;
  case WR_JSON_OBJECT_END: wr_json_object_end(j); break;
  case WR_JSON_ARRAY: wr_json_array(j); break;
  case WR_JSON_ARRAY_END: wr_json_array_end(j); break;
  case WR_JSON_KEY: wr_json_key_str(j, r->string); break;
  case WR_JSON_STRING: wr_json_str(j, r->string); break;
  case WR_JSON_NUMBER: wr_json_num(j, r->number); break;
  case WR_JSON_TRUE: wr_json_bool(j, true); break;
  case WR_JSON_FALSE: wr_json_bool(j, false); break;
  case WR_JSON_NULL: wr_json_null(j); break;
  default: WR_UNREACHABLE("no token");
  }
}

// Reads all of it and writes what was read to `out`.
static struct seen read_all(struct wr_str text, struct wr_buf *out)
{
  struct seen seen = {0};
  struct wr_json_reader r;
  struct wr_json j;
  enum wr_json_token token;
  wr_json_init(&j, out);
  wr_json_reader_init(&r, text, NULL);
  while ((token = wr_json_reader_next(&r)) > WR_JSON_END) {
    WR_CHECK(r.at <= text.len && r.depth <= WR_JSON_DEPTH_MAX);
    if (token == WR_JSON_KEY || token == WR_JSON_STRING) check_string(r.string);
    if (token == WR_JSON_KEY && memchr(r.string.ptr, '\0', r.string.len)) {
      seen.has_nul_in_name = true;
    }
    write_token(&j, &r, token);
  }
  size_t line, column;
  wr_json_reader_place(&r, &line, &column);
  WR_CHECK(token != WR_JSON_STOPPED && line >= 1);
  WR_CHECK((token == WR_JSON_WRONG) == (r.why[0] != '\0'));
  seen.is_whole = token == WR_JSON_END;
  seen.is_deep = token == WR_JSON_WRONG && strstr(r.why, "levels deep") != NULL;
  wr_json_reader_fini(&r);
  return seen;
}

static bool jansson_takes(struct wr_str text)
{
  const size_t flags = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
  json_t *tree = json_loadb(text.ptr, text.len, flags, NULL);
  json_decref(tree);
  return tree != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct wr_buf once, twice;
  char *text = malloc(size + 1); // not a byte more: the sanitizer sees who looks behind it
  memcpy(text, data, size);
  text[size] = '\0';
  wr_buf_init(&once, TEXT_MAX);
  wr_buf_init(&twice, TEXT_MAX);
  struct seen seen = read_all((struct wr_str){text, size}, &once);
  if (memchr(data, '\0', size) != NULL) {
    WR_CHECK(!seen.is_whole); // jansson takes one at the end
  } else if (!seen.is_deep && !seen.has_nul_in_name) {
    WR_CHECK(seen.is_whole == jansson_takes((struct wr_str){text, size}));
  }
  if (seen.is_whole) {
    wr_buf_append(&once, "", 1); // its NUL
    struct wr_str written = {wr_buf_head(&once), once.len - 1};
    WR_CHECK(read_all(written, &twice).is_whole);
    WR_CHECK(wr_str_eq(written, wr_buf_str(&twice)));
  }
  wr_buf_fini(&once);
  wr_buf_fini(&twice);
  free(text);
  return 0;
}
