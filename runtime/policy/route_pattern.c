#include "policy/route_pattern.h"

#include "base/check.h"

#define DIGITS "0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define ALNUM UPPER LOWER DIGITS

struct reader {
  struct wr_str text;
  size_t at;
  struct wr_route_fault *fault;
};

static bool is_in(const char *set, char c)
{
  return c != '\0' && strchr(set, c) != NULL;
}

static bool fail(const struct reader *r, size_t at, const char *rule)
{
  *r->fault = (struct wr_route_fault){.rule = rule, .column = at + 1};
  return false;
}

static size_t offset(const struct reader *r, struct wr_str part)
{
  return (size_t)(part.ptr - r->text.ptr);
}

// Methods

static bool read_method(const struct reader *r, struct wr_str method, struct wr_route_pattern *out)
{
  size_t at = offset(r, method);
  if (method.len == 0) return fail(r, at, "a method is missing here");
  if (method.len > WR_ROUTE_METHOD_LEN_MAX) return fail(r, at, "a method has at most 24 letters");
  for (size_t i = 0; i < method.len; i++) {
    char c = method.ptr[i];
    if (is_in(LOWER, c)) return fail(r, at + i, "methods are written in capitals");
    if (c == ' ') return fail(r, at + i, "methods are separated by commas");
    if (c == '*') return fail(r, at + i, "'*' means every method and stands alone");
    if (!is_in(UPPER DIGITS "-_", c)) return fail(r, at + i, "this cannot be part of a method");
  }
  for (size_t i = 0; i < out->method_count; i++) {
    if (wr_str_eq(out->methods[i], method)) return fail(r, at, "the method is named twice");
  }
  if (out->method_count == WR_ROUTE_METHODS_MAX)
    return fail(r, at, "too many methods (24 at most)");
  out->methods[out->method_count++] = method;
  return true;
}

static bool read_methods(struct reader *r, struct wr_route_pattern *out)
{
  out->method_count = 0;
  const char *slash = r->text.len ? memchr(r->text.ptr, '/', r->text.len) : NULL;
  if (slash == NULL) return fail(r, r->text.len, "a path that starts with '/' is missing");
  r->at = (size_t)(slash - r->text.ptr);
  struct wr_str rest = {r->text.ptr, r->at};
  if (rest.len == 0) return true;
  if (rest.ptr[rest.len - 1] != ' ')
    return fail(r, r->at, "a space belongs between methods and path");
  rest = wr_str_trim(rest);
  if (rest.len == 0) return fail(r, 0, "white space before the path");
  if (wr_str_eq(rest, WR_STR("*"))) return true;
  while (rest.ptr != NULL) {
    if (!read_method(r, wr_str_trim(wr_str_split(&rest, ',')), out)) return false;
  }
  return true;
}

// Path

static bool read_name(const struct reader *r, struct wr_str name, const char *missing)
{
  size_t at = offset(r, name);
  if (name.len == 0) return fail(r, at, missing);
  if (is_in(DIGITS, name.ptr[0])) return fail(r, at, "a name does not start with a digit");
  for (size_t i = 0; i < name.len; i++) {
    if (!is_in(ALNUM "_", name.ptr[i])) {
      return fail(r, at + i,
                  "a name consists of letters, digits and '_', and takes its whole segment");
    }
  }
  return true;
}

