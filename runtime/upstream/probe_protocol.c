#include "upstream/probe_protocol.h"

#include "base/check.h"

#include <stdint.h>

// Redis: one command in RESP, as every version takes it.
static const char PING[] = "*1\r\n$4\r\nPING\r\n";

// PostgreSQL: StartupMessage of protocol 3.0, length first. Whoever leaves while it waits for a
// password is not logged; a Terminate in its place would be.
static const char STARTUP[] = "\0\0\0\x42\0\3\0\0"
                              "user\0weir\0"
                              "database\0postgres\0"
                              "application_name\0weir health\0";

_Static_assert(sizeof(STARTUP) == 0x42, "the length counts itself and the last NUL");

struct wr_str wr_probe_hello(enum wr_health_type type)
{
  switch (type) {
  case WR_HEALTH_TYPE_REDIS: return WR_STR(PING);
  case WR_HEALTH_TYPE_POSTGRES: return (struct wr_str){STARTUP, sizeof(STARTUP)};
  default: return (struct wr_str){NULL, 0};
  }
}

static enum wr_probe_judgement refuse(struct wr_error *error, const char *what, struct wr_str said)
{
  wr_error_set(error, WR_ERROR_REFUSED, "%s says: %.*s", what, WR_STR_ARG(said));
  return WR_PROBE_BAD;
}

static enum wr_probe_judgement no_such(struct wr_error *error, const char *what)
{
  wr_error_set(error, WR_ERROR_PROTOCOL, "what answers is no %s", what);
  return WR_PROBE_BAD;
}

// The error codes of a server that is at work, and only minds who asks.
static bool is_about_us(struct wr_str error)
{
  static const char *const codes[] = {"NOAUTH", "NOPERM", "WRONGPASS"};
  struct wr_str code = wr_str_split(&error, ' ');
  for (size_t i = 0; i < WR_COUNT(codes); i++) {
    if (wr_str_eq(code, wr_str_of(codes[i]))) return true;
  }
  return false;
}

static enum wr_probe_judgement judge_redis(struct wr_str answer, struct wr_error *error)
{
  char first = answer.len > 0 ? answer.ptr[0] : '+';
  if (first != '+' && first != '-') return no_such(error, "Redis");
  const char *end = answer.len > 0 ? memchr(answer.ptr, '\r', answer.len) : NULL;
  if (end == NULL) return WR_PROBE_MORE;
  struct wr_str line = {answer.ptr + 1, (size_t)(end - answer.ptr) - 1};
  if (first == '-') return is_about_us(line) ? WR_PROBE_GOOD : refuse(error, "Redis", line);
  return wr_str_eq(line, WR_STR("PONG")) ? WR_PROBE_GOOD : no_such(error, "Redis");
}

static uint32_t read_be32(const char *p)
{
  const unsigned char *u = (const unsigned char *)p;
  return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

// The field `code` of an ErrorResponse: fields are a code, a text and a NUL; a NUL ends them.
static struct wr_str error_field(struct wr_str fields, char code)
{
  while (fields.len > 1 && fields.ptr[0] != '\0') {
    struct wr_str text = wr_str_split(&fields, '\0');
    if (text.ptr[0] == code) return (struct wr_str){text.ptr + 1, text.len - 1};
  }
  return (struct wr_str){NULL, 0};
}

static enum wr_probe_judgement judge_postgres(struct wr_str answer, struct wr_error *error)
{
  enum { HEAD = 5, LONGEST = 64 * 1024 };
  if (answer.len > 0 && answer.ptr[0] != 'R' && answer.ptr[0] != 'E') {
    return no_such(error, "PostgreSQL");
  }
  if (answer.len < HEAD) return WR_PROBE_MORE;
  uint32_t length = read_be32(answer.ptr + 1);
  if (length < 8 || length > LONGEST) return no_such(error, "PostgreSQL");
  if (answer.ptr[0] == 'R') return WR_PROBE_GOOD;
  struct wr_str fields = {answer.ptr + HEAD, answer.len - HEAD};
  if (fields.len > length - 4) fields.len = length - 4;
  bool is_whole = fields.len == length - 4;
  struct wr_str state = error_field(fields, 'C');
  struct wr_str message = error_field(fields, 'M');
  if (!is_whole && (state.ptr == NULL || message.ptr == NULL)) return WR_PROBE_MORE;
  if (state.ptr == NULL) return no_such(error, "PostgreSQL");
  if (wr_str_begins(state, WR_STR("57P")) || wr_str_begins(state, WR_STR("53"))) {
    return refuse(error, "PostgreSQL", message);
  }
  return WR_PROBE_GOOD;
}

enum wr_probe_judgement wr_probe_judge(enum wr_health_type type, struct wr_str answer,
                                       struct wr_error *error)
{
  switch (type) {
  case WR_HEALTH_TYPE_REDIS: return judge_redis(answer, error);
  case WR_HEALTH_TYPE_POSTGRES: return judge_postgres(answer, error);
  default: return WR_PROBE_GOOD;
  }
}
