// core.json_encode: Lua values to JSON text, without recursion, through base/json.h.
#include "script/bind_json.h"

#include "base/json.h"
#include "base/json_reader.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
  DEPTH_MAX = WR_JSON_DEPTH_MAX,
  KEEP_BYTES = 64 * 1024, // an output buffer above this is given back after use
  PATH_MAX_BYTES = 160,
};

static const double INT_MAX_EXACT = 9007199254740992.0; // 2^53

static const char OUTPUT_META[] = "weir.json.output";

// One table on the way down. On the Lua stack it has the table and the key done last.
struct table {
  const void *id;
  bool is_array;
  int length; // arrays
  int index;  // arrays: elements done
};

struct encoder {
  lua_State *L;
  const struct wr_vm *vm;
  struct wr_json json;
  int base; // stack index of the first table
  int depth;
  struct table tables[DEPTH_MAX];
  char error[192];
};

// What is written to, kept from call to call; a userdata, so that an error of Lua's leaks nothing.
struct output {
  struct wr_buf text;
  struct wr_buf pretty;
};

static struct output *check_output(lua_State *L)
{
  return lua_touserdata(L, lua_upvalueindex(1));
}

static int free_output(lua_State *L)
{
  struct output *out = lua_touserdata(L, 1);
  wr_buf_fini(&out->text);
  wr_buf_fini(&out->pretty);
  return 0;
}

// Where the encoder is, as "items[3].name", for messages.
static void print_path(struct encoder *e, char *out, size_t size)
{
  size_t at = 0;
  out[0] = '\0';
  for (int i = 0; i < e->depth && at < size; i++) {
    const struct table *t = &e->tables[i];
    int key = e->base + 2 * i + 1;
    int len = 0;
    if (t->is_array) {
      len = snprintf(out + at, size - at, "[%d]", t->index);
    } else if (lua_type(e->L, key) == LUA_TSTRING) {
      len = snprintf(out + at, size - at, "%s%.40s", i > 0 ? "." : "", lua_tostring(e->L, key));
    }
    at += (size_t)len;
  }
  if (out[0] == '\0') snprintf(out, size, "the top");
}

// Sets the message with the place; returns false.
__attribute__((format(printf, 2, 3))) static bool refuse(struct encoder *e, const char *format, ...)
{
  char path[PATH_MAX_BYTES];
  char what[96];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof(what), format, args);
  va_end(args);
  print_path(e, path, sizeof(path));
  snprintf(e->error, sizeof(e->error), "%s at %.*s", what, 80, path);
  return false;
}

// Are the keys of the table on top exactly 1..length? Sets the error for a mixture.
static bool check_list(struct encoder *e, int length)
{
  lua_State *L = e->L;
  int count = 0;
  for (lua_pushnil(L); lua_next(L, -2); count++) {
    lua_pop(L, 1);
    double key = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (wr_vm_is_stopping(e->vm)) {
      lua_pop(L, 1);
      return refuse(e, "interrupted");
    }
    if (key < 1 || key > length || floor(key) != key) {
      const char *type = lua_typename(L, lua_type(L, -1));
      lua_pop(L, 1);
      return refuse(e, "a list with a key that is no index (a %s)", type);
    }
  }
  return count == length || refuse(e, "a list with holes");
}

// Opens the table on top of the stack and leaves room for its key above it.
static bool open_table(struct encoder *e)
{
  lua_State *L = e->L;
  const void *id = lua_topointer(L, -1);
  for (int i = 0; i < e->depth; i++) {
    if (e->tables[i].id == id) return refuse(e, "a table that contains itself");
  }
  if (e->depth == DEPTH_MAX) return refuse(e, "more than %d levels deep", DEPTH_MAX);
  size_t length = lua_objlen(L, -1);
  bool is_marked = wr_bind_json_is_array(L, lua_gettop(L));
  if (length > INT32_MAX) return refuse(e, "a list that is too long");
  bool is_array = length > 0 || is_marked;
  if (is_array && !check_list(e, (int)length)) return false;
  e->tables[e->depth++] = (struct table){.id = id, .is_array = is_array, .length = (int)length};
  lua_pushnil(L);
  if (is_array) {
    wr_json_array(&e->json);
  } else {
    wr_json_object(&e->json);
  }
  return true;
}

static void close_table(struct encoder *e)
{
  if (e->tables[--e->depth].is_array) {
    wr_json_array_end(&e->json);
  } else {
    wr_json_object_end(&e->json);
  }
}

// Writes the value on top and pops it, or opens it when it is a table.
static bool write_value(struct encoder *e)
{
  lua_State *L = e->L;
  struct wr_str text;
  double number;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: return open_table(e);
  case LUA_TSTRING:
    text.ptr = lua_tolstring(L, -1, &text.len);
    wr_json_str(&e->json, text);
    break;
  case LUA_TNUMBER:
    number = lua_tonumber(L, -1);
    if (!isfinite(number)) return refuse(e, "a number that JSON has no word for (%g)", number);
    if (floor(number) == number && fabs(number) <= INT_MAX_EXACT) {
      wr_json_int(&e->json, (int64_t)number);
    } else {
      wr_json_num(&e->json, number);
    }
    break;
  case LUA_TBOOLEAN: wr_json_bool(&e->json, lua_toboolean(L, -1)); break;
  case LUA_TNIL: wr_json_null(&e->json); break;
  case LUA_TLIGHTUSERDATA:
    if (lua_touserdata(L, -1) != wr_bind_json_null()) return refuse(e, "a userdata");
    wr_json_null(&e->json);
    break;
  default: return refuse(e, "a %s", luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return true;
}

// Pushes the next value of the innermost table. 1, or 0 at its end (table and key popped), -1
// refused.
static int next_value(struct encoder *e)
{
  lua_State *L = e->L;
  struct table *t = &e->tables[e->depth - 1];
  if (t->is_array) {
    if (t->index == t->length) {
      lua_pop(L, 2);
      return 0;
    }
    lua_rawgeti(L, -2, ++t->index);
    return 1;
  }
  if (!lua_next(L, -2)) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -2) != LUA_TSTRING) {
    refuse(e, "a key that is no string (a %s) in an object", luaL_typename(L, -2));
    return -1;
  }
  struct wr_str key;
  key.ptr = lua_tolstring(L, -2, &key.len);
  wr_json_key_str(&e->json, key);
  return 1;
}

