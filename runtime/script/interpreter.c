#include "script/interpreter.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>

// Nested iteration is what the compiler of LuaJIT 2.1.0-beta3 gets wrong after some thousands of
// rounds (upstream #827).
static const char PROGRAM[] = "local inner, seen = { a = 1, b = 2, c = 3, d = 4, e = 5 }, 0\n"
                              "for _ = 1, 20000 do\n"
                              "  for _ in pairs { x = 1 } do\n"
                              "    for _ in pairs(inner) do seen = seen + 1 end\n"
                              "  end\n"
                              "end\n"
                              "return seen";

bool wr_interpreter_is_sound(const char **why)
{
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    *why = "no Lua state can be made: is there memory?";
    return false;
  }
  luaL_openlibs(L);
  bool is_off = luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF) == 1;
  bool has_run = luaL_loadbuffer(L, PROGRAM, sizeof(PROGRAM) - 1, "=selftest") == 0 &&
                 lua_pcall(L, 0, 1, 0) == 0;
  bool is_right = has_run && lua_tonumber(L, -1) == 20000 * 5;
  *why = !is_off ? "its compiler cannot be turned off" : "it computes wrong results";
  lua_close(L);
  return is_off && is_right;
}
