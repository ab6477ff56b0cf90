#include "script/bind.h"

#include "script/bind_declare.h"
#include "script/script.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>

// What a flag is in Lua: its state, and what this generation ties it to. Only the library sees it.
struct flag {
  struct wr_entry *entry;
  const struct wr_entry *health; // NULL: tied to none
  struct wr_hash_key seed;
  bool fallback;
};

static struct flag *check_flag(lua_State *L)
{
  return luaL_checkudata(L, 1, "weir.core.Flag");
}

// core.flag(name, options) -> handle | nil, message; options {share, health = handle, fallback}
static int l_flag(lua_State *L)
{
  struct wr_flag_config config;
  memset(&config, 0, sizeof(config));
  config.share = wr_table_u32(L, 2, "share", WR_FLAG_WHOLE);
  const char *problem = wr_flag_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  int results = wr_bind_declare_entry(L, WR_KIND_FLAG, &config, sizeof(config));
  if (results > 1) return results;
  struct flag flag = {.entry = lua_touserdata(L, -1),
                      .seed = wr_flag_seed(wr_bind_str(L, 1)),
                      .fallback = wr_table_bool(L, 2, "fallback", false)};
  lua_getfield(L, 2, "health");
  flag.health = lua_touserdata(L, -1);
  struct flag *handle = lua_newuserdata(L, sizeof(*handle));
  *handle = flag;
  luaL_getmetatable(L, "weir.core.Flag");
  lua_setmetatable(L, -2);
  return 1;
}

static uint32_t place_of(lua_State *L, const struct flag *flag)
{
  if (lua_type(L, 2) != LUA_TSTRING) {
    return (uint32_t)wr_rng_below(wr_script_of(L)->env->rng, WR_FLAG_WHOLE);
  }
  return wr_flag_place(&flag->seed, wr_bind_str(L, 2));
}

static void note(struct wr_script *s, const struct wr_entry *entry, enum wr_flag_result result)
{
  struct wr_chain_link *link = wr_task_note_copy(s->current, WR_DECISION_FLAG, entry->name);
  if (link) link->result = wr_str_of(wr_flag_result_name(result));
}

// core.flag_on(handle, key | nil) -> boolean
static int l_flag_on(lua_State *L)
{
  struct flag *flag = lua_touserdata(L, 1); // the library's own: what requests call is not checked
  struct wr_flag *f = flag->entry->state;
  uint32_t share = wr_flag_share(f);
  uint32_t place = share == 0 || share == WR_FLAG_WHOLE ? 0 : place_of(L, flag);
  bool is_down = flag->health && wr_health_verdict(flag->health->state) == WR_HEALTH_DOWN;
  enum wr_flag_result result = wr_flag_evaluate(f, place, is_down);
  note(wr_script_of(L), flag->entry, result);
  lua_pushboolean(L, result == WR_FLAG_FALLBACK ? flag->fallback : result == WR_FLAG_ON);
  return 1;
}

// core.flag_set(handle, share | nil, why | nil): nil lifts the override
static int l_flag_set(lua_State *L)
{
  struct flag *flag = check_flag(L);
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_guard_flag_order order = {.is_reset = lua_isnil(L, 2), .actor = WR_FLAG_ACTOR_SCRIPT};
  if (!order.is_reset) order.share = (uint32_t)luaL_checkinteger(L, 2);
  if (order.share > WR_FLAG_WHOLE) order.share = WR_FLAG_WHOLE;
  if (!lua_isnoneornil(L, 3)) order.why = wr_bind_str(L, 3);
  wr_guard_flag_order(env->registry, flag->entry, &order, wr_loop_now(env->loop));
  return 0;
}

// core.flag_share(handle) -> millionths in force, whether that is an override
static int l_flag_share(lua_State *L)
{
  struct flag *flag = check_flag(L);
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_flag f;
  if (!wr_guard_look(env->registry, flag->entry, wr_loop_now(env->loop), &f)) return 0;
  lua_pushinteger(L, (lua_Integer)wr_flag_share(&f));
  lua_pushboolean(L, f.is_overridden);
  return 2;
}

static const luaL_Reg functions[] = {
    {"flag", l_flag},
    {"flag_on", l_flag_on},
    {"flag_set", l_flag_set},
    {"flag_share", l_flag_share},
    {NULL, NULL},
};

int wr_bind_flag(lua_State *L)
{
  luaL_register(L, NULL, functions);
  luaL_newmetatable(L, "weir.core.Flag");
  return 0;
}
