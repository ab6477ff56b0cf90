#include "http/same_origin.h"

#include "http/uri.h"

static const struct wr_str absent = {NULL, 0};

static struct wr_str without_fragment(struct wr_str s)
{
  const char *at = s.len ? memchr(s.ptr, '#', s.len) : NULL;
  return at ? (struct wr_str){s.ptr, (size_t)(at - s.ptr)} : s;
}

static size_t path_len(struct wr_str target)
{
  const char *at = target.len ? memchr(target.ptr, '?', target.len) : NULL;
  return at ? (size_t)(at - target.ptr) : target.len;
}

// "http://host/x": the authority must be ours, with the scheme's port left out on both sides.
static struct wr_str of_absolute(struct wr_str text, struct wr_str authority,
                                 struct wr_region *region)
{
  struct wr_uri uri;
  const char *reason = NULL;
  if (!wr_uri_parse(&uri, text, region, &reason)) return absent;
  if (!wr_str_eq_nocase(uri.authority, authority)) return absent;
  if (uri.query.ptr == NULL) return uri.path;
  char *out = wr_region_take(region, uri.path.len + 1 + uri.query.len);
  if (out == NULL) return absent;
  memcpy(out, uri.path.ptr, uri.path.len);
  out[uri.path.len] = '?';
  memcpy(out + uri.path.len + 1, uri.query.ptr, uri.query.len);
  return (struct wr_str){out, uri.path.len + 1 + uri.query.len};
}

static struct wr_str join(struct wr_region *region, struct wr_str a, struct wr_str b)
{
  char *out = wr_region_take(region, a.len + b.len + 1);
  if (out == NULL) return absent;
  if (a.len > 0) memcpy(out, a.ptr, a.len);
  if (b.len > 0) memcpy(out + a.len, b.ptr, b.len);
  return (struct wr_str){out, a.len + b.len};
}

// Drops the last segment of out[0..len), but not the slash before it.
static size_t climb(const char *out, size_t len)
{
  while (len > 0 && out[len - 1] != '/') len--;
  return len;
}

// RFC 3986 5.2.4 on a path that begins with a slash: segment by segment.
static struct wr_str without_dots(struct wr_str target, struct wr_region *region)
{
  size_t len = path_len(target);
  char *out = wr_region_take(region, target.len + 1);
  if (out == NULL) return absent;
  size_t size = 0;
  size_t at = 0;
  while (at < len) {
    out[size++] = '/';
    struct wr_str segment = {target.ptr + at + 1, 0};
    while (at + 1 + segment.len < len && segment.ptr[segment.len] != '/') segment.len++;
    at += 1 + segment.len;
    if (wr_str_eq(segment, WR_STR("."))) {
      size -= at < len;
    } else if (wr_str_eq(segment, WR_STR(".."))) {
      size = climb(out, size > 1 ? size - 1 : size);
      size -= at < len && size > 0;
    } else {
      memcpy(out + size, segment.ptr, segment.len);
      size += segment.len;
    }
  }
  if (target.len > len) memcpy(out + size, target.ptr + len, target.len - len);
  return (struct wr_str){out, size + target.len - len};
}

struct wr_str wr_same_origin_resolve(struct wr_str reference, struct wr_str authority,
                                     struct wr_str target, struct wr_region *region)
{
  struct wr_str r = without_fragment(wr_str_trim(reference));
  if (wr_str_begins_nocase(r, WR_STR("http://")) || wr_str_begins_nocase(r, WR_STR("https://"))) {
    return of_absolute(r, authority, region);
  }
  if (wr_str_begins_nocase(r, WR_STR("//"))) {
    return of_absolute(join(region, WR_STR("http:"), r), authority, region);
  }
  if (r.len == 0) return target;
  if (r.ptr[0] == '?') return join(region, (struct wr_str){target.ptr, path_len(target)}, r);
  const char *colon = memchr(r.ptr, ':', path_len(r));
  const char *slash = memchr(r.ptr, '/', r.len);
  if (colon && (slash == NULL || colon < slash)) return absent; // another scheme
  if (r.ptr[0] != '/') {
    struct wr_str folder = {target.ptr, climb(target.ptr, path_len(target))};
    r = join(region, folder, r);
  }
  if (r.ptr == NULL || r.len == 0 || r.ptr[0] != '/') return absent;
  return without_dots(r, region);
}

bool wr_same_origin_is_target(struct wr_str reference, struct wr_str authority,
                              struct wr_str target)
{
  struct wr_region region;
  wr_region_init(&region, 64 * 1024);
  struct wr_str named = wr_same_origin_resolve(reference, authority, target, &region);
  bool is_same = named.ptr != NULL && wr_str_eq(named, target);
  wr_region_fini(&region);
  return is_same;
}
