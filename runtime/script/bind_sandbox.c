// What lua/weir/core builds the policy world from: compiling, the owner's hooks, bounds, sorting.
#include "script/bind.h"

#include "base/check.h"
#include "base/duration.h"
#include "script/call.h"
#include "script/code.h"
#include "script/library.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

// Compiling.

// core.compile_library(name): the chunk of an embedded module in the library world, or nil.
static int l_compile_library(lua_State *L)
{
  const struct wr_library_file *f = wr_library_find(wr_bind_str(L, 1));
  if (f == NULL) return 0;
  struct wr_vm *vm = wr_vm_of(L);
  struct wr_code code = {.path = wr_str_of(f->path),
                         .text = {f->text, f->len},
                         .compiled = wr_library_code(vm->host.library, f)};
  if (wr_code_load(L, &code) != 0) return lua_error(L);
  wr_vm_look_soon(vm);
  return 1;
}

// core.library_modules(): the names of all embedded modules.
static int l_library_modules(lua_State *L)
{
  lua_newtable(L);
  int n = 0;
  for (const struct wr_library_file *f = wr_library_files; f->module != NULL; f++) {
    lua_pushstring(L, f->module);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

// core.compile_module(name, env): the chunk of a module of the bundle with `env`; nil when there is
// none; nil and a message when it does not parse.
static int l_compile_module(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  struct wr_str name = wr_bind_str(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  struct wr_code code = {.compiled = {NULL, 0}};
  if (vm->host.find == NULL || !vm->host.find(vm->owner, name, &code)) return 0;
  if (wr_code_load(L, &code) != 0) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  wr_vm_look_soon(vm);
  lua_pushvalue(L, 2);
  lua_setfenv(L, -2);
  return 1;
}

// core.note_raise(error) -> error: for xpcall, around what raises its error again.
static int l_note_raise(lua_State *L)
{
  lua_settop(L, 1);
  wr_call_note(L);
  return 1;
}

// The owner's hooks.

// core.is_frozen(): the time of declarations is over.
static int l_is_frozen(lua_State *L)
{
  lua_pushboolean(L, wr_vm_of(L)->is_frozen);
  return 1;
}

// core.scope_mark(): what the running task holds, as a number for core.scope_unwind.
static int l_scope_mark(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  lua_pushinteger(L, vm->host.scope_mark != NULL ? vm->host.scope_mark(vm->owner, L) : 0);
  return 1;
}

// core.scope_unwind(mark): releases what the task opened since.
static int l_scope_unwind(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  int mark = (int)luaL_checkinteger(L, 1);
  if (vm->host.scope_unwind != NULL) vm->host.scope_unwind(vm->owner, L, mark);
  return 0;
}

// core.print(line)
static int l_print(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  struct wr_str line = wr_bind_str(L, 1);
  if (vm->host.print != NULL) vm->host.print(vm->owner, L, line);
  return 0;
}

static double draw(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  return vm->host.random != NULL ? vm->host.random(vm->owner) : 0.5;
}

// core.random([low,] high): math.random.
static int l_random(lua_State *L)
{
  int top = lua_gettop(L);
  if (top == 0) {
    lua_pushnumber(L, draw(L));
    return 1;
  }
  double low = top == 1 ? 1 : floor(luaL_checknumber(L, 1));
  double high = floor(luaL_checknumber(L, top == 1 ? 1 : 2));
  luaL_argcheck(L, low <= high, top == 1 ? 1 : 2, "interval is empty");
  lua_pushnumber(L, low + floor(draw(L) * (high - low + 1)));
  return 1;
}

// Durations.

// core.duration(text or seconds): nanoseconds, or nil when it is not a duration.
static int l_duration(lua_State *L)
{
  uint64_t ns;
  bool is_number = lua_type(L, 1) == LUA_TNUMBER;
  if (!is_number && lua_type(L, 1) != LUA_TSTRING) return 0;
  bool ok = is_number ? wr_duration_seconds(lua_tonumber(L, 1), &ns)
                      : wr_duration_parse(wr_bind_str(L, 1), &ns);
  if (!ok) return 0;
  lua_pushnumber(L, (lua_Number)ns);
  return 1;
}

// core.duration_text(ns): "250ms".
static int l_duration_text(lua_State *L)
{
  char text[WR_DURATION_TEXT];
  double ns = luaL_checknumber(L, 1);
  luaL_argcheck(L, ns >= 0 && ns <= (double)WR_DURATION_MAX, 1, "not a duration");
  lua_pushstring(L, wr_duration_text((uint64_t)ns, text));
  return 1;
}

// Bounds.

// core.string_bytes(): the longest string that rep, concat and gsub may build.
static int l_string_bytes(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)wr_vm_of(L)->limits.string_bytes);
  return 1;
}

// core.concat_bytes(t, sep, i, j): how long table.concat's result will be, or at least how long the
// part before the first element that cannot be joined is.
static int l_concat_bytes(lua_State *L)
{
  size_t sep = lua_type(L, 2) == LUA_TSTRING ? lua_objlen(L, 2) : 0;
  int i = luaL_optint(L, 3, 1);
  int j = lua_isnoneornil(L, 4) && lua_istable(L, 1) ? (int)lua_objlen(L, 1) : luaL_optint(L, 4, 0);
  double total = 0;
  for (; lua_istable(L, 1) && i <= j; i++) {
    lua_rawgeti(L, 1, i);
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING) total += (double)lua_objlen(L, -1);
    lua_pop(L, 1);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) break;
    total += (double)sep;
    if (i == INT32_MAX) break;
  }
  lua_pushnumber(L, total);
  return 1;
}

