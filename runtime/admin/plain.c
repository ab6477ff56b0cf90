#include "admin/plain.h"

#include <jansson.h>

#define HEAD                                                                                       \
  "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                        \
  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                     \
  "<meta name=\"color-scheme\" content=\"light dark\">\n<title>weir</title>\n"                     \
  "<link rel=\"icon\" href=\"data:,\">\n"                                                          \
  "<link rel=\"stylesheet\" href=\"/dashboard/page.css\">\n</head>\n<body class=\"plain\">\n"      \
  "<main>\n<h1>weir</h1>\n"                                                                        \
  "<p><a href=\"/plain\">Again</a> · <a href=\"/\">Dashboard</a> · "                             \
  "<a href=\"/status\">JSON</a></p>\n"

static bool put(struct wr_buf *out, const char *text)
{
  return wr_buf_append(out, text, strlen(text));
}

static bool put_text(struct wr_buf *out, const char *text)
{
  bool ok = true;
  for (; ok && *text; text++) {
    switch (*text) {
    case '&': ok = put(out, "&amp;"); break;
    case '<': ok = put(out, "&lt;"); break;
    case '>': ok = put(out, "&gt;"); break;
    default: ok = wr_buf_append(out, text, 1);
    }
  }
  return ok;
}

// "failure_rate" as words.
static bool put_name(struct wr_buf *out, const char *name)
{
  bool ok = true;
  for (; ok && *name; name++) ok = put_text(out, (char[]){*name == '_' ? ' ' : *name, '\0'});
  return ok;
}

static bool put_value(struct wr_buf *out, json_t *value);

static bool put_members(struct wr_buf *out, json_t *object)
{
  const char *key;
  json_t *value;
  bool ok = put(out, "<dl>\n");
  json_object_foreach(object, key, value)
  {
    ok = ok && put(out, "<dt>") && put_name(out, key) && put(out, "</dt> <dd>") &&
         put_value(out, value) && put(out, "</dd>\n");
  }
  return ok && put(out, "</dl>\n");
}

static bool put_row(struct wr_buf *out, json_t *object)
{
  const char *key;
  json_t *value;
  bool ok = put(out, "<tr>");
  json_object_foreach(object, key, value)
  {
    ok = ok && put(out, "<td>") && put_value(out, value) && put(out, "</td>");
  }
  return ok && put(out, "</tr>\n");
}

// Objects with the same members; one that differs has rows of its own names.
static bool put_rows(struct wr_buf *out, json_t *array)
{
  size_t i;
  json_t *object;
  size_t columns = 0;
  bool ok = put(out, "<table>\n");
  json_array_foreach(array, i, object)
  {
    if (json_object_size(object) != columns) {
      const char *key;
      json_t *value;
      columns = json_object_size(object);
      ok = ok && put(out, "<tr>");
      json_object_foreach(object, key, value)
      {
        ok = ok && put(out, "<th scope=\"col\">") && put_name(out, key) && put(out, "</th>");
      }
      ok = ok && put(out, "</tr>\n");
    }
    ok = ok && put_row(out, object);
  }
  return ok && put(out, "</table>\n");
}

static bool put_list(struct wr_buf *out, json_t *array)
{
  size_t i;
  json_t *value;
  bool ok = true;
  if (json_array_size(array) == 0) return put(out, "none");
  if (json_is_object(json_array_get(array, 0))) return put_rows(out, array);
  json_array_foreach(array, i, value)
  {
    ok = ok && (i == 0 || put(out, ", ")) && put_value(out, value);
  }
  return ok;
}

static bool put_value(struct wr_buf *out, json_t *value)
{
  switch (json_typeof(value)) {
  case JSON_OBJECT: return put_members(out, value);
  case JSON_ARRAY: return put_list(out, value);
  case JSON_STRING: return put_text(out, json_string_value(value));
  case JSON_INTEGER: return wr_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  case JSON_REAL: return wr_buf_printf(out, "%.6g", json_real_value(value));
  case JSON_TRUE: return put(out, "yes");
  case JSON_FALSE: return put(out, "no");
  default: return put(out, "–");
  }
}

// Single values together, then a section for each that has members.
static bool put_document(struct wr_buf *out, json_t *document)
{
  const char *key;
  json_t *value;
  bool ok = put(out, "<section><dl>\n");
  json_object_foreach(document, key, value)
  {
    if (json_is_object(value) || json_is_array(value)) continue;
    ok = ok && put(out, "<dt>") && put_name(out, key) && put(out, "</dt> <dd>") &&
         put_value(out, value) && put(out, "</dd>\n");
  }
  ok = ok && put(out, "</dl></section>\n");
  json_object_foreach(document, key, value)
  {
    if (!json_is_object(value) && !json_is_array(value)) continue;
    ok = ok && put(out, "<section tabindex=\"0\"><h2>") && put_name(out, key) &&
         put(out, "</h2>\n") && put_value(out, value) && put(out, "</section>\n");
  }
  return ok;
}

bool wr_plain_write(struct wr_str json, struct wr_buf *out)
{
  json_t *document = json_loadb(json.ptr, json.len, 0, NULL);
  bool ok = json_is_object(document) && put(out, HEAD) && put_document(out, document) &&
            put(out, "</main>\n</body>\n</html>\n");
  json_decref(document);
  return ok;
}