static bool refuse_length(struct encoder *e)
{
  snprintf(e->error, sizeof(e->error), "the text is longer than script_string allows (%zu)",
           e->json.out->max);
  return false;
}

static bool refuse_layout(struct encoder *e)
{
  return wr_vm_is_stopping(e->vm) ? refuse(e, "interrupted") : refuse_length(e);
}

// Writes the value on top of the stack. False with the error set.
static bool encode(struct encoder *e)
{
  e->base = lua_gettop(e->L);
  if (!write_value(e)) return false;
  while (e->depth > 0 && !e->json.failed) {
    if (wr_vm_is_stopping(e->vm)) return refuse(e, "interrupted");
    int more = next_value(e);
    if (more < 0 || (more > 0 && !write_value(e))) return false;
    if (more == 0) close_table(e);
  }
  return !e->json.failed || refuse_length(e);
}

// Layout of finished text: two spaces a level.

struct layout {
  struct wr_buf *out;
  int depth;
  bool failed; // the buffer said no
};

static void put(struct layout *l, const char *text, size_t len)
{
  if (!wr_buf_append(l->out, text, len)) l->failed = true;
}

static void new_line(struct layout *l)
{
  put(l, "\n", 1);
  for (int i = 0; i < l->depth; i++) put(l, "  ", 2);
}

// Length of the string literal, with its quotes, or the empty container at the start of `text`;
// 1 for any other byte.
static size_t token_length(struct wr_str text)
{
  char first = text.ptr[0];
  char second = text.len > 1 ? text.ptr[1] : '\0';
  if ((first == '{' && second == '}') || (first == '[' && second == ']')) return 2;
  if (first != '"') return 1;
  size_t i = 1;
  while (i < text.len && text.ptr[i] != '"') i += text.ptr[i] == '\\' ? 2 : 1;
  return i + 1;
}

// False when the result would be too long, or the script has been long enough inside.
static bool lay_out(struct wr_buf *out, struct wr_str text, const struct wr_vm *vm)
{
  struct layout l = {.out = out};
  size_t len = 0;
  for (size_t i = 0; i < text.len && !l.failed; i += len) {
    if (wr_vm_is_stopping(vm)) return false;
    len = token_length((struct wr_str){text.ptr + i, text.len - i});
    char c = len == 1 ? text.ptr[i] : '\0'; // literals and empty containers stay as they are
    if (c == '}' || c == ']') l.depth--, new_line(&l);
    put(&l, text.ptr + i, len);
    if (c == ':') put(&l, " ", 1);
    if (c == '{' || c == '[') l.depth++, new_line(&l);
    if (c == ',') new_line(&l);
  }
  return !l.failed;
}

static void start_buffer(struct wr_buf *b, size_t max)
{
  if (b->cap > KEEP_BYTES) wr_buf_fini(b);
  wr_buf_clear(b);
  b->max = max;
}

// core.json_encode(value [, pretty]): the text; or nil and what cannot be written, and where.
static int l_json_encode(lua_State *L)
{
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  luaL_checkstack(L, 2 * DEPTH_MAX + 8, "too deep");
  size_t size_max = wr_vm_of(L)->limits.string_bytes;
  struct output *out = check_output(L);
  start_buffer(&out->text, size_max);
  start_buffer(&out->pretty, size_max);
  struct encoder e = {.L = L, .vm = wr_vm_of(L)};
  wr_json_init(&e.json, &out->text);
  lua_pushvalue(L, 1);
  bool ok = encode(&e);
  bool wants_pretty = lua_toboolean(L, 2);
  if (ok && wants_pretty) {
    ok = lay_out(&out->pretty, wr_buf_str(&out->text), e.vm) || refuse_layout(&e);
  }
  if (!ok) {
    lua_pushnil(L);
    lua_pushstring(L, e.error);
    return 2;
  }
  struct wr_str text = wr_buf_str(wants_pretty ? &out->pretty : &out->text);
  lua_pushlstring(L, text.ptr, text.len);
  return 1;
}

int wr_bind_json_encode(lua_State *L)
{
  lua_settop(L, 1);
  luaL_newmetatable(L, OUTPUT_META);
  lua_pushcfunction(L, free_output);
  lua_setfield(L, -2, "__gc");
  struct output *out = lua_newuserdata(L, sizeof(*out));
  wr_buf_init(&out->text, 1);
  wr_buf_init(&out->pretty, 1);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, l_json_encode, 1); // upvalue: what it writes to
  lua_setfield(L, 1, "json_encode");
  return 0;
}