static int hex(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// An escape that the normal form has: upper case, and of a byte that must be escaped.
static bool read_escape(const struct reader *r, size_t at, struct wr_str segment, size_t i)
{
  int high = i + 1 < segment.len ? hex(segment.ptr[i + 1]) : -1;
  int low = i + 2 < segment.len ? hex(segment.ptr[i + 2]) : -1;
  if (high < 0 || low < 0) return fail(r, at, "an escape is '%' and two digits 0-9 A-F");
  int byte = high * 16 + low;
  if (is_in(ALNUM "-._~", (char)byte))
    return fail(r, at, "this byte is not escaped in a normal path");
  if (byte == '/' || byte == '\\' || byte < ' ' || byte == 127) {
    return fail(r, at, "requests with this escape are refused");
  }
  return true;
}

static bool read_literal(const struct reader *r, struct wr_str segment)
{
  size_t start = offset(r, segment);
  struct wr_str rest = segment;
  struct wr_str name = wr_str_split(&rest, ';');
  if (wr_str_eq(name, WR_STR(".")) || wr_str_eq(name, WR_STR(".."))) {
    return fail(r, start, "dot segments are removed from paths or refused");
  }
  for (size_t i = 0; i < segment.len; i++) {
    char c = segment.ptr[i];
    size_t at = start + i;
    if (c == ' ') return fail(r, at, "a path has no spaces (an escaped one is %20)");
    if (c == ':') return fail(r, at, "a parameter takes a whole segment");
    if (c == '*') return fail(r, at, "a wildcard takes the whole last segment");
    if (c == '?' || c == '#') return fail(r, at, "a route matches the path only, not the query");
    if (c == '%' && !read_escape(r, at, segment, i)) return false;
    if (!is_in(ALNUM "-._~!$&'()+,;=@%", c)) return fail(r, at, "this byte is escaped in paths");
  }
  return true;
}

static bool read_part(const struct reader *r, struct wr_str segment, bool is_last,
                      struct wr_route_part *part)
{
  char first = segment.len > 0 ? segment.ptr[0] : '\0';
  struct wr_str name = {segment.ptr + 1, segment.len > 0 ? segment.len - 1 : 0};
  size_t at = offset(r, segment);
  if (first == ':') {
    *part = (struct wr_route_part){WR_ROUTE_PARAM, name};
    return read_name(r, name, "a parameter needs a name");
  }
  if (first == '*') {
    if (!is_last) return fail(r, at, "a wildcard ends its path");
    *part = (struct wr_route_part){WR_ROUTE_WILDCARD, name.len ? name : segment};
    return name.len == 0 || read_name(r, name, "");
  }
  if (segment.len == 0 && !is_last) return fail(r, at, "empty segments are merged in paths");
  *part = (struct wr_route_part){WR_ROUTE_LITERAL, segment};
  return read_literal(r, segment);
}

// Names are unique, and there are not too many of them.
static bool check_names(const struct reader *r, const struct wr_route_pattern *p)
{
  size_t count = 0;
  for (size_t i = 0; i < p->part_count; i++) {
    const struct wr_route_part *part = &p->parts[i];
    if (part->kind == WR_ROUTE_LITERAL) continue;
    size_t at = offset(r, part->text);
    if (++count > WR_ROUTE_PARAMS_MAX) return fail(r, at, "a path has at most 16 parameters");
    for (size_t j = 0; j < i; j++) {
      if (p->parts[j].kind != WR_ROUTE_LITERAL && wr_str_eq(p->parts[j].text, part->text)) {
        return fail(r, at, "the name is used twice");
      }
    }
  }
  return true;
}

static bool read_path(struct reader *r, struct wr_route_pattern *out)
{
  out->path = (struct wr_str){r->text.ptr + r->at, r->text.len - r->at};
  out->part_count = 0;
  struct wr_str rest = {out->path.ptr + 1, out->path.len - 1};
  while (rest.ptr != NULL) {
    struct wr_str segment = wr_str_split(&rest, '/');
    if (out->part_count == WR_ROUTE_SEGMENTS_MAX) {
      return fail(r, offset(r, segment), "a path has at most 32 segments");
    }
    if (!read_part(r, segment, rest.ptr == NULL, &out->parts[out->part_count])) return false;
    out->part_count++;
  }
  return check_names(r, out);
}

bool wr_route_pattern_parse(struct wr_route_pattern *out, struct wr_str text,
                            struct wr_route_fault *fault)
{
  struct reader r = {.text = text, .fault = fault};
  if (text.len > WR_ROUTE_PATTERN_MAX) {
    return fail(&r, WR_ROUTE_PATTERN_MAX, "a route has at most 1024 bytes");
  }
  return read_methods(&r, out) && read_path(&r, out);
}

// Host

static bool check_address(const struct reader *r)
{
  struct wr_str s = r->text;
  size_t i = 1;
  while (i < s.len && is_in("0123456789abcdefABCDEF:.", s.ptr[i])) i++;
  if (i == s.len) return fail(r, i, "an address in brackets ends with ']'");
  if (s.ptr[i] != ']') return fail(r, i, "this cannot be part of an IPv6 address");
  return i + 1 == s.len || fail(r, i + 1, "a host is written without a port");
}

bool wr_route_pattern_check_host(struct wr_str host, struct wr_route_fault *fault)
{
  struct reader r = {.text = host, .fault = fault};
  if (host.len > WR_ROUTE_HOST_MAX) return fail(&r, host.len, "a host has at most 253 bytes");
  if (host.len > 0 && host.ptr[0] == '[') return check_address(&r);
  size_t start = host.len > 1 && host.ptr[0] == '*' && host.ptr[1] == '.' ? 2 : 0;
  for (size_t i = start, label = 0; i < host.len; i++) {
    char c = host.ptr[i];
    if (c == ':') return fail(&r, i, "a host is written without a port");
    if (c == '*') return fail(&r, i, "a wildcard is the whole first label: *.example.com");
    if (c == '.' && label == 0) return fail(&r, i, "a label of the host is missing");
    if (c != '.' && !is_in(ALNUM "-_", c)) return fail(&r, i, "this cannot be part of a host");
    label = c == '.' ? 0 : label + 1;
  }
  if (host.len == start) return fail(&r, start, "a label of the host is missing");
  if (host.ptr[host.len - 1] == '.')
    return fail(&r, host.len - 1, "a host is written without its last dot");
  return true;
}
