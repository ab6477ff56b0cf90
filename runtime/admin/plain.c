#include "admin/plain.h"

#include <jansson.h>

enum { DEPTH = 16 }; // of a document

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

static bool put_scalar(struct wr_buf *out, json_t *value)
{
  switch (json_typeof(value)) {
  case JSON_STRING: return put_text(out, json_string_value(value));
  case JSON_INTEGER: return wr_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  case JSON_REAL: return wr_buf_printf(out, "%.6g", json_real_value(value));
  case JSON_TRUE: return put(out, "yes");
  case JSON_FALSE: return put(out, "no");
  default: return put(out, "–");
  }
}

static bool put_list(struct wr_buf *out, json_t *array)
{
  size_t i;
  json_t *value;
  bool ok = json_array_size(array) > 0 || put(out, "none");
  json_array_foreach(array, i, value)
  {
    ok = ok && (i == 0 || put(out, ", ")) && put_scalar(out, value);
  }
  return ok;
}

// --- what holds other values --------------------------------------------------------------------

enum shape { MEMBERS, ROW, ROWS };

// How each begins, what stands around one of its values, and how it ends.
static const struct {
  const char *begin, *before, *after, *end;
} tags[] = {
    [MEMBERS] = {"<dl>\n", "<dd>", "</dd>\n", "</dl>\n"},
    [ROW] = {"<tr>", "<td>", "</td>", "</tr>\n"},
    [ROWS] = {"<table>\n", "", "", "</table>\n"},
};

// One that was begun.
struct frame {
  json_t *value;
  enum shape shape;
  void *at;       // MEMBERS, ROW: the next member
  size_t index;   // ROWS: the next element
  size_t columns; // ROWS: of the last head
};

struct page {
  struct wr_buf *out;
  struct frame frames[DEPTH];
  int depth;
};

static bool begin(struct page *p, json_t *value, enum shape shape)
{
  if (p->depth == DEPTH) return false;
  p->frames[p->depth++] = (struct frame){
      .value = value, .shape = shape, .at = shape == ROWS ? NULL : json_object_iter(value)};
  return put(p->out, tags[shape].begin);
}

static bool enter(struct page *p, json_t *value)
{
  if (json_is_object(value)) return begin(p, value, MEMBERS);
  if (json_is_object(json_array_get(value, 0))) return begin(p, value, ROWS);
  return json_is_array(value) ? put_list(p->out, value) : put_scalar(p->out, value);
}

// Of objects with other members than those above.
static bool put_head(struct wr_buf *out, json_t *object)
{
  const char *key;
  json_t *value;
  bool ok = put(out, "<tr>");
  json_object_foreach(object, key, value)
  {
    ok = ok && put(out, "<th scope=\"col\">") && put_name(out, key) && put(out, "</th>");
  }
  return ok && put(out, "</tr>\n");
}

static bool next_row(struct page *p, struct frame *f)
{
  json_t *object = json_array_get(f->value, f->index++);
  bool has_head = json_object_size(object) == f->columns;
  f->columns = json_object_size(object);
  return (has_head || put_head(p->out, object)) && begin(p, object, ROW);
}

static bool next_member(struct page *p, struct frame *f)
{
  const char *key = json_object_iter_key(f->at);
  json_t *value = json_object_iter_value(f->at);
  f->at = json_object_iter_next(f->value, f->at);
  bool ok =
      f->shape == ROW || (put(p->out, "<dt>") && put_name(p->out, key) && put(p->out, "</dt> "));
  int depth = p->depth;
  ok = ok && put(p->out, tags[f->shape].before) && enter(p, value);
  // What was begun ends later, and what stands behind it then.
  return ok && (p->depth > depth || put(p->out, tags[f->shape].after));
}

static bool end(struct page *p, const struct frame *f)
{
  bool ok = put(p->out, tags[f->shape].end);
  p->depth--;
  return ok && (p->depth == 0 || put(p->out, tags[p->frames[p->depth - 1].shape].after));
}

static bool put_value(struct wr_buf *out, json_t *value)
{
  struct page p = {.out = out};
  bool ok = enter(&p, value);
  while (ok && p.depth > 0) {
    struct frame *f = &p.frames[p.depth - 1];
    bool has_more = f->shape == ROWS ? f->index < json_array_size(f->value) : f->at != NULL;
    if (!has_more) {
      ok = end(&p, f);
    } else if (f->shape == ROWS) {
      ok = next_row(&p, f);
    } else {
      ok = next_member(&p, f);
    }
  }
  return ok;
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
