#include "http/uri.h"

#include "http/authority.h"
#include "http/chars.h"

static const struct wr_str absent = {NULL, 0};

// Absolute URLs

static bool take_scheme(struct wr_uri *u, struct wr_str *text)
{
  const struct wr_str http = WR_STR("http://");
  const struct wr_str https = WR_STR("https://");
  u->is_https =
      text->len >= https.len && wr_str_eq_nocase((struct wr_str){text->ptr, https.len}, https);
  bool is_http =
      text->len >= http.len && wr_str_eq_nocase((struct wr_str){text->ptr, http.len}, http);
  if (!u->is_https && !is_http) return false;
  size_t len = u->is_https ? https.len : http.len;
  *text = (struct wr_str){text->ptr + len, text->len - len};
  return true;
}

static const char *read_authority(struct wr_uri *u, struct wr_str text, struct wr_region *region)
{
  struct wr_authority authority;
  if (memchr(text.ptr, '@', text.len)) return "user information in a URL is refused";
  const char *fault = wr_authority_parse(&authority, text);
  if (fault != NULL) return fault;
  uint16_t default_port = u->is_https ? 443 : 80;
  char out[WR_AUTHORITY_TEXT];
  u->is_ipv6 = authority.is_ipv6;
  u->port = authority.has_port ? authority.port : default_port;
  u->has_default_port = u->port == default_port;
  size_t len = wr_authority_write_host(&authority, out);
  u->host = wr_region_copy(region, (struct wr_str){out, len});
  len = wr_authority_write(&authority, default_port, out);
  u->authority = wr_region_copy(region, (struct wr_str){out, len});
  return u->host.ptr && u->authority.ptr ? NULL : "out of memory for the URL";
}

static const char *parse(struct wr_uri *u, struct wr_str text, struct wr_region *region)
{
  const char *end = text.ptr + text.len;
  if (!take_scheme(u, &text)) return "the URL does not begin with http:// or https://";
  const char *illegal = wr_chars_skip(text.ptr, end, WR_CHARS_TARGET);
  if (illegal < end && *illegal == '#') return "a fragment in a URL is refused";
  if (illegal < end) return "the URL has a character that must be escaped";
  size_t len = 0;
  while (len < text.len && text.ptr[len] != '/' && text.ptr[len] != '?') len++;
  const char *fault = read_authority(u, (struct wr_str){text.ptr, len}, region);
  if (fault != NULL) return fault;
  u->query = (struct wr_str){text.ptr + len, text.len - len};
  u->path = wr_str_split(&u->query, '?');
  if (u->path.len == 0) u->path = WR_STR("/");
  return NULL;
}

bool wr_uri_parse(struct wr_uri *u, struct wr_str text, struct wr_region *region,
                  const char **reason)
{
  struct wr_uri parsed = {0};
  const char *fault = text.len ? parse(&parsed, text, region) : "the URL is empty";
  if (fault != NULL) {
    *reason = fault;
    return false;
  }
  *u = parsed;
  return true;
}

// Percent-encoding

