#pragma once
/// Runs a script's function as a task and tells in C what became of it: the seam through which the
/// layers above use Lua without touching it. One worker's loop.

#include "script/request.h"
#include "script/task.h"

enum wr_handler_end {
  WR_HANDLER_RESPONSE,  ///< `response`, borrowed: take it (wr_response_take) to keep it
  WR_HANDLER_TEXT,      ///< `text`, borrowed
  WR_HANDLER_ERROR,     ///< `error`: it returned nil and an error
  WR_HANDLER_RAISED,    ///< `raised`, and `error` of kind script
  WR_HANDLER_WRONG,     ///< it returned something else: `error` of kind script names its type
  WR_HANDLER_CANCELLED, ///< it was ended from outside
};

/// What `end` does not name is absent or NULL.
struct wr_handler_result {
  enum wr_handler_end end;
  struct wr_response *response;
  struct wr_str text;
  const struct wr_error *error;
  const struct wr_script_error *raised;
};

/// What to run and whom to tell.
struct wr_handler {
  int fn_ref;                   ///< of the function in the VM's registry
  struct wr_request *request;   ///< its first argument, or NULL
  const struct wr_error *error; ///< its second argument, or NULL
  uint64_t token;               ///< its argument: the fencing token of a singleton's run; 0: none
  uint64_t deadline_ns;         ///< from now; 0: none
  /// Told exactly once, with the results valid during the call.
  void (*on_end)(void *ctx, const struct wr_handler_result *result);
  void *ctx;
};

/// Makes the task; run it with wr_task_start. Outside of Lua only. `handler` is borrowed until it
/// was told; its `error` for this call alone. NULL with a set error at the task limit.
struct wr_task *wr_handler_new(struct wr_script *s, struct wr_handler *handler,
                               struct wr_error *problem);

/// Describes a task that ended with RAISED.
void wr_handler_describe(struct wr_task *t, struct wr_script_error *raised);

/// Logs a child that ended with RAISED if it was a limit that stopped it: of that its parent hears
/// little, and may not even listen.
void wr_handler_log_child(struct wr_task *t);

/// Logs what a script raised, with the task's name (`what`) and, if any, the request it was
/// serving.
void wr_handler_log(struct wr_script *s, const struct wr_script_error *raised, const char *what,
                    const struct wr_request *request);
