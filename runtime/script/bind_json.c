// JSON text to Lua values, through base/json_reader.h. Writing is bind_json_encode.c.
//
// null is `core.json_null`; arrays carry a metatable, so that an empty one stays an array. Numbers
// are doubles: whole ones up to 2^53 are exact both ways. Whatever is wrong is returned as nil and
// a message, never raised: the text may be the world's.
#include "script/bind_json.h"

#include "base/json_reader.h"
#include "script/bind.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

enum {
  VALUES_MAX = 500000, // json_values
};

static const char null_mark = 0; // its address is core.json_null

void *wr_bind_json_null(void)
{
  return (void *)(uintptr_t)&null_mark;
}

static const char ARRAY_META[] = "weir.json.array";
static const char READER_META[] = "weir.json.reader";

bool wr_bind_json_is_array(lua_State *L, int index)
{
  if (!lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, ARRAY_META);
  bool is_array = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_array;
}

// `nil, message`.
__attribute__((format(printf, 2, 3))) static int fail(lua_State *L, const char *format, ...)
{
  char text[320];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

// Decoding.

// What is being read. On the Lua stack stand the tables that are open, each object's with the key
// of the member that comes next above it.
struct decoder {
  lua_State *L;
  struct wr_json_reader *reader;
  int values;
  int indices[WR_JSON_DEPTH_MAX + 1]; // of arrays: elements done
};

// The reader's own memory is in a userdata, so that an error of Lua's cannot leak it.
static struct wr_json_reader *new_reader(lua_State *L, struct wr_str text)
{
  struct wr_json_reader *r = lua_newuserdata(L, sizeof(*r));
  // Time stops it. What it adds to the memory is judged behind it, and json_values bounds that.
  wr_json_reader_init(r, text, &wr_vm_of(L)->is_late);
  luaL_getmetatable(L, READER_META);
  lua_setmetatable(L, -2);
  return r;
}

static int free_reader(lua_State *L)
{
  wr_json_reader_fini(lua_touserdata(L, 1));
  return 0;
}

static void push_string(lua_State *L, struct wr_str text)
{
  lua_pushlstring(L, text.ptr, text.len);
}

// Pushes what a token stands for: nothing for the end of a container.
static void push_value(struct decoder *d, enum wr_json_token token)
{
  lua_State *L = d->L;
  switch (token) {
  case WR_JSON_KEY:
  case WR_JSON_STRING: push_string(L, d->reader->string); break;
  case WR_JSON_NUMBER: lua_pushnumber(L, d->reader->number); break;
  case WR_JSON_TRUE:
  case WR_JSON_FALSE: lua_pushboolean(L, token == WR_JSON_TRUE); break;
  case WR_JSON_NULL: lua_pushlightuserdata(L, wr_bind_json_null()); break;
  case WR_JSON_OBJECT: lua_newtable(L); break;
  case WR_JSON_ARRAY:
    lua_newtable(L);
    luaL_getmetatable(L, ARRAY_META);
    lua_setmetatable(L, -2);
    d->indices[d->reader->depth] = 0;
    break;
  default: break;
  }
}

// With a finished value on top, and in objects its key below, stores it in the table it is in.
static void store(struct decoder *d)
{
  const struct wr_json_reader *r = d->reader;
  if (r->depth == 0) return;
  if (r->is_object[r->depth - 1]) {
    lua_rawset(d->L, -3);
  } else {
    lua_rawseti(d->L, -2, ++d->indices[r->depth]);
  }
}

// Pushes the whole text as a Lua value, or says how it ended otherwise.
static enum wr_json_token decode(struct decoder *d)
{
  enum wr_json_token token;
  while ((token = wr_json_reader_next(d->reader)) > WR_JSON_END) {
    bool ends = token == WR_JSON_OBJECT_END || token == WR_JSON_ARRAY_END;
    if (token != WR_JSON_KEY && !ends && ++d->values > VALUES_MAX) {
      snprintf(d->reader->why, sizeof(d->reader->why), "more than %d values", VALUES_MAX);
      return WR_JSON_WRONG;
    }
    push_value(d, token);
    if (token != WR_JSON_KEY && token != WR_JSON_OBJECT && token != WR_JSON_ARRAY) store(d);
  }
  return token;
}

static int fail_at(lua_State *L, const struct wr_json_reader *r)
{
  size_t line, column;
  wr_json_reader_place(r, &line, &column);
  return fail(L, "%zu:%zu: %s", line, column, r->why);
}

// core.json_decode(text): the value; or nil and "line:column: what is wrong".
static int l_json_decode(lua_State *L)
{
  struct wr_str text;
  text.ptr = luaL_checklstring(L, 1, &text.len);
  size_t size_max = wr_vm_of(L)->limits.string_bytes;
  if (text.len > size_max) {
    return fail(L, "the text is %zu bytes long, script_string allows %zu", text.len, size_max);
  }
  luaL_checkstack(L, 2 * WR_JSON_DEPTH_MAX + 8, "too deep");
  struct decoder d = {.L = L, .reader = new_reader(L, text)};
  enum wr_json_token end = decode(&d);
  if (end == WR_JSON_STOPPED) return luaL_error(L, "interrupted");
  if (end == WR_JSON_WRONG) return fail_at(L, d.reader);
  wr_json_reader_fini(d.reader);
  return 1;
}

// core.json_array(list): marks `list` (or a new table) as an array and returns it.
static int l_json_array(lua_State *L)
{
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getmetatable(L, 1) && !wr_bind_json_is_array(L, 1)) {
    return luaL_argerror(L, 1, "a table without a metatable expected");
  }
  luaL_getmetatable(L, ARRAY_META);
  lua_setmetatable(L, 1);
  lua_settop(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"json_decode", l_json_decode},
    {"json_array", l_json_array},
    {NULL, NULL},
};

static void new_meta(lua_State *L, const char *name, lua_CFunction gc)
{
  luaL_newmetatable(L, name);
  if (gc != NULL) {
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
}

int wr_bind_json(lua_State *L)
{
  lua_settop(L, 1);
  new_meta(L, ARRAY_META, NULL);
  new_meta(L, READER_META, free_reader);
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, wr_bind_json_null());
  lua_setfield(L, 1, "json_null");
  return wr_bind_json_encode(L);
}
