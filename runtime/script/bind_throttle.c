#include "resilience/throttle.h"
#include "script/bind.h"
#include "script/bind_declare.h"
#include "script/table.h"

#include <lauxlib.h>

// core.throttle(name, options) -> handle | nil, message
static int l_throttle(lua_State *L)
{
  struct wr_throttle_config config;
  memset(&config, 0, sizeof(config));
  wr_throttle_config_init(&config);
  config.ratio = wr_table_num(L, 2, "ratio", config.ratio);
  config.max_refused = wr_table_num(L, 2, "max_refused", config.max_refused);
  config.min_calls = wr_table_u32(L, 2, "min_calls", config.min_calls);
  config.window_ns = wr_table_u64(L, 2, "window", config.window_ns);
  config.shadow = strcmp(wr_table_text(L, 2, "mode", "normal"), "shadow") == 0;
  const char *problem = wr_throttle_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_THROTTLE, &config, sizeof(config));
}

static const luaL_Reg functions[] = {{"throttle", l_throttle}, {NULL, NULL}};

int wr_bind_throttle(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
