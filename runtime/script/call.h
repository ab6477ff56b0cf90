#pragma once
/// The one place where a Lua error becomes ours.
///
/// Every entry into Lua from C is protected: by `wr_vm_call` here, or by `lua_resume` in task.c,
/// which then describes the dead coroutine with `wr_call_describe`. Nothing here runs Lua code of
/// its own: an error object's `__tostring` is not trusted, only its raw `message` field is read.

#include "base/str.h"

#include <lua.h>
#include <stdint.h>

enum { WR_SCRIPT_FILE_MAX = 128, WR_SCRIPT_MESSAGE_MAX = 512, WR_SCRIPT_TRACEBACK_MAX = 2048 };

/// What went wrong in a script and where. All texts are NUL-terminated and cut at their maximum.
struct wr_script_error {
  char file[WR_SCRIPT_FILE_MAX]; ///< relative to the bundle, "weir/…" in the library; "" unknown
  int line;                      ///< 0: unknown
  uint64_t burst_ns; ///< how long a script that a limit stopped had run, at most; 0: it was not
  char message[WR_SCRIPT_MESSAGE_MAX];     ///< without file and line
  char traceback[WR_SCRIPT_TRACEBACK_MAX]; ///< one frame a line; "" when there is none
};

/// Sets place and formatted message, no traceback.
__attribute__((format(printf, 4, 5))) void
wr_call_error_set(struct wr_script_error *e, const char *file, int line, const char *format, ...);

/// Fills `e` from a message of the form "file:line: text"; without a place, file and line stay as
/// they are.
void wr_call_error_parse(struct wr_script_error *e, struct wr_str message);

/// "file:line: message", or only the message, into `out` (NUL-terminated, cut at `size`).
void wr_call_error_text(const struct wr_script_error *e, char *out, size_t size);

/// Calls the function below its `nargs` arguments on the stack. True with exactly `nresults`
/// results (or all of them for LUA_MULTRET); false with `out` filled and function and arguments
/// gone.
bool wr_vm_call(lua_State *L, int nargs, int nresults, struct wr_script_error *out);

/// Notes where the error at index 1 is being raised, for the report on it, should it be raised
/// again from elsewhere. Only the first time: the innermost place counts.
void wr_call_note(lua_State *L);

/// The message handler of `wr_vm_call`, for vm.c to register.
int wr_call_catch(lua_State *L);

/// Describes coroutine `L` whose `lua_resume` failed (error object on top) or that was interrupted
/// (`stop` from `wr_vm_take_stop`, an `enum wr_vm_stop`). Leaves the stack alone.
void wr_call_describe(lua_State *L, int stop, struct wr_script_error *out);
