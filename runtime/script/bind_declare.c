#include "script/bind_declare.h"

#include "base/alloc.h"
#include "resilience/lease.h"
#include "script/bind.h"
#include "script/guard_shadow.h"
#include "script/table.h"
#include "script/vm.h"

#include <lauxlib.h>

// Each entry is held once by a generation, whatever the number of its declarations.
static void keep_entry(struct wr_script *s, struct wr_entry *entry, const void *config, size_t size)
{
  struct wr_entry_declared *d = wr_alloc(sizeof(*d) + size);
  d->entry = entry;
  d->ref = wr_registry_ref(entry);
  d->config_size = size;
  memcpy(d->config, config, size);
  wr_registry_hold(s->env->registry, entry, s->env->shard);
  wr_declare_add(&s->declared, d);
}

// A shadow's own: "pay (shadow 7)".
static struct wr_str name_of(lua_State *L, enum wr_kind kind)
{
  const struct wr_script *s = wr_script_of(L);
  struct wr_str name;
  name.ptr = luaL_checklstring(L, 1, &name.len);
  if (!s->is_shadow || !wr_guard_shadow_takes(kind)) return name;
  name.ptr = lua_pushfstring(L, "%s" WR_GUARD_SHADOW_MARK "%d)", name.ptr, (int)s->generation);
  name.len = strlen(name.ptr);
  return name;
}

int wr_bind_declare_entry(lua_State *L, enum wr_kind kind, const void *config, size_t size)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_str name = name_of(L, kind);
  struct wr_error error;
  struct wr_entry *entry =
      wr_registry_declare(s->env->registry, kind, name, config, wr_loop_now(s->env->loop), &error);
  if (entry == NULL) return wr_bind_refuse(L, error.message);
  struct wr_entry_declared *d = wr_declare_find(&s->declared, entry);
  if (d == NULL) {
    keep_entry(s, entry, config, size);
  } else if (s->is_loading && memcmp(d->config, config, size) != 0) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s '%s' is declared twice with different options",
                    wr_registry_kind_name(kind), entry->name);
    return 2;
  }
  lua_pushlightuserdata(L, entry);
  return 1;
}

static void require_loading(lua_State *L, const char *what)
{
  if (wr_script_of(L)->is_loading) return;
  luaL_error(L, "%s declares, and declarations belong to the top level of a script", what);
}

static int add_network(lua_State *L, struct wr_networks *list, int index)
{
  struct wr_str network;
  struct wr_error error;
  network.ptr = luaL_checklstring(L, index, &network.len);
  if (!wr_networks_add(list, network, &error)) return wr_bind_refuse(L, error.message);
  lua_pushboolean(L, 1);
  return 1;
}

// core.trust(network) -> true | nil, message
static int l_trust(lua_State *L)
{
  require_loading(L, "weir.listen");
  return add_network(L, &wr_script_of(L)->declared.trust, 1);
}

// core.listen(address, options) -> listener | nil, message: address in normal form; options {mode,
// is_proxied, per_client, no_h2}
static int l_listen(lua_State *L)
{
  require_loading(L, "weir.listen");
  struct wr_script *s = wr_script_of(L);
  const char *address = luaL_checkstring(L, 1);
  WR_LIST_EACH(&s->declared.listens, node) {
    struct wr_listen_declared *other = WR_CONTAINER(node, struct wr_listen_declared, link);
    if (strcmp(other->address, address) == 0) {
      return wr_bind_refuse(L, "the address is listened on already");
    }
  }
  struct wr_listen_declared *d = wr_alloc(sizeof(*d));
  d->address = wr_strdup(address);
  d->place = wr_strdup(wr_table_text(L, 2, "place", "?"));
  d->mode = wr_table_u32(L, 2, "mode", 0660);
  d->options.is_proxied = wr_table_bool(L, 2, "is_proxied", false);
  d->options.no_h2 = wr_table_bool(L, 2, "no_h2", false);
  d->options.per_client = wr_table_u32(L, 2, "per_client", 0);
  wr_list_push(&s->declared.listens, &d->link);
  lua_pushlightuserdata(L, d);
  return 1;
}

// core.listen_from(listener, network) -> true | nil, message: a proxy whose PROXY header is read
static int l_listen_from(lua_State *L)
{
  require_loading(L, "weir.listen");
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  struct wr_listen_declared *d = lua_touserdata(L, 1);
  return add_network(L, &d->options.proxies, 2);
}

static char *field_copy(lua_State *L, int index, const char *key)
{
  const char *text = wr_table_text(L, index, key, NULL);
  return text ? wr_strdup(text) : NULL;
}

