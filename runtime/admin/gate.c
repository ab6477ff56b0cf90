#include "admin/gate.h"

#include "admin/page.h"

#include <stdint.h>

enum { CREDENTIALS_MAX = 1024 };

static bool is_loopback_host(struct wr_str host)
{
  struct wr_str name = host;
  if (name.len > 0 && name.ptr[0] == '[')
    return wr_str_eq(wr_str_split(&name, ']'), WR_STR("[::1"));
  name = wr_str_split(&name, ':');
  return wr_str_eq(name, WR_STR("localhost")) || wr_str_eq(name, WR_STR("127.0.0.1"));
}

// A browser says with every POST which page made it send that; nobody else has such a field. The
// host was looked at before, so that only we can be what it names.
static bool is_of_another_page(const struct wr_head *head)
{
  struct wr_str origin = wr_headers_get(&head->headers, WR_STR("Origin"));
  struct wr_str own = WR_STR("http://");
  if (origin.ptr == NULL || !wr_str_eq(head->method, WR_STR("POST"))) return false;
  if (origin.len < own.len || memcmp(origin.ptr, own.ptr, own.len) != 0) return true;
  return !wr_str_eq((struct wr_str){origin.ptr + own.len, origin.len - own.len}, head->host);
}

static int digit_of(char c)
{
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Base 64 into `out`; absent when it is none, or longer.
static struct wr_str decode(struct wr_str text, char out[CREDENTIALS_MAX])
{
  uint32_t bits = 0;
  size_t len = 0;
  while (text.len > 0 && text.ptr[text.len - 1] == '=') text.len--;
  if (text.len / 4 * 3 + 3 > CREDENTIALS_MAX) return (struct wr_str){NULL, 0};
  for (size_t i = 0; i < text.len; i++) {
    int digit = digit_of(text.ptr[i]);
    if (digit < 0) return (struct wr_str){NULL, 0};
    bits = bits << 6 | (uint32_t)digit;
    if (i % 4 != 0) out[len++] = (char)(bits >> (6 - i % 4 * 2));
  }
  return (struct wr_str){out, len};
}

// How long it takes says nothing of where they differ.
static bool is_same(struct wr_str shown, struct wr_str token)
{
  unsigned char differs = shown.len != token.len;
  for (size_t i = 0; i < shown.len; i++) {
    differs |= (unsigned char)(shown.ptr[i] ^ token.ptr[token.len > 0 ? i % token.len : 0]);
  }
  return differs == 0;
}

static bool shows_token(const struct wr_gate *g, const struct wr_head *head)
{
  char room[CREDENTIALS_MAX];
  struct wr_str rest = wr_headers_get(&head->headers, WR_STR("Authorization"));
  struct wr_str scheme = wr_str_split(&rest, ' ');
  struct wr_str shown = wr_str_trim(rest);
  if (wr_str_eq_nocase(scheme, WR_STR("Basic"))) {
    shown = decode(shown, room);
    wr_str_split(&shown, ':');
  } else if (!wr_str_eq_nocase(scheme, WR_STR("Bearer"))) {
    return false;
  }
  return shown.ptr && is_same(shown, wr_str_of(g->token));
}

static bool is_probe(struct wr_str path)
{
  return wr_str_eq(path, WR_STR("/livez")) || wr_str_eq(path, WR_STR("/readyz"));
}

bool wr_gate_admits(const struct wr_gate *g, struct wr_exchange *x)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  if (!g->is_tcp) return true;
  if (!is_loopback_host(info->head->host)) {
    wr_page_reply_text(x, 403, "the admin listener answers to loopback hosts only\n");
  } else if (is_of_another_page(info->head)) {
    wr_page_reply_text(x, 403, "the admin listener takes no orders from web pages\n");
  } else if (g->token && !is_probe(info->path) && !shows_token(g, info->head)) {
    wr_page_ask_for_token(x);
  } else {
    return true;
  }
  return false;
}
