/// libFuzzer harness: request heads, response heads, chunked bodies, URLs and paths.
///
/// The first byte chooses what the rest is read as and under which limits; the second where it is
/// cut. What must hold for any bytes is checked with WR_CHECK; the sanitizers see to the memory.
// sources: runtime/http/authority.c runtime/http/body.c runtime/http/chars.c runtime/http/framing.c
// sources: runtime/http/field.c runtime/http/headers.c runtime/http/parser.c
// sources: runtime/http/target.c runtime/http/uri.c
// sources: runtime/base/alloc.c runtime/base/buf.c
// sources: runtime/base/decimal.c runtime/base/check.c runtime/base/region.c

#include "base/check.h"
#include "http/authority.h"
#include "http/body.h"
#include "http/chars.h"
#include "http/parser.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REGION_MAX = 1 << 18 };

// What the parser said about some bytes.
struct verdict {
  enum wr_parser_status status;
  struct wr_head head;
  size_t used;
  struct wr_parser_error error;
};

struct input {
  const char *bytes;
  size_t len;
  struct wr_parser_limits limits;
  bool is_response;
  struct wr_str method; // that a response answers
};

static struct verdict parse(const struct input *in, size_t len, struct wr_region *region)
{
  struct verdict v = {0};
  if (in->is_response) {
    v.status = wr_parser_response(in->bytes, len, in->method, &in->limits, region, &v.head, &v.used,
                                  &v.error);
  } else {
    v.status = wr_parser_request(in->bytes, len, &in->limits, region, &v.head, &v.used, &v.error);
  }
  return v;
}

static bool is_inside(const struct input *in, struct wr_str s)
{
  return s.ptr >= in->bytes && s.ptr + s.len <= in->bytes + in->len;
}

static void check_fields(const struct input *in, const struct wr_head *head)
{
  size_t hosts = 0;
  size_t lengths = 0;
  size_t codings = 0;
  WR_CHECK(head->headers.count <= in->limits.fields_max);
  for (size_t i = 0; i < head->headers.count; i++) {
    struct wr_header field = head->headers.items[i];
    WR_CHECK(is_inside(in, field.name) && is_inside(in, field.value));
    WR_CHECK(wr_headers_is_token(field.name) && wr_headers_is_value(field.value));
    WR_CHECK(field.name.len + field.value.len <= in->limits.line_max);
    WR_CHECK(in->is_response || !memchr(field.name.ptr, '_', field.name.len));
    hosts += wr_str_eq_nocase(field.name, WR_STR("host"));
    lengths += wr_str_eq_nocase(field.name, WR_STR("content-length"));
    codings += wr_str_eq_nocase(field.name, WR_STR("transfer-encoding"));
  }
  WR_CHECK(in->is_response || hosts == 1 || (hosts == 0 && head->minor == 0));
  WR_CHECK(lengths + codings <= 1);
  WR_CHECK(head->has_content_length == (lengths == 1));
  WR_CHECK(codings == 0 || head->minor == 1);
  if (head->framing == WR_FRAMING_CHUNKED) WR_CHECK(codings == 1);
  if (head->framing == WR_FRAMING_LENGTH) WR_CHECK(lengths == 1);
}

static void check_request(const struct input *in, const struct wr_head *head,
                          struct wr_region *region)
{
  const char *end = head->target.ptr + head->target.len;
  WR_CHECK(wr_headers_is_token(head->method) && is_inside(in, head->target));
  WR_CHECK(wr_chars_skip(head->target.ptr, end, WR_CHARS_TARGET) == end);
  WR_CHECK(head->framing != WR_FRAMING_CLOSE);
  if (head->host.ptr != NULL) {
    // The normal form of a host is its own normal form.
    struct wr_authority authority;
    char text[WR_AUTHORITY_TEXT];
    WR_CHECK(wr_authority_parse(&authority, head->host) == NULL);
    size_t len = wr_authority_write(&authority, 0, text);
    WR_CHECK(wr_str_eq(head->host, (struct wr_str){text, len}));
  }
  if (head->path.ptr == NULL) return;
  struct wr_str normal = wr_uri_normal_path(head->path, region);
  if (normal.ptr == NULL) return;
  WR_CHECK(normal.len <= head->path.len);
  WR_CHECK(wr_str_eq(normal, wr_uri_normal_path(normal, region)));
}

static void check_head(const struct input *in, const struct verdict *v, struct wr_region *region)
{
  WR_CHECK(v->used <= in->len && v->used <= in->limits.head_max);
  WR_CHECK(memcmp(in->bytes + v->used - 4, "\r\n\r\n", 4) == 0);
  WR_CHECK(v->head.minor == 0 || v->head.minor == 1);
  check_fields(in, &v->head);
  if (!in->is_response) check_request(in, &v->head, region);
  struct wr_headers out;
  wr_headers_init(&out, region, v->head.headers.count);
  WR_CHECK(v->head.headers.count == 0 || wr_headers_forwardable(&v->head.headers, &out));
}

// More bytes are asked for only as long as the limits leave room for them.
static void check_more(const struct input *in)
{
  const char *newline = in->len ? memrchr(in->bytes, '\n', in->len) : NULL;
  size_t line_len = newline ? (size_t)(in->bytes + in->len - newline - 1) : in->len;
  WR_CHECK(in->len < in->limits.head_max);
  WR_CHECK(line_len < in->limits.line_max + 2);
}