// core.priority_header(name) -> true | nil, message: the last listener's word may not differ
static int l_priority_header(lua_State *L)
{
  require_loading(L, "weir.listen");
  struct wr_declarations *d = &wr_script_of(L)->declared;
  const char *name = luaL_checkstring(L, 1);
  if (d->priority_header && strcasecmp(d->priority_header, name) != 0) {
    return wr_bind_refuse(L, "it is the same on all listeners, and another one is declared");
  }
  if (d->priority_header == NULL) d->priority_header = wr_strdup(name);
  lua_pushboolean(L, 1);
  return 1;
}

// core.route(pattern, options, handler): options {host, place, deadline, body_max, on_error,
// breaker, priority, exempt, timing}
static int l_route(lua_State *L)
{
  require_loading(L, "weir.route");
  struct wr_script *s = wr_script_of(L);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  struct wr_route_declared *d = wr_alloc(sizeof(*d));
  d->pattern = wr_strdup(luaL_checkstring(L, 1));
  d->host = field_copy(L, 2, "host");
  d->place = field_copy(L, 2, "place");
  d->deadline_ns = wr_table_u64(L, 2, "deadline", 10 * WR_SECOND);
  d->body_max = wr_table_u64(L, 2, "body_max", 0);
  d->priority = (uint8_t)wr_priority_of(wr_str_of(wr_table_text(L, 2, "priority", "normal")));
  lua_getfield(L, 2, "breaker");
  d->breaker = lua_touserdata(L, -1);
  lua_pop(L, 1);
  d->is_exempt = wr_table_bool(L, 2, "exempt", false);
  d->is_timed = wr_table_bool(L, 2, "timing", false);
  d->on_error_ref = WR_ROUTE_NO_ON_ERROR;
  lua_getfield(L, 2, "on_error");
  if (lua_isfunction(L, -1)) {
    d->on_error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  } else {
    lua_pop(L, 1);
  }
  lua_pushvalue(L, 3);
  d->handler_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  wr_list_push(&s->declared.routes, &d->link);
  s->declared.route_count++;
  return 0;
}

// core.lease(name, options) -> handle | nil, message: options {interval}
static int l_lease(lua_State *L)
{
  struct wr_lease_config config;
  memset(&config, 0, sizeof(config));
  config.interval_ns = wr_table_u64(L, 2, "interval", 0);
  config.ttl_ns = WR_LEASE_TTL_NS;
  const char *problem = wr_lease_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_LEASE, &config, sizeof(config));
}

// core.job(name, place, every_ns | 0, fn, lease?): starts when the generation goes live
static int l_job(lua_State *L)
{
  require_loading(L, "weir.every");
  struct wr_script *s = wr_script_of(L);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  struct wr_job_declared *d = wr_alloc(sizeof(*d));
  d->name = wr_strdup(luaL_checkstring(L, 1));
  d->place = wr_strdup(luaL_checkstring(L, 2));
  d->every_ns = (uint64_t)luaL_checknumber(L, 3);
  d->lease = lua_touserdata(L, 5);
  lua_pushvalue(L, 4);
  d->fn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  wr_list_push(&s->declared.jobs, &d->link);
  return 0;
}

// core.where() -> "file:line" of the nearest caller outside the library, or "?"
static int l_where(lua_State *L)
{
  lua_Debug at;
  for (int level = 1; lua_getstack(L, level, &at); level++) {
    if (!lua_getinfo(L, "Sl", &at) || at.currentline <= 0) continue;
    if (strncmp(at.source, "@weir/", 6) == 0) continue;
    lua_pushfstring(L, "%s:%d", at.short_src, at.currentline);
    return 1;
  }
  lua_pushliteral(L, "?");
  return 1;
}

// core.upvalues(fn) -> { n = count, values }, source ("@file.lua"; "=[C]" for a function of C)
static int l_upvalues(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_newtable(L);
  int n = 0;
  while (lua_getupvalue(L, 1, n + 1) != NULL) lua_rawseti(L, 2, ++n);
  lua_pushinteger(L, n);
  lua_setfield(L, 2, "n");
  lua_Debug at;
  lua_pushvalue(L, 1);
  lua_getinfo(L, ">S", &at);
  lua_pushstring(L, at.source);
  return 2;
}

// core.is_loading() -> boolean
static int l_is_loading(lua_State *L)
{
  lua_pushboolean(L, wr_script_of(L)->is_loading);
  return 1;
}

static const luaL_Reg functions[] = {
    {"listen", l_listen},
    {"listen_from", l_listen_from},
    {"trust", l_trust},
    {"priority_header", l_priority_header},
    {"route", l_route},
    {"job", l_job},
    {"is_loading", l_is_loading},
    {"where", l_where},
    {"upvalues", l_upvalues},
    {"lease", l_lease},
    {NULL, NULL},
};

int wr_bind_declare(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
