#include "script/bind.h"
#include "script/bind_response.h"

#include "script/meter.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>
#include <stdlib.h>

// --- metrics ------------------------------------------------------------------------------------

static void read_buckets(lua_State *L, struct wr_family *family)
{
  static const double usual[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  lua_getfield(L, 4, "buckets");
  if (lua_istable(L, -1)) {
    int count = (int)lua_objlen(L, -1);
    if (count > WR_SERIES_BUCKETS) count = WR_SERIES_BUCKETS;
    for (int i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      family->buckets[i - 1] = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
    family->bucket_count = (uint32_t)count;
  } else {
    memcpy(family->buckets, usual, sizeof(usual));
    family->bucket_count = WR_COUNT(usual);
  }
  lua_pop(L, 1);
}

// core.metric(name, type, help, options) -> family | nil, message
static int l_metric(lua_State *L)
{
  static const char *const types[] = {"counter", "gauge", "histogram", NULL};
  struct wr_script *s = wr_script_of(L);
  struct wr_family family;
  memset(&family, 0, sizeof(family));
  const char *name = luaL_checkstring(L, 1);
  family.type = (uint8_t)luaL_checkoption(L, 2, NULL, types);
  snprintf(family.name, sizeof(family.name), "%s", name);
  snprintf(family.help, sizeof(family.help), "%s", luaL_checkstring(L, 3));
  if (family.type == WR_SERIES_HISTOGRAM) read_buckets(L, &family);
  struct wr_error error;
  int number = wr_series_family(s->env->arena, &family, &error);
  if (strlen(name) > WR_SERIES_NAME_MAX) {
    wr_error_set(&error, WR_ERROR_INVALID, "a metric name has at most %d characters",
                 WR_SERIES_NAME_MAX);
    number = -1;
  }
  if (number < 0) return wr_bind_refuse(L, error.message);
  lua_pushinteger(L, number);
  return 1;
}

// core.metric_series(family, labels_text) -> series; the library keeps it
static int l_metric_series(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_str labels;
  labels.ptr = luaL_checklstring(L, 2, &labels.len);
  uint32_t family = (uint32_t)luaL_checkinteger(L, 1);
  lua_pushinteger(L, (lua_Integer)wr_series_get(env->arena, family, labels));
  return 1;
}

// core.metric_add(series, value); core.metric_set; core.metric_observe
static int l_metric_add(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  uint32_t series = (uint32_t)luaL_checkinteger(L, 1);
  wr_series_add(env->arena, env->shard, series, luaL_checknumber(L, 2));
  return 0;
}

static int l_metric_set(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  uint32_t series = (uint32_t)luaL_checkinteger(L, 1);
  wr_series_set(env->arena, env->shard, series, luaL_checknumber(L, 2));
  return 0;
}

static int l_metric_observe(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  uint32_t series = (uint32_t)luaL_checkinteger(L, 1);
  wr_series_observe(env->arena, env->shard, series, luaL_checknumber(L, 2));
  return 0;
}

// Is it an answer? Anything but nil and a response that says "not now".
static bool is_acceptable(lua_State *L, int index, const struct wr_response *r)
{
  return r ? r->status < 500 && r->status != 429 : !lua_isnil(L, index);
}

// A ladder without a name is called like the route.
static void count_rung(struct wr_meter *m, const char *ladder, const struct wr_trail *trail,
                       const char *rung)
{
  const char *name = trail ? trail->route : "ladder";
  if (ladder) name = wr_meter_word(m, wr_str_of(ladder));
  static const char *const labels[] = {"name", "step"};
  wr_meter_count(m, WR_METRIC_FALLBACK, labels, name, rung);
}

// core.rung(ladder | nil, name, position, count, value) -> does this rung of a ladder answer with
// `value`? Then it is noted.
static int l_rung(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_trail *trail = s->current ? s->current->trail : NULL;
  struct wr_str name = wr_bind_str(L, 2);
  struct wr_response *r = wr_bind_response_get(L, 5);
  bool answers = is_acceptable(L, 5, r);
  lua_pushboolean(L, answers);
  if (!answers) return 1;
  const char *word = wr_meter_word(s->env->meter, name);
  count_rung(s->env->meter, lua_isnil(L, 1) ? NULL : luaL_checkstring(L, 1), trail, word);
  lua_Integer position = luaL_checkinteger(L, 3);
  if (r && position > 1) wr_trail_name(r->rung, name);
  if (trail == NULL) return 1;
  struct wr_chain_link *link =
      wr_task_note(s->current, WR_DECISION_RUNG, (struct wr_str){word, name.len});
  if (link) {
    link->number = (uint16_t)position;
    link->result = WR_STR("answered");
  }
  trail->rung = (uint32_t)position;
  trail->rungs = (uint32_t)luaL_checkinteger(L, 4);
  wr_trail_name(trail->rung_name, name);
  return 1;
}

// core.route() -> pattern of the request that is being served, or nil in the background
static int l_current_route(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  if (s->current == NULL || s->current->trail == NULL) return 0;
  lua_pushstring(L, s->current->trail->route);
  return 1;
}

// --- log ----------------------------------------------------------------------------------------

static void put_value(lua_State *L, int index, struct wr_json *j)
{
  size_t len = 0;
  switch (lua_type(L, index)) {
  case LUA_TNUMBER: wr_json_num(j, lua_tonumber(L, index)); break;
  case LUA_TBOOLEAN: wr_json_bool(j, lua_toboolean(L, index)); break;
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, index, &len);
    wr_json_str(j, (struct wr_str){text, len});
    break;
  }
  default: wr_json_cstr(j, luaL_typename(L, index)); break;
  }
}