// A prefix gets the verdict of the whole, or MORE while the whole is not decided by it.
static void check_prefix(const struct input *in, const struct verdict *whole, size_t len)
{
  struct wr_region region;
  wr_region_init(&region, REGION_MAX);
  struct verdict part = parse(in, len, &region);
  if (part.status == WR_PARSER_MORE) {
    WR_CHECK(region.total == 0);
    WR_CHECK(whole->status != WR_PARSER_DONE || len < whole->used);
  } else {
    WR_CHECK(part.status == whole->status && part.used == whole->used);
    WR_CHECK(part.error.message == whole->error.message);
    WR_CHECK(part.error.offset == whole->error.offset && part.error.status == whole->error.status);
  }
  wr_region_fini(&region);
}

static void fuzz_head(const struct input *in, size_t cut)
{
  struct wr_region region;
  wr_region_init(&region, REGION_MAX);
  struct verdict whole = parse(in, in->len, &region);
  if (whole.status == WR_PARSER_DONE) check_head(in, &whole, &region);
  if (whole.status == WR_PARSER_MORE) check_more(in);
  if (whole.status == WR_PARSER_BAD) WR_CHECK(whole.error.message && whole.error.offset <= in->len);
  // All prefixes of short inputs; of long ones those at a stride, so that an input stays cheap.
  size_t stride = in->len < 128 ? 1 : 1 + cut;
  for (size_t len = 0; len < in->len; len += stride) check_prefix(in, &whole, len);
  wr_region_fini(&region);
}

// Reads a chunked body in pieces of `step` bytes; collects a sum over the payload.
static enum wr_body_status read_body(const char *bytes, size_t len, size_t step, uint64_t *sum,
                                     size_t *read)
{
  struct wr_body body;
  enum wr_body_status status = WR_BODY_MORE;
  wr_body_init(&body, WR_FRAMING_CHUNKED, 0);
  size_t at = 0;
  while (status == WR_BODY_MORE && at < len) {
    size_t piece = len - at < step ? len - at : step;
    size_t used = 0;
    struct wr_str payload;
    status = wr_body_feed(&body, bytes + at, piece, &used, &payload);
    WR_CHECK(used <= piece && (used > 0 || status != WR_BODY_MORE));
    WR_CHECK(payload.len <= used && body.line <= 8193);
    for (size_t i = 0; i < payload.len; i++) *sum = *sum * 31 + (uint8_t)payload.ptr[i] + 1;
    at += used;
  }
  WR_CHECK(status != WR_BODY_BAD || body.reason != NULL);
  WR_CHECK((wr_body_eof(&body) == WR_BODY_DONE) == (status == WR_BODY_DONE));
  *read = at;
  return status;
}

static void fuzz_body(const char *bytes, size_t len, size_t step)
{
  uint64_t sums[2] = {0, 0};
  size_t used[2];
  enum wr_body_status whole = read_body(bytes, len, len + 1, &sums[0], &used[0]);
  enum wr_body_status pieces = read_body(bytes, len, step + 1, &sums[1], &used[1]);
  WR_CHECK(whole == pieces);
  WR_CHECK(used[0] == used[1]);
  WR_CHECK(whole == WR_BODY_BAD || sums[0] == sums[1]);
}

static void fuzz_uri(struct wr_str text)
{
  struct wr_region region;
  wr_region_init(&region, REGION_MAX);
  struct wr_uri uri;
  const char *reason = NULL;
  if (wr_uri_parse(&uri, text, &region, &reason)) {
    struct wr_authority authority;
    WR_CHECK(wr_authority_parse(&authority, uri.authority) == NULL);
    WR_CHECK(uri.port > 0 && uri.path.len > 0 && uri.path.ptr[0] == '/');
  } else {
    WR_CHECK(reason != NULL);
  }
  struct wr_str normal = wr_uri_normal_path(text, &region);
  if (normal.ptr) WR_CHECK(wr_str_eq(normal, wr_uri_normal_path(normal, &region)));
  wr_uri_decode(text, &region);
  struct wr_str encoded = wr_uri_encode(text, &region);
  struct wr_str decoded = wr_uri_decode(encoded, &region);
  if (!memchr(text.ptr, 0, text.len)) WR_CHECK(wr_str_eq(decoded, text));
  wr_region_fini(&region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 3) return 0;
  const char *bytes = (const char *)data + 2;
  size_t len = size - 2;
  size_t cut = data[1];
  struct input in = {.bytes = bytes, .len = len, .limits = wr_parser_limits_default};
  // Small limits are met by small inputs.
  if (data[0] & 8) in.limits = (struct wr_parser_limits){256 + cut, 64, 8};
  static const struct wr_str methods[] = {{"GET", 3}, {"HEAD", 4}, {"CONNECT", 7}, {"POST", 4}};
  in.method = methods[data[0] >> 4 & 3];
  switch (data[0] & 3) {
  case 0: fuzz_head(&in, cut); break;
  case 1:
    in.is_response = true;
    fuzz_head(&in, cut);
    break;
  case 2: fuzz_body(bytes, len, cut); break;
  default: fuzz_uri((struct wr_str){bytes, len}); break;
  }
  return 0;
}