// The byte that the escape at the front of `s` stands for, or -1.
static int read_escape(struct wr_str s)
{
  if (s.len < 3 || s.ptr[0] != '%') return -1;
  int high = wr_chars_hex(s.ptr[1]);
  int low = wr_chars_hex(s.ptr[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static size_t write_escape(char *out, uint8_t byte)
{
  static const char digits[] = "0123456789ABCDEF";
  out[0] = '%';
  out[1] = digits[byte >> 4];
  out[2] = digits[byte & 15];
  return 3;
}

struct wr_str wr_uri_decode(struct wr_str s, struct wr_region *region)
{
  char *out = wr_region_take(region, s.len + 1);
  if (out == NULL) return absent;
  size_t len = 0;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (c == '%') {
      int byte = read_escape((struct wr_str){s.ptr + i, s.len - i});
      if (byte <= 0) return absent;
      c = (char)byte;
      i += 2;
    }
    out[len++] = c;
  }
  out[len] = '\0';
  return (struct wr_str){out, len};
}

struct wr_str wr_uri_encode(struct wr_str s, struct wr_region *region)
{
  if (s.len > SIZE_MAX / 4) return absent;
  size_t need = 1;
  for (size_t i = 0; i < s.len; i++) need += wr_chars_is(s.ptr[i], WR_CHARS_UNRESERVED) ? 1 : 3;
  char *out = wr_region_take(region, need);
  if (out == NULL) return absent;
  size_t len = 0;
  for (size_t i = 0; i < s.len; i++) {
    if (wr_chars_is(s.ptr[i], WR_CHARS_UNRESERVED)) {
      out[len++] = s.ptr[i];
    } else {
      len += write_escape(out + len, (uint8_t)s.ptr[i]);
    }
  }
  out[len] = '\0';
  return (struct wr_str){out, len};
}

// The normal form of a path

// Writes one segment with its escapes in normal form; false when it hides something.
static bool write_segment(struct wr_str segment, char *out, size_t *len)
{
  *len = 0;
  for (size_t i = 0; i < segment.len; i++) {
    char c = segment.ptr[i];
    if (c != '%') {
      // Some upstreams read a backslash as a slash.
      if (c == '\\' || !wr_chars_is(c, WR_CHARS_TARGET)) return false;
      out[(*len)++] = c;
      continue;
    }
    int byte = read_escape((struct wr_str){segment.ptr + i, segment.len - i});
    if (byte < 0x20 || byte == 0x7F || byte == '/' || byte == '\\') return false;
    i += 2;
    if (wr_chars_is((char)byte, WR_CHARS_UNRESERVED)) {
      out[(*len)++] = (char)byte;
    } else {
      *len += write_escape(out + *len, (uint8_t)byte);
    }
  }
  return true;
}

enum kind { PLAIN, EMPTY, HERE, UP, HIDDEN };

// "..;x" is ".." to servers that cut path parameters off first, and a name to the others.
static enum kind kind_of(struct wr_str segment)
{
  struct wr_str rest = segment;
  struct wr_str name = wr_str_split(&rest, ';');
  bool is_here = wr_str_eq(name, WR_STR("."));
  bool is_up = wr_str_eq(name, WR_STR(".."));
  if (segment.len == 0) return EMPTY;
  if (!is_here && !is_up) return PLAIN;
  if (name.len < segment.len) return HIDDEN;
  return is_here ? HERE : UP;
}

struct path {
  char *out;    // room for the input, which never grows
  size_t len;   // of what is final; ends in "/"
  size_t floor; // ".." must not climb below: the root, or where an empty segment was merged, for
                // servers that keep it disagree about what is removed
};

// Takes the last segment off; false at the floor.
static bool climb(struct path *p)
{
  if (p->len <= p->floor) return false;
  p->len--;
  while (p->out[p->len - 1] != '/') p->len--;
  return true;
}

static bool add_segment(struct path *p, struct wr_str raw, bool is_last)
{
  struct wr_str segment = {p->out + p->len, 0};
  if (!write_segment(raw, p->out + p->len, &segment.len)) return false;
  switch (kind_of(segment)) {
  case HIDDEN: return false;
  case UP: return climb(p);
  case HERE: return true;
  case EMPTY: p->floor = p->len; return true;
  case PLAIN: break;
  }
  p->len += segment.len;
  if (!is_last) p->out[p->len++] = '/';
  return true;
}

struct wr_str wr_uri_normal_path(struct wr_str path, struct wr_region *region)
{
  if (wr_str_eq(path, WR_STR("*"))) return WR_STR("*");
  if (path.len == 0 || path.ptr[0] != '/') return absent;
  struct path p = {.out = wr_region_take(region, path.len + 1)};
  if (p.out == NULL) return absent;
  p.out[p.len++] = '/';
  p.floor = p.len;
  struct wr_str rest = {path.ptr + 1, path.len - 1};
  while (rest.ptr != NULL) {
    struct wr_str segment = wr_str_split(&rest, '/');
    if (!add_segment(&p, segment, rest.ptr == NULL)) return absent;
  }
  p.out[p.len] = '\0';
  return (struct wr_str){p.out, p.len};
}

// Takes a dot off the front, or an escaped one.
static bool take_dot(struct wr_str *s)
{
  bool is_plain = s->len >= 1 && s->ptr[0] == '.';
  if (!is_plain && read_escape(*s) != '.') return false;
  size_t used = is_plain ? 1 : 3;
  s->ptr += used;
  s->len -= used;
  return true;
}

bool wr_uri_has_dots(struct wr_str path)
{
  while (path.ptr != NULL) {
    struct wr_str segment = wr_str_split(&path, '/');
    if (!take_dot(&segment)) continue;
    take_dot(&segment);
    if (segment.len == 0) return true;
  }
  return false;
}