// core.insert(list, [pos,] value): table.insert, but a position far outside moves nothing for long.
static int l_insert(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  int top = lua_gettop(L);
  if (top != 2 && top != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  int n = (int)lua_objlen(L, 1);
  double pos = top == 3 ? luaL_checknumber(L, 2) : n + 1;
  luaL_argcheck(L, pos >= 1 && pos <= n + 1 && floor(pos) == pos, 2, "position out of bounds");
  for (int i = n; i >= (int)pos; i--) {
    lua_rawgeti(L, 1, i);
    lua_rawseti(L, 1, i + 1);
  }
  lua_settop(L, top);
  lua_rawseti(L, 1, (int)pos);
  return 0;
}

// Sorting what needs no metamethod and no Lua function, in place.

enum { SORT_PLAIN_COUNT = 1 << 18 };

struct sort_key {
  double number;
  struct wr_str text;
  int index;
};

static int by_number(const void *a, const void *b)
{
  double x = ((const struct sort_key *)a)->number;
  double y = ((const struct sort_key *)b)->number;
  return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
  struct wr_str x = ((const struct sort_key *)a)->text;
  struct wr_str y = ((const struct sort_key *)b)->text;
  int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
  return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

// core.sort_plain(t): sorts a list of only numbers or only strings; false when it is neither, or so
// long that sorting it must be interruptible.
static int l_sort_plain(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t n = lua_objlen(L, 1);
  lua_settop(L, 1);
  lua_rawgeti(L, 1, 1);
  int type = lua_type(L, 2);
  if (n == 0 || n > SORT_PLAIN_COUNT || (type != LUA_TNUMBER && type != LUA_TSTRING)) return 0;
  // A copy keeps the strings alive while the list is rewritten. stack: t, first, keys, copy
  struct sort_key *keys = lua_newuserdata(L, n * sizeof(*keys));
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    if (lua_type(L, -1) != type) return 0;
    keys[i] = (struct sort_key){.index = (int)i + 1};
    if (type == LUA_TNUMBER) {
      keys[i].number = lua_tonumber(L, -1);
    } else {
      keys[i].text.ptr = lua_tolstring(L, -1, &keys[i].text.len);
    }
    lua_rawseti(L, 4, (int)i + 1);
  }
  qsort(keys, n, sizeof(*keys), type == LUA_TNUMBER ? by_number : by_text);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 4, keys[i].index);
    lua_rawseti(L, 1, (int)i + 1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"compile_library", l_compile_library},
    {"library_modules", l_library_modules},
    {"compile_module", l_compile_module},
    {"note_raise", l_note_raise},
    {"is_frozen", l_is_frozen},
    {"scope_mark", l_scope_mark},
    {"scope_unwind", l_scope_unwind},
    {"print", l_print},
    {"random", l_random},
    {"duration", l_duration},
    {"duration_text", l_duration_text},
    {"string_bytes", l_string_bytes},
    {"concat_bytes", l_concat_bytes},
    {"insert", l_insert},
    {"sort_plain", l_sort_plain},
    {NULL, NULL},
};

int wr_bind_sandbox(lua_State *L)
{
  lua_settop(L, 1);
  luaL_setfuncs(L, functions, 0);
  return 0;
}
