#include "cli/query.h"

#include "base/alloc.h"
#include "base/str.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

// NOLINTBEGIN(misc-no-recursion): as deep as the query, which is the caller's own and at most
// WR_QUERY_DEPTH_MAX deep; `and` and `or` of one level lean to the left, by a few bytes each.

// A tree of nodes: inner ones join what is left and right, leaves compare a field with a value.
enum kind { AND, OR, NOT, IS, EQ, NE, LT, LE, GT, GE, HAS };

struct wr_query {
  enum kind kind;
  struct wr_query *left, *right; // AND, OR, NOT (left only)
  struct wr_str field;           // the others
  json_t *value;                 // EQ to HAS
};

struct reader {
  const char *text;
  const char *at;
  int depth;
  struct wr_error *error;
};

void wr_query_free(struct wr_query *q)
{
  if (q == NULL) return;
  wr_query_free(q->left);
  wr_query_free(q->right);
  json_decref(q->value);
  wr_free(q);
}

static struct wr_query *node(enum kind kind, struct wr_query *left, struct wr_query *right)
{
  struct wr_query *q = wr_alloc(sizeof(*q));
  *q = (struct wr_query){.kind = kind, .left = left, .right = right};
  return q;
}

// --- reading ------------------------------------------------------------------------------------

static void skip_space(struct reader *r)
{
  while (isspace((unsigned char)*r->at)) r->at++;
}

static struct wr_query *fail(struct reader *r, const char *wanted)
{
  int column = (int)(r->at - r->text) + 1;
  if (*r->at == '\0') {
    wr_error_set(r->error, WR_ERROR_INVALID, "column %d: it ends where %s should be", column,
                 wanted);
  } else {
    wr_error_set(r->error, WR_ERROR_INVALID, "column %d: '%.20s' is not %s", column, r->at, wanted);
  }
  return NULL;
}

static bool is_name(char c)
{
  return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

// A sign, or a word that no name goes on behind.
static bool take(struct reader *r, const char *token)
{
  size_t len = strlen(token);
  skip_space(r);
  if (strncmp(r->at, token, len) != 0) return false;
  if (isalpha((unsigned char)token[0]) && is_name(r->at[len])) return false;
  r->at += len;
  return true;
}

static struct wr_str take_name(struct reader *r)
{
  skip_space(r);
  const char *from = r->at;
  while (is_name(*r->at)) r->at++;
  return (struct wr_str){from, (size_t)(r->at - from)};
}

static json_t *read_text(struct reader *r)
{
  char quote = *r->at;
  const char *end = strchr(r->at + 1, quote);
  if (end == NULL) return NULL;
  json_t *text = json_stringn(r->at + 1, (size_t)(end - r->at - 1));
  r->at = end + 1;
  return text;
}

static json_t *read_value(struct reader *r)
{
  skip_space(r);
  if (*r->at == '"' || *r->at == '\'') return read_text(r);
  if (take(r, "true")) return json_true();
  if (take(r, "false")) return json_false();
  if (take(r, "null")) return json_null();
  char *end = NULL;
  double number = strtod(r->at, &end);
  if (end == r->at || is_name(*end)) return NULL;
  r->at = end;
  return json_real(number);
}

static struct wr_query *read_comparison(struct reader *r)
{
  static const struct {
    const char *sign;
    enum kind kind;
  } signs[] = {{"==", EQ}, {"!=", NE}, {"<=", LE}, {">=", GE},
               {"<", LT},  {">", GT},  {"=", EQ},  {"~", HAS}};
  struct wr_str field = take_name(r);
  if (field.len == 0 || isdigit((unsigned char)field.ptr[0])) {
    r->at = field.ptr;
    return fail(r, "the name of a field");
  }
  struct wr_query *q = node(IS, NULL, NULL);
  q->field = field;
  for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
    if (!take(r, signs[i].sign)) continue;
    q->kind = signs[i].kind;
    q->value = read_value(r);
    if (q->value != NULL) return q;
    wr_query_free(q);
    return fail(r, "a number, a \"text\", true, false or null");
  }
  return q;
}

static struct wr_query *read_any(struct reader *r);

