#include "base/check.h"
#include "resilience/shedder.h"
#include "script/bind.h"
#include "script/bind_declare.h"
#include "script/table.h"
#include "script/task.h"

#include <lauxlib.h>

static enum wr_adaptive_rule rule_of(const char *name)
{
  for (int i = 0; i < WR_ADAPTIVE_RULES; i++) {
    enum wr_adaptive_rule rule = (enum wr_adaptive_rule)i;
    if (strcmp(wr_adaptive_rule_name(rule), name) == 0) return rule;
  }
  return WR_ADAPTIVE_FIXED;
}

static bool is_shadow(lua_State *L, int index)
{
  return strcmp(wr_table_text(L, index, "mode", "normal"), "shadow") == 0;
}

static void read_limit(lua_State *L, int index, struct wr_adaptive_config *config)
{
  config->rule = (uint8_t)rule_of(wr_table_text(L, index, "rule", "fixed"));
  config->min = wr_table_u32(L, index, "min", config->min);
  config->max = wr_table_u32(L, index, "max", config->max);
  config->initial = wr_table_u32(L, index, "initial", config->initial);
  config->window_ns = wr_table_u64(L, index, "window", config->window_ns);
  config->max_healthy_ns = wr_table_u64(L, index, "max_healthy_latency", config->max_healthy_ns);
}

static void read_signals(lua_State *L, int index, struct wr_overload_config *config)
{
  config->lag_ns = wr_table_u64(L, index, "lag", 0);
  config->memory_bytes = wr_table_u64(L, index, "memory_bytes", 0);
  config->memory_share = wr_table_num(L, index, "memory_share", 0);
  config->in_flight = wr_table_u32(L, index, "in_flight", 0);
}

// core.shedder(name, options) -> handle | nil, message. `rule`, `memory_bytes` and `memory_share`
// are the library's words for what an author writes as `limit` and `memory`.
static int l_shedder(lua_State *L)
{
  struct wr_shedder_config config;
  memset(&config, 0, sizeof(config));
  wr_shedder_config_init(&config);
  read_limit(L, 2, &config.limit);
  read_signals(L, 2, &config.overload);
  config.queue = wr_table_u32(L, 2, "queue", config.queue);
  config.wait_ns = wr_table_u64(L, 2, "wait", config.wait_ns);
  config.shadow = is_shadow(L, 2);
  const char *problem = wr_shedder_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_SHEDDER, &config, sizeof(config));
}

// core.overload(options) -> true | nil, message: bounds of the process's signals, once
static int l_overload(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  if (!s->is_loading) {
    return luaL_error(L, "weir.overload declares, and declarations belong to the top level of a "
                         "script");
  }
  struct wr_overload_config *config = &s->declared.overload;
  if (wr_overload_is_on(config)) return wr_bind_refuse(L, "it is declared twice");
  read_signals(L, 1, config);
  s->declared.overload_shadow = is_shadow(L, 1);
  if (!wr_overload_is_on(config)) {
    return wr_bind_refuse(L, "give at least one of lag, memory and in_flight");
  }
  lua_pushboolean(L, 1);
  return 1;
}

// core.priority(word | nil) -> the running task's priority, which becomes `word`; nil: no such word
static int l_priority(lua_State *L)
{
  struct wr_task *t = wr_script_of(L)->current;
  if (t == NULL) return luaL_error(L, "weir.priority belongs to a task: call it from a handler");
  if (!lua_isnoneornil(L, 1)) {
    enum wr_priority priority = wr_priority_of(wr_bind_str(L, 1));
    if (priority == WR_PRIORITIES) return 0;
    t->priority = (uint8_t)priority;
  }
  lua_pushstring(L, wr_priority_name((enum wr_priority)t->priority));
  return 1;
}

static const luaL_Reg functions[] = {
    {"shedder", l_shedder}, {"overload", l_overload}, {"priority", l_priority}, {NULL, NULL}};

int wr_bind_shedder(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