// Names of credentials, however they are spelt: "Set-Cookie", "x_api_key".
static bool is_secret(const char *name)
{
  static const char *const secrets[] = {"authorization", "proxy-authorization",
                                        "cookie",        "set-cookie",
                                        "x-api-key",     "api-key",
                                        "password",      "secret",
                                        "token"};
  for (size_t i = 0; i < WR_COUNT(secrets); i++) {
    const char *a = name;
    const char *b = secrets[i];
    while (*a && (wr_str_lower(*a) == *b || (*a == '_' && *b == '-'))) a++, b++;
    if (*a == '\0' && *b == '\0') return true;
  }
  return false;
}

static void put_fields(lua_State *L, int index, struct wr_json *j)
{
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      wr_json_key(j, lua_tostring(L, -2));
      // A number is none: it is a fencing token.
      if (lua_type(L, -1) == LUA_TSTRING && is_secret(lua_tostring(L, -2))) {
        wr_json_cstr(j, "[redacted]");
      } else {
        put_value(L, lua_gettop(L), j);
      }
    }
    lua_pop(L, 1);
  }
}

// core.log(level, message, fields | nil, event | nil): one line; fields are text, numbers and
// booleans. An event of the library's own has its fields beside the message.
static int l_log(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  enum wr_log_level level = WR_LOG_INFO;
  size_t len = 0;
  wr_log_level_find(wr_str_of(luaL_checkstring(L, 1)), &level);
  const char *message = luaL_checklstring(L, 2, &len);
  struct wr_json *j = wr_log_begin(s->env->log, level, luaL_optstring(L, 4, "script.log"));
  if (j == NULL) return 0;
  wr_json_field_str(j, "message", (struct wr_str){message, len});
  wr_json_field_uint(j, "generation", s->generation);
  struct wr_trail *trail = s->current ? s->current->trail : NULL;
  if (trail) {
    wr_json_field_str(j, "request_id", trail->request_id);
    wr_trace_name(trail->trace, j);
    wr_json_field_cstr(j, "route", trail->route);
  }
  if (lua_istable(L, 3) && !lua_isnoneornil(L, 4)) {
    put_fields(L, 3, j);
  } else if (lua_istable(L, 3)) {
    wr_json_key(j, "fields");
    wr_json_object(j);
    put_fields(L, 3, j);
    wr_json_object_end(j);
  }
  wr_log_end(s->env->log);
  return 0;
}

// core.env(name) -> text | nil
static int l_env(lua_State *L)
{
  const char *value = getenv(luaL_checkstring(L, 1));
  if (value == NULL) return 0;
  lua_pushstring(L, value);
  return 1;
}

static const luaL_Reg functions[] = {
    {"metric", l_metric},
    {"metric_series", l_metric_series},
    {"metric_add", l_metric_add},
    {"metric_set", l_metric_set},
    {"metric_observe", l_metric_observe},
    {"rung", l_rung},
    {"current_route", l_current_route},
    {"log", l_log},
    {"env", l_env},
    {NULL, NULL},
};

int wr_bind_observe(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
