#include "http/target.h"

// Cuts a scheme off the front of `*text`; returns its default port, 0 when it is neither.
static uint16_t take_scheme(struct wr_str *text)
{
  static const struct {
    struct wr_str prefix;
    uint16_t port;
  } schemes[] = {{{"http://", 7}, 80}, {{"https://", 8}, 443}};
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
    size_t len = schemes[i].prefix.len;
    if (text->len < len) continue;
    if (!wr_str_eq_nocase((struct wr_str){text->ptr, len}, schemes[i].prefix)) continue;
    text->ptr += len;
    text->len -= len;
    return schemes[i].port;
  }
  return 0;
}

static void split_query(struct wr_target *t, struct wr_str text)
{
  t->query = text;
  t->path = wr_str_split(&t->query, '?');
}

static const char *read_absolute(struct wr_target *t, struct wr_str method, struct wr_str text)
{
  t->default_port = take_scheme(&text);
  if (t->default_port == 0) return "the target is neither a path nor an http URL";
  size_t len = 0;
  while (len < text.len && text.ptr[len] != '/' && text.ptr[len] != '?') len++;
  const char *fault = wr_authority_parse(&t->authority, (struct wr_str){text.ptr, len});
  if (fault != NULL) return fault;
  t->has_authority = true;
  split_query(t, (struct wr_str){text.ptr + len, text.len - len});
  if (t->path.len > 0) return NULL;
  // RFC 9112 3.2.4: the last proxy sends OPTIONS without path and query as "*".
  bool is_server_wide = t->query.ptr == NULL && wr_str_eq(method, WR_STR("OPTIONS"));
  t->path = is_server_wide ? WR_STR("*") : WR_STR("/");
  return NULL;
}

static const char *read_connect(struct wr_target *t, struct wr_str text)
{
  const char *fault = wr_authority_parse(&t->authority, text);
  if (fault != NULL) return fault;
  if (!t->authority.has_port) return "the target of CONNECT has no port";
  t->has_authority = true;
  t->default_port = 0;
  return NULL;
}

const char *wr_target_parse(struct wr_target *t, struct wr_str method, struct wr_str text)
{
  *t = (struct wr_target){.default_port = 80};
  if (wr_str_eq(method, WR_STR("CONNECT"))) return read_connect(t, text);
  if (text.len > 0 && text.ptr[0] == '/') {
    split_query(t, text);
    return NULL;
  }
  if (wr_str_eq(text, WR_STR("*"))) {
    t->path = text;
    return wr_str_eq(method, WR_STR("OPTIONS")) ? NULL : "the target * is for OPTIONS only";
  }
  return read_absolute(t, method, text);
}
