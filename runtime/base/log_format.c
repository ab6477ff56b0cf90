#include "base/log_format.h"

#include "base/check.h"

static const struct name {
  const char *field, *names[2];
} known[] = {
#define WR_LOG_NAME(ENUM, field, otel, ecs, doc) {field, {otel, ecs}},
#include "tables/log_names.def"
#undef WR_LOG_NAME
};

// --- walking over a line ------------------------------------------------------------------------

// A line is compact JSON of our own: no space between tokens.
struct walk {
  struct wr_str rest;
};

static struct wr_str cut(struct walk *w, size_t len)
{
  struct wr_str piece = {w->rest.ptr, len};
  w->rest = (struct wr_str){w->rest.ptr + len, w->rest.len - len};
  return piece;
}

// Length of the string that begins with the quote at 0, quotes included.
static size_t string_len(struct wr_str s)
{
  for (size_t i = 1; i < s.len; i++) {
    if (s.ptr[i] == '\\')
      i++;
    else if (s.ptr[i] == '"')
      return i + 1;
  }
  return s.len;
}

static size_t value_len(struct wr_str s)
{
  size_t depth = 0;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (c == '"') {
      i += string_len((struct wr_str){s.ptr + i, s.len - i}) - 1;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']' || c == ',') && depth == 0) {
      return i;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return s.len;
}

// The next member: its name without quotes, its value as it stands there.
static bool next_member(struct walk *w, struct wr_str *name, struct wr_str *value)
{
  if (w->rest.len < 2 || w->rest.ptr[0] == '}') return false;
  cut(w, 1); // `{` or `,`
  if (w->rest.ptr[0] != '"') return false;
  struct wr_str quoted = cut(w, string_len(w->rest));
  *name = (struct wr_str){quoted.ptr + 1, quoted.len - 2};
  cut(w, 1); // `:`
  *value = cut(w, value_len(w->rest));
  return true;
}

// --- JSON by other names ------------------------------------------------------------------------

static bool put_name(struct wr_buf *out, enum wr_log_format format, struct wr_str name)
{
  bool is_ecs = format == WR_LOG_ECS;
  for (size_t i = 0; i < WR_COUNT(known); i++) {
    if (wr_str_eq(name, wr_str_of(known[i].field))) {
      return wr_buf_append_str(out, wr_str_of(known[i].names[is_ecs]));
    }
  }
  return wr_buf_append_str(out, is_ecs ? WR_STR("labels.") : WR_STR("weir.")) &&
         wr_buf_append_str(out, name);
}

static bool with_names(enum wr_log_format format, struct wr_str line, struct wr_buf *out)
{
  struct walk w = {line};
  struct wr_str name, value;
  bool fits = true;
  for (char before = '{'; next_member(&w, &name, &value); before = ',') {
    char opening[2] = {before, '"'};
    fits &= wr_buf_append(out, opening, 2) && put_name(out, format, name) &&
            wr_buf_append(out, "\":", 2) && wr_buf_append_str(out, value);
  }
  return fits && wr_buf_append(out, "}", 1);
}

// --- for people ---------------------------------------------------------------------------------

static struct wr_str unquoted(struct wr_str value)
{
  if (value.len < 2 || value.ptr[0] != '"') return value;
  return (struct wr_str){value.ptr + 1, value.len - 2};
}

static struct wr_str member(struct wr_str line, const char *wanted)
{
  struct walk w = {line};
  struct wr_str name, value;
  while (next_member(&w, &name, &value)) {
    if (wr_str_eq(name, wr_str_of(wanted))) return unquoted(value);
  }
  return (struct wr_str){"", 0};
}

// A text stays in its quotes where it would not end by itself.
static bool put_value(struct wr_buf *out, struct wr_str value)
{
  struct wr_str text = unquoted(value);
  bool is_plain = text.len > 0;
  for (size_t i = 0; i < text.len; i++) is_plain &= text.ptr[i] > ' ' && text.ptr[i] != '"';
  return wr_buf_append_str(out, is_plain ? text : value);
}

static bool is_at_front(struct wr_str name)
{
  static const char *const front[] = {"timestamp", "level", "event", "message"};
  for (size_t i = 0; i < WR_COUNT(front); i++) {
    if (wr_str_eq(name, wr_str_of(front[i]))) return true;
  }
  return false;
}

static bool put_front(struct wr_str line, struct wr_buf *out)
{
  struct wr_str level = member(line, "level");
  struct wr_str message = member(line, "message");
  return wr_buf_append_str(out, member(line, "timestamp")) &&
         wr_buf_printf(out, " %-5.*s ", WR_STR_ARG(level)) &&
         wr_buf_append_str(out, member(line, "event")) &&
         (message.len == 0 || (wr_buf_append(out, " ", 1) && wr_buf_append_str(out, message)));
}

static bool as_text(struct wr_str line, struct wr_buf *out)
{
  struct walk w = {line};
  struct wr_str name, value;
  bool fits = put_front(line, out);
  while (next_member(&w, &name, &value)) {
    if (is_at_front(name)) continue;
    fits &= wr_buf_append(out, " ", 1) && wr_buf_append_str(out, name) &&
            wr_buf_append(out, "=", 1) && put_value(out, value);
  }
  return fits;
}

bool wr_log_format_line(enum wr_log_format format, struct wr_str line, struct wr_buf *out)
{
  switch (format) {
  case WR_LOG_OTEL:
  case WR_LOG_ECS: return with_names(format, line, out);
  case WR_LOG_TEXT: return as_text(line, out);
  default: return wr_buf_append_str(out, line);
  }
}

bool wr_log_format_find(struct wr_str name, enum wr_log_format *out)
{
  static const char *const names[WR_LOG_FORMATS] = {"json", "otel", "ecs", "text"};
  for (int i = 0; i < WR_LOG_FORMATS; i++) {
    if (!wr_str_eq(name, wr_str_of(names[i]))) continue;
    *out = (enum wr_log_format)i;
    return true;
  }
  return false;
}
