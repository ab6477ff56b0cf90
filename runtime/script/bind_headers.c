#include "script/bind_headers.h"

#include "script/bind.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Headers";

struct handle {
  struct wr_bind_handle handle;
  wr_bind_headers_fn find;
  void *owner;
};

static struct wr_headers *check_headers(lua_State *L, int index)
{
  struct handle *handle = wr_bind_type_check(L, index, TYPE);
  struct wr_headers *h = handle->find(handle->owner);
  if (h == NULL) luaL_error(L, "these headers belong to an exchange that is over");
  return h;
}

void wr_bind_headers_push(lua_State *L, wr_bind_headers_fn find, void *owner, int anchor)
{
  if (anchor < 0) anchor = lua_gettop(L) + 1 + anchor;
  struct handle *handle = wr_bind_type_push(L, TYPE, sizeof(*handle));
  handle->find = find;
  handle->owner = owner;
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, anchor);
  lua_rawseti(L, -2, 1);
  lua_setfenv(L, -2);
}

// A field that a script may write. What frames a message is C's alone (DESIGN §6).
static void check_field(lua_State *L, struct wr_str name, struct wr_str value)
{
  if (!wr_headers_is_token(name)) {
    luaL_error(L, "'%s' is not a header name (RFC 9110: letters, digits and !#$%%&'*+-.^_`|~)",
               name.ptr);
  }
  if (wr_headers_is_hop(name)) {
    luaL_error(L, "header '%s' frames the message or names this hop: weir writes it itself",
               name.ptr);
  }
  if (!wr_headers_is_value(value)) {
    luaL_error(L,
               "the value of header '%s' holds a line break, a control character, or white space "
               "at an end",
               name.ptr);
  }
}

static int full(lua_State *L, const struct wr_headers *h)
{
  return luaL_error(L, "no room for another header: the limit is %d fields", (int)h->max);
}

static int l_headers_get(lua_State *L)
{
  struct wr_str value = wr_headers_get(check_headers(L, 1), wr_bind_str(L, 2));
  if (value.ptr == NULL) return 0;
  lua_pushlstring(L, value.ptr, value.len);
  return 1;
}

static int l_headers_all(lua_State *L)
{
  struct wr_headers *h = check_headers(L, 1);
  struct wr_str name = wr_bind_str(L, 2);
  lua_newtable(L);
  size_t at = 0;
  int count = 0;
  struct wr_str value;
  while ((value = wr_headers_each(h, name, &at)).ptr != NULL) {
    lua_pushlstring(L, value.ptr, value.len);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int l_headers_set(lua_State *L)
{
  struct wr_headers *h = check_headers(L, 1);
  struct wr_str name = wr_bind_str(L, 2);
  if (lua_isnoneornil(L, 3)) {
    wr_headers_remove(h, name);
    return 0;
  }
  struct wr_str value = wr_bind_str(L, 3);
  check_field(L, name, value);
  if (!wr_headers_set_copy(h, name, value)) return full(L, h);
  return 0;
}

static int l_headers_add(lua_State *L)
{
  struct wr_headers *h = check_headers(L, 1);
  struct wr_str name = wr_bind_str(L, 2);
  struct wr_str value = wr_bind_str(L, 3);
  check_field(L, name, value);
  if (!wr_headers_add_copy(h, name, value)) return full(L, h);
  return 0;
}

static int l_headers_del(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)wr_headers_remove(check_headers(L, 1), wr_bind_str(L, 2)));
  return 1;
}

static int next_field(lua_State *L)
{
  struct wr_headers *h = check_headers(L, lua_upvalueindex(1));
  size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  if (at >= h->count) return 0;
  lua_pushinteger(L, (lua_Integer)at + 1);
  lua_replace(L, lua_upvalueindex(2));
  lua_pushlstring(L, h->items[at].name.ptr, h->items[at].name.len);
  lua_pushlstring(L, h->items[at].value.ptr, h->items[at].value.len);
  return 2;
}

static int l_headers_iter(lua_State *L)
{
  check_headers(L, 1);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_field, 2);
  return 1;
}

// `headers["name"]`: a method, else the first field of that name.
static int l_headers_index(lua_State *L)
{
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1)) return 1;
  return l_headers_get(L);
}

void wr_bind_headers_read(lua_State *L, int index, struct wr_headers *h)
{
  if (index < 0) index = lua_gettop(L) + 1 + index;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "header names must be strings");
    struct wr_str name = wr_bind_str(L, -2);
    bool is_list = lua_istable(L, -1);
    int count = is_list ? (int)lua_objlen(L, -1) : 1;
    for (int i = 1; i <= count; i++) {
      if (is_list) {
        lua_rawgeti(L, -1, i);
      } else {
        lua_pushvalue(L, -1);
      }
      struct wr_str value = wr_bind_str(L, -1);
      check_field(L, name, value);
      if (!wr_headers_add_copy(h, name, value)) full(L, h);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

static const luaL_Reg methods[] = {
    {"get", l_headers_get}, {"all", l_headers_all}, {"set", l_headers_set},
    {"add", l_headers_add}, {"del", l_headers_del}, {"iter", l_headers_iter},
    {NULL, NULL},
};

int wr_bind_headers(lua_State *L)
{
  wr_bind_type_new(L, TYPE);
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_pushcclosure(L, l_headers_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_headers_set);
  lua_setfield(L, -2, "__newindex");
  return 0;
}
