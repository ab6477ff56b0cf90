#include "base/error.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
  const char *name;
  int status;
  int grpc;
  const char *why;
  const char *proxy;
};

static const struct row rows[WR_ERROR_KINDS] = {
    [WR_ERROR_NONE] = {"none", 200, 0, "ok", ""},
#define WR_ERROR(ENUM, name, status, grpc, why, proxy, meaning)                                    \
  [WR_ERROR_##ENUM] = {name, status, grpc, why, proxy},
#include "tables/errors.def"
#undef WR_ERROR
};

void wr_error_set(struct wr_error *e, enum wr_error_kind kind, const char *format, ...)
{
  *e = (struct wr_error){.kind = kind};
  va_list args;
  va_start(args, format);
  vsnprintf(e->message, sizeof(e->message), format, args);
  va_end(args);
}

const char *wr_error_name(enum wr_error_kind kind)
{
  WR_CHECK(kind < WR_ERROR_KINDS);
  return rows[kind].name;
}

enum wr_error_kind wr_error_find(const char *name)
{
  for (int i = 1; i < WR_ERROR_KINDS; i++) {
    if (strcmp(rows[i].name, name) == 0) return (enum wr_error_kind)i;
  }
  return WR_ERROR_NONE;
}

int wr_error_status(enum wr_error_kind kind)
{
  WR_CHECK(kind < WR_ERROR_KINDS);
  return rows[kind].status;
}

int wr_error_grpc(enum wr_error_kind kind)
{
  WR_CHECK(kind < WR_ERROR_KINDS);
  return rows[kind].grpc;
}

const char *wr_error_why(enum wr_error_kind kind)
{
  WR_CHECK(kind < WR_ERROR_KINDS);
  return rows[kind].why;
}

const char *wr_error_proxy(enum wr_error_kind kind)
{
  WR_CHECK(kind < WR_ERROR_KINDS);
  return rows[kind].proxy;
}

bool wr_error_is_local(enum wr_error_kind kind)
{
  return kind == WR_ERROR_REFUSED || kind == WR_ERROR_LIMITED || kind == WR_ERROR_SHED ||
         kind == WR_ERROR_CANCELLED || kind == WR_ERROR_RETIRED || kind == WR_ERROR_SCRIPT ||
         kind == WR_ERROR_CLOSED;
}
