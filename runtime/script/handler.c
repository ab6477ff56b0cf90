#include "script/handler.h"

#include "base/duration.h"
#include "script/bind_error.h"
#include "script/bind_request.h"
#include "script/bind_response.h"
#include "script/meter.h"
#include "script/watchdog.h"

#include <lauxlib.h>

static void tell(const struct wr_handler *h, const struct wr_handler_result *result)
{
  h->on_end(h->ctx, result);
}

static void tell_wrong(const struct wr_handler *h, const char *type)
{
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_SCRIPT,
               "it returned %s; it must return a response, a string, or nil and an error", type);
  tell(h, &(struct wr_handler_result){.end = WR_HANDLER_WRONG, .error = &error});
}

static void tell_error_or_wrong(const struct wr_handler *h, lua_State *L, int values)
{
  struct wr_error error;
  if (values > 1 && lua_isnil(L, 1) && wr_bind_error_read(L, 2, &error)) {
    tell(h, &(struct wr_handler_result){.end = WR_HANDLER_ERROR, .error = &error});
  } else {
    bool is_over = values > 0 && wr_bind_response_is(L, 1);
    const char *type = values > 0 ? luaL_typename(L, 1) : "nothing";
    tell_wrong(h, is_over ? "a response that another client has had" : type);
  }
}

static void tell_returned(const struct wr_handler *h, lua_State *L, int values)
{
  struct wr_handler_result result = {.end = WR_HANDLER_RESPONSE};
  result.response = values > 0 ? wr_bind_response_take(L, 1) : NULL;
  if (result.response != NULL) {
    tell(h, &result);
  } else if (values > 0 && lua_type(L, 1) == LUA_TSTRING) {
    result.end = WR_HANDLER_TEXT;
    result.text.ptr = lua_tolstring(L, 1, &result.text.len);
    tell(h, &result);
  } else {
    tell_error_or_wrong(h, L, values);
  }
}

static void tell_raised(const struct wr_handler *h, struct wr_task *t)
{
  struct wr_script_error raised = {0};
  struct wr_error error;
  wr_handler_describe(t, &raised);
  wr_error_set(&error, WR_ERROR_SCRIPT, "%s", raised.message);
  tell(h,
       &(struct wr_handler_result){.end = WR_HANDLER_RAISED, .error = &error, .raised = &raised});
}

// Below what the handler returned lies the handle that it was given. How many values are left.
static int end_request(const struct wr_handler *h, lua_State *co, int values)
{
  if (h->request == NULL) return values;
  wr_bind_request_end(co, 1);
  lua_remove(co, 1);
  return values - 1;
}

static void on_task_end(struct wr_task *t, enum wr_task_end end, int values)
{
  const struct wr_handler *h = t->ctx;
  switch (end) {
  case WR_TASK_RETURNED: tell_returned(h, t->co, end_request(h, t->co, values)); break;
  case WR_TASK_RAISED: tell_raised(h, t); break;
  case WR_TASK_CANCELLED: tell(h, &(struct wr_handler_result){.end = WR_HANDLER_CANCELLED}); break;
  }
}

struct wr_task *wr_handler_new(struct wr_script *s, struct wr_handler *handler,
                               struct wr_error *problem)
{
  lua_State *L = s->vm.L;
  int nargs = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, handler->fn_ref);
  if (handler->request != NULL) {
    wr_bind_request_push(L, handler->request);
    nargs++;
  }
  if (handler->error != NULL) {
    wr_bind_error_push(L, handler->error);
    nargs++;
  }
  if (handler->token != 0) {
    lua_pushnumber(L, (double)handler->token);
    nargs++;
  }
  struct wr_task *t = wr_task_new(s, L, nargs, NULL, problem);
  if (t == NULL) return NULL;
  t->ctx = handler;
  t->on_end = on_task_end;
  if (handler->request) {
    lua_pushvalue(t->co, 2);
    lua_insert(t->co, 1);
    t->trail = &handler->request->trail;
    t->priority = handler->request->priority;
  }
  if (handler->deadline_ns > 0) {
    wr_scope_push_deadline(t, handler->deadline_ns, WR_ERROR_DEADLINE);
  }
  return t;
}

void wr_handler_describe(struct wr_task *t, struct wr_script_error *raised)
{
  wr_call_describe(t->co, (int)t->stop, raised);
  raised->burst_ns = t->burst_ns;
}

void wr_handler_log_child(struct wr_task *t)
{
  if (t->stop == WR_VM_RUNS) return;
  struct wr_script_error raised = {0};
  wr_handler_describe(t, &raised);
  wr_handler_log(t->script, &raised, t->trail ? t->trail->route : "child", NULL);
}

void wr_handler_log(struct wr_script *s, const struct wr_script_error *raised, const char *what,
                    const struct wr_request *request)
{
  wr_meter_add(s->env->meter, WR_METRIC_POLICY_ERRORS, 1, "policy", what, "kind", "script", NULL);
  char text[WR_SCRIPT_MESSAGE_MAX + WR_SCRIPT_FILE_MAX + 16];
  wr_call_error_text(raised, text, sizeof(text));
  struct wr_json *j = wr_log_repeats_begin(s->env->repeats, s->env->log, "script.error",
                                           wr_str_of(text), wr_loop_now(s->env->loop));
  if (j == NULL) return;
  wr_json_field_cstr(j, request ? "route" : "task", what);
  if (request) wr_json_field_str(j, "request_id", request->info->request_id);
  if (request) wr_trace_name(request->trail.trace, j);
  wr_json_field_uint(j, "generation", s->generation);
  if (raised->burst_ns > 0) wr_json_field_num(j, "burst_ms", wr_duration_ms(raised->burst_ns));
  if (request)
    wr_json_field_num(j, "lua_ms",
                      wr_duration_ms(wr_watchdog_ns(s->env->watchdog, request->trail.lua_cycles)));
  if (raised->traceback[0]) wr_json_field_cstr(j, "traceback", raised->traceback);
  wr_log_end(s->env->log);
}