static struct wr_query *read_one(struct reader *r)
{
  if (r->depth == WR_QUERY_DEPTH_MAX) return fail(r, "less deeply nested");
  r->depth++;
  struct wr_query *q = NULL;
  if (take(r, "not") || take(r, "!")) {
    q = read_one(r);
    if (q) q = node(NOT, q, NULL);
  } else if (take(r, "(")) {
    q = read_any(r);
    if (q && !take(r, ")")) {
      wr_query_free(q);
      q = fail(r, "`)`, `and` or `or`");
    }
  } else {
    q = read_comparison(r);
  }
  r->depth--;
  return q;
}

// `left` joined with what follows; frees it when that is wrong.
static struct wr_query *join(struct wr_query *left, enum kind kind, struct wr_query *right)
{
  if (right) return node(kind, left, right);
  wr_query_free(left);
  return NULL;
}

static struct wr_query *read_all(struct reader *r)
{
  struct wr_query *q = read_one(r);
  while (q && (take(r, "and") || take(r, "&&"))) q = join(q, AND, read_one(r));
  return q;
}

static struct wr_query *read_any(struct reader *r)
{
  struct wr_query *q = read_all(r);
  while (q && (take(r, "or") || take(r, "||"))) q = join(q, OR, read_all(r));
  return q;
}

struct wr_query *wr_query_new(const char *text, struct wr_error *error)
{
  struct reader r = {.text = text, .at = text, .error = error};
  struct wr_query *q = read_any(&r);
  skip_space(&r);
  if (q == NULL || *r.at == '\0') return q;
  wr_query_free(q);
  return fail(&r, "`and`, `or` or the end");
}

// --- asking -------------------------------------------------------------------------------------

static const json_t *member(const json_t *object, struct wr_str name)
{
  char key[128];
  if (name.len >= sizeof(key)) return NULL;
  memcpy(key, name.ptr, name.len);
  key[name.len] = '\0';
  return json_object_get(object, key);
}

// The member of that name, dots included, else what a path of names leads to.
static const json_t *field_of(const json_t *object, struct wr_str path)
{
  const json_t *whole = member(object, path);
  while (whole == NULL && object != NULL && path.ptr != NULL) {
    struct wr_str name = wr_str_split(&path, '.');
    object = member(object, name);
    if (path.ptr == NULL) return object;
  }
  return whole;
}

static bool has(const json_t *field, const json_t *value)
{
  const char *text = json_string_value(field);
  const char *part = json_string_value(value);
  return text && part && strstr(text, part) != NULL;
}

// Less than 0, 0, or more than 0; false when the two cannot be compared.
static bool compare(const json_t *field, const json_t *value, int *order)
{
  if (json_is_number(field) && json_is_number(value)) {
    double a = json_number_value(field);
    double b = json_number_value(value);
    *order = (a > b) - (a < b);
    return true;
  }
  if (!json_is_string(field) || !json_is_string(value)) return false;
  *order = strcmp(json_string_value(field), json_string_value(value));
  return true;
}

static bool is_equal(const json_t *field, const json_t *value)
{
  int order = 1;
  if (field == NULL) return json_is_null(value);
  return compare(field, value, &order) ? order == 0 : json_equal(field, value);
}

static bool fits_leaf(const struct wr_query *q, const json_t *field)
{
  int order = 0;
  if (q->kind == IS) return field && !json_is_null(field) && !json_is_false(field);
  if (q->kind == EQ) return is_equal(field, q->value);
  if (q->kind == NE) return !is_equal(field, q->value);
  if (q->kind == HAS) return has(field, q->value);
  if (!compare(field, q->value, &order)) return false;
  switch (q->kind) {
  case LT: return order < 0;
  case LE: return order <= 0;
  case GT: return order > 0;
  default: return order >= 0;
  }
}

bool wr_query_fits(const struct wr_query *q, const json_t *object)
{
  if (q == NULL) return true;
  switch (q->kind) {
  case AND: return wr_query_fits(q->left, object) && wr_query_fits(q->right, object);
  case OR: return wr_query_fits(q->left, object) || wr_query_fits(q->right, object);
  case NOT: return !wr_query_fits(q->left, object);
  default: return fits_leaf(q, field_of(object, q->field));
  }
}

// NOLINTEND(misc-no-recursion)
