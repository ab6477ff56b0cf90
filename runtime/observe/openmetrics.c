#include "observe/openmetrics.h"

#include <stdio.h>
#include <string.h>

#define HELP "# HELP "
#define TYPE "# TYPE "
#define TOTAL "_total"

enum { NAME_ROOM = 192 };

static struct wr_str behind(struct wr_str line, size_t len)
{
  return (struct wr_str){line.ptr + len, line.len - len};
}

static bool is_total(struct wr_str name)
{
  size_t len = sizeof(TOTAL) - 1;
  return name.len > len && memcmp(name.ptr + name.len - len, TOTAL, len) == 0;
}

// Is there a family of that name?
static bool has_family(struct wr_str page, struct wr_str name)
{
  char text[NAME_ROOM];
  int len = snprintf(text, sizeof(text), "\n" TYPE "%.*s ", WR_STR_ARG(name));
  return len < (int)sizeof(text) && memmem(page.ptr, page.len, text, (size_t)len) != NULL;
}

// Quotes are escaped here, too.
static bool put_help(struct wr_str name, struct wr_str help, struct wr_buf *out)
{
  bool ok = wr_buf_printf(out, HELP "%.*s ", WR_STR_ARG(name));
  for (size_t i = 0; ok && i < help.len; i++) {
    if (help.ptr[i] == '"') ok = wr_buf_append(out, "\\", 1);
    ok = ok && wr_buf_append(out, help.ptr + i, 1);
  }
  return ok && wr_buf_append(out, "\n", 1);
}

// `help` and `type` are what stands behind HELP and TYPE.
static bool put_family(struct wr_str page, struct wr_str help, struct wr_str type,
                       struct wr_buf *out)
{
  struct wr_str name = wr_str_split(&type, ' ');
  struct wr_str base = name;
  wr_str_split(&help, ' ');
  if (wr_str_eq(type, WR_STR("counter"))) {
    if (is_total(name)) base.len -= sizeof(TOTAL) - 1;
    bool is_free = base.len < name.len && !has_family(page, base);
    if (!is_free) type = WR_STR("unknown");
    if (!is_free) base = name;
  }
  return wr_buf_printf(out, TYPE "%.*s %.*s\n", WR_STR_ARG(base), WR_STR_ARG(type)) &&
         put_help(base, help, out);
}

// Bounds are written as numbers with a fraction: le="1.0".
static bool put_sample(struct wr_str line, struct wr_buf *out)
{
  const char *le = memmem(line.ptr, line.len, "le=\"", 4);
  if (le != NULL && (le[-1] == ',' || le[-1] == '{')) {
    const char *end = le + 4;
    while (*end >= '0' && *end <= '9') end++;
    if (*end == '"' && end > le + 4) {
      size_t before = (size_t)(end - line.ptr);
      return wr_buf_append(out, line.ptr, before) && wr_buf_append(out, ".0", 2) &&
             wr_buf_append(out, end, line.len - before) && wr_buf_append(out, "\n", 1);
    }
  }
  return wr_buf_append_str(out, line) && wr_buf_append(out, "\n", 1);
}

bool wr_openmetrics_write(struct wr_str page, struct wr_buf *out)
{
  struct wr_str rest = page;
  struct wr_str help = {"", 0};
  bool ok = true;
  while (ok && rest.len > 0) {
    struct wr_str line = wr_str_split(&rest, '\n');
    if (wr_str_begins(line, WR_STR(HELP))) {
      help = behind(line, sizeof(HELP) - 1);
    } else if (wr_str_begins(line, WR_STR(TYPE))) {
      ok = put_family(page, help, behind(line, sizeof(TYPE) - 1), out);
    } else if (line.len > 0) {
      ok = put_sample(line, out);
    }
  }
  return ok && wr_buf_append(out, "# EOF\n", 6);
}
