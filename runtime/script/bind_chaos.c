#include "base/check.h"
#include "resilience/chaos.h"
#include "script/bind.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/disturb.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>

static struct wr_entry *check_entry(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, 1);
}

// schedule: a list of { from, to } in nanoseconds; the library has bounded its length.
static void read_windows(lua_State *L, struct wr_chaos_config *config)
{
  lua_getfield(L, 2, "windows");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  for (size_t i = 0; i < count && i < WR_CHAOS_WINDOWS_MAX; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    config->windows[i].from_ns = wr_table_u64(L, -1, "from", 0);
    config->windows[i].to_ns = wr_table_u64(L, -1, "to", 0);
    config->window_count++;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

// core.chaos(name, options) -> handle | nil, message
static int l_chaos(lua_State *L)
{
  struct wr_chaos_config config;
  memset(&config, 0, sizeof(config));
  wr_chaos_config_init(&config);
  config.probability = wr_table_num(L, 2, "probability", config.probability);
  config.latency_ns = wr_table_u64(L, 2, "latency", 0);
  config.variance_ns = wr_table_u64(L, 2, "variance", 0);
  config.expires_ns = wr_table_u64(L, 2, "expires", config.expires_ns);
  config.guard_rate = wr_table_num(L, 2, "guard_rate", config.guard_rate);
  config.guard_window_ns = wr_table_u64(L, 2, "guard_window", config.guard_window_ns);
  config.guard_min_calls = wr_table_u32(L, 2, "guard_min_calls", config.guard_min_calls);
  config.seed = wr_hash_fnv(0, wr_bind_str(L, 1));
  config.is_permitted = wr_script_of(L)->env->allow_chaos;
  read_windows(L, &config);
  const char *problem = wr_chaos_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_CHAOS, &config, sizeof(config));
}

// core.chaos_armed(handle) -> boolean
static int l_armed(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  lua_pushboolean(L, wr_chaos_is_armed(check_entry(L)->state, wr_loop_now(env->loop)));
  return 1;
}

// The same request draws the same in every process, and anew for each of its calls.
static uint64_t hash_of(struct wr_task *t)
{
  if (t->trail == NULL) return wr_rng_next(t->script->env->rng);
  uint32_t turn = t->trail->chaos_draws++;
  uint64_t hash = wr_hash_fnv(0, t->trail->request_id);
  return wr_hash_fnv(hash, (struct wr_str){(const char *)&turn, sizeof(turn)});
}

// core.chaos_draw(handle) -> delay in ns when the running task's call is hit | nil
static int l_draw(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_script_env *env = t->script->env;
  struct wr_entry *entry = check_entry(L);
  uint64_t latency_ns = 0;
  if (t->trail) t->trail->chaos = wr_registry_ref(entry);
  if (!wr_guard_chaos_draw(env->guard, entry, hash_of(t), wr_loop_now(env->loop), &latency_ns)) {
    return 0;
  }
  lua_pushnumber(L, (double)latency_ns);
  return 1;
}

// core.chaos_apply(handle, for_ns) -> true | nil, err
static int l_apply(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_error error;
  uint64_t for_ns = (uint64_t)luaL_optnumber(L, 2, 0);
  uint64_t now_ns = wr_loop_now(env->loop);
  if (!wr_guard_chaos_apply(env->registry, check_entry(L), for_ns, now_ns, &error)) {
    return wr_bind_error_fail(L, &error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// core.chaos_rollback(handle) -> was armed
static int l_rollback(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  bool was = wr_guard_chaos_rollback(env->registry, check_entry(L), wr_loop_now(env->loop));
  lua_pushboolean(L, was);
  return 1;
}

// core.chaos_disturb(response, cut_after | nil, bytes_per_s | nil) -> response
static int l_disturb(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_response *r = wr_bind_response_get(L, 1);
  struct wr_disturb_options options = {
      .cuts = !lua_isnoneornil(L, 2),
      .cut_after = (uint64_t)luaL_optnumber(L, 2, 0),
      .bytes_per_s = (uint64_t)luaL_optnumber(L, 3, 0),
  };
  bool is_readable = r && r->sink == NULL && r->on_ready == NULL &&
                     (r->state == WR_RESPONSE_FLOWING || r->state == WR_RESPONSE_WHOLE);
  if (is_readable) {
    wr_bind_response_push(L, wr_disturb(r, t, &options));
  } else {
    lua_pushvalue(L, 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"chaos", l_chaos},
    {"chaos_armed", l_armed},
    {"chaos_draw", l_draw},
    {"chaos_apply", l_apply},
    {"chaos_rollback", l_rollback},
    {"chaos_disturb", l_disturb},
    {NULL, NULL},
};

int wr_bind_chaos(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
