// JSON text to Lua values: jansson reads, this converts without recursion. Writing is
// bind_json_encode.c.
//
// null is `core.json_null`; arrays carry a metatable, so that an empty one stays an array. Numbers
// are doubles: whole ones up to 2^53 are exact both ways. Whatever is wrong is returned as nil and
// a message, never raised: the text may be the world's.
#include "script/bind_json.h"

#include "script/bind.h"
#include "script/vm.h"

#include <jansson.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

enum {
  DEPTH_MAX = WR_JSON_DEPTH_MAX,
  VALUES_MAX = 500000, // json_values: bounds jansson's tree, which the state's limit does not count
};

static const char null_mark = 0; // its address is core.json_null

void *wr_bind_json_null(void)
{
  return (void *)(uintptr_t)&null_mark;
}

static const char ARRAY_META[] = "weir.json.array";
static const char TREE_META[] = "weir.json.tree";

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

struct scan {
  int depth;
  int values;
  int line;
  int column;
};

// Measures nesting and number of values before jansson, which recurses, sees the text. Stops at the
// first place past a limit.
static bool scan_limits(struct wr_str text, struct scan *scan)
{
  bool in_string = false;
  *scan = (struct scan){.values = 1, .line = 1};
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    scan->column++;
    if (in_string) {
      if (c == '\\') i++, scan->column++;
      if (c == '"') in_string = false;
      continue;
    }
    switch (c) {
    case '"': in_string = true; break;
    case '\n': scan->line++, scan->column = 0; break;
    case '[':
    case '{': scan->depth++, scan->values++; break;
    case ']':
    case '}': scan->depth--; break;
    case ',': scan->values++; break;
    default: break;
    }
    if (scan->depth > DEPTH_MAX || scan->values > VALUES_MAX) return false;
  }
  return true;
}

// jansson's tree lives in a userdata, so that an error of Lua's cannot leak it.
static json_t **new_tree(lua_State *L)
{
  json_t **tree = lua_newuserdata(L, sizeof(json_t *));
  *tree = NULL;
  luaL_getmetatable(L, TREE_META);
  lua_setmetatable(L, -2);
  return tree;
}

static int free_tree(lua_State *L)
{
  json_t **tree = lua_touserdata(L, 1);
  json_decref(*tree);
  *tree = NULL;
  return 0;
}

// One container on the way down; its Lua table is on the stack.
struct level {
  json_t *node;
  size_t index; // arrays: elements done
  void *iter;   // objects: the member to do next
};

// Pushes a scalar, or an empty table for a container. True when it is a container.
static bool push_value(lua_State *L, json_t *node)
{
  switch (json_typeof(node)) {
  case JSON_OBJECT: lua_createtable(L, 0, (int)json_object_size(node)); return true;
  case JSON_ARRAY:
    lua_createtable(L, (int)json_array_size(node), 0);
    luaL_getmetatable(L, ARRAY_META);
    lua_setmetatable(L, -2);
    return true;
  case JSON_STRING: lua_pushlstring(L, json_string_value(node), json_string_length(node)); break;
  case JSON_INTEGER: lua_pushnumber(L, (lua_Number)json_integer_value(node)); break;
  case JSON_REAL: lua_pushnumber(L, json_real_value(node)); break;
  case JSON_TRUE: lua_pushboolean(L, 1); break;
  case JSON_FALSE: lua_pushboolean(L, 0); break;
  case JSON_NULL: lua_pushlightuserdata(L, wr_bind_json_null()); break;
  }
  return false;
}

// Pushes the key (nothing for arrays) of the next child of `at` and returns the child; NULL at the
// end. The caller stores the value.
static json_t *next_child(lua_State *L, struct level *at)
{
  if (json_is_array(at->node)) return json_array_get(at->node, at->index++);
  if (at->iter == NULL) return NULL;
  json_t *child = json_object_iter_value(at->iter);
  const char *key = json_object_iter_key(at->iter);
  lua_pushlstring(L, key, json_object_iter_key_len(at->iter));
  at->iter = json_object_iter_next(at->node, at->iter);
  return child;
}

// With the value on top, and for objects its key below, stores it in the table of `at`.
static void store(lua_State *L, const struct level *at)
{
  if (json_is_array(at->node)) {
    lua_rawseti(L, -2, (int)at->index);
  } else {
    lua_rawset(L, -3);
  }
}

static void enter(struct level *at, json_t *node)
{
  *at = (struct level){.node = node, .iter = json_object_iter(node)};
}

// Pushes the whole tree as a Lua value; the scan has bounded its depth.
static void push_tree(lua_State *L, json_t *root)
{
  struct level levels[DEPTH_MAX + 1];
  const struct wr_vm *vm = wr_vm_of(L);
  int depth = 0;
  if (!push_value(L, root)) return;
  enter(&levels[0], root);
  for (;;) {
    if (wr_vm_is_stopping(vm)) luaL_error(L, "interrupted");
    json_t *child = next_child(L, &levels[depth]);
    if (child != NULL && push_value(L, child)) {
      enter(&levels[++depth], child);
      continue;
    }
    if (child == NULL && depth-- == 0) return;
    store(L, &levels[depth]); // a scalar, or the container that just ended
  }
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
  struct scan scan;
  if (!scan_limits(text, &scan)) {
    bool deep = scan.depth > DEPTH_MAX;
    return fail(L, "%d:%d: more than %d %s", scan.line, scan.column, deep ? DEPTH_MAX : VALUES_MAX,
                deep ? "levels deep" : "values");
  }
  luaL_checkstack(L, 2 * DEPTH_MAX + 8, "too deep");
  json_t **tree = new_tree(L);
  json_error_t error;
  size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
  *tree = json_loadb(text.ptr, text.len, flags, &error);
  if (*tree == NULL) return fail(L, "%d:%d: %s", error.line, error.column, error.text);
  push_tree(L, *tree);
  json_decref(*tree);
  *tree = NULL;
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
  new_meta(L, TREE_META, free_tree);
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, wr_bind_json_null());
  lua_setfield(L, 1, "json_null");
  return wr_bind_json_encode(L);
}
