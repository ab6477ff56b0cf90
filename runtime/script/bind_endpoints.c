// Declaring upstreams, and who their endpoints are: at load, by scripts, and by those who find out.

#include "script/bind.h"

#include "base/alloc.h"
#include "base/check.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_tls.h"
#include "script/bind_upstream.h"
#include "script/table.h"

#include <lauxlib.h>

// Lists of endpoints

// One element: { url, weight, zone, far }. The strings live as long as the table.
static void read_one(lua_State *L, struct wr_roster_wanted *w)
{
  *w = (struct wr_roster_wanted){.url = wr_str_of(wr_table_text(L, -1, "url", "")),
                                 .zone = wr_str_of(wr_table_text(L, -1, "zone", "")),
                                 .weight = wr_table_u32(L, -1, "weight", 1),
                                 .is_far = wr_table_bool(L, -1, "far", false)};
}

// Reads the list at `index` into a userdata that it pushes.
static struct wr_roster_wanted *read_list(lua_State *L, int index, size_t *count)
{
  *count = lua_istable(L, index) ? lua_objlen(L, index) : 0;
  struct wr_roster_wanted *list = lua_newuserdata(L, (*count + 1) * sizeof(*list));
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    read_one(L, &list[i]);
    lua_pop(L, 1);
  }
  return list;
}

// Declaring

static char *copy_text(const char *text)
{
  return text ? wr_strdup(text) : NULL;
}

static void read_key(lua_State *L, struct wr_upstream_key *key)
{
  static const char *const kinds[] = {"", "client", "header", "cookie", "param"};
  const char *kind = wr_table_text(L, 2, "key_kind", "");
  for (size_t i = 0; i < WR_COUNT(kinds); i++) {
    if (strcmp(kinds[i], kind) == 0) key->kind = (enum wr_upstream_key_kind)i;
  }
  key->name = copy_text(wr_table_text(L, 2, "key_name", NULL));
}

static bool read_balance(lua_State *L, struct wr_balance_config *c)
{
  c->pool_max = wr_table_u32(L, 2, "pool_max", 0);
  c->slow_start_ns = wr_table_u64(L, 2, "slow_start", 0);
  c->bound = wr_table_num(L, 2, "hash_bound", 0);
  return wr_balance_rule_find(wr_str_of(wr_table_text(L, 2, "balance", "least_request")), &c->rule);
}

static void read_settings(lua_State *L, struct wr_upstream *u)
{
  const char *host = wr_table_text(L, 2, "host", "endpoint");
  u->host = strcmp(host, "client") == 0 ? WR_HOST_CLIENT : WR_HOST_ENDPOINT;
  u->zone = copy_text(wr_table_text(L, 2, "zone", NULL));
  u->pool_idle_ns = wr_table_u64(L, 2, "pool_idle", 0);
  u->keeps_fresh = strcmp(wr_table_text(L, 2, "pool_reuse", "recent"), "idempotent") == 0;
  u->connect_ns = wr_table_u64(L, 2, "connect", 2 * WR_SECOND);
  u->first_byte_ns = wr_table_u64(L, 2, "first_byte", 0);
  const char *http = wr_table_text(L, 2, "http", "auto");
  u->http = strcmp(http, "h1") == 0   ? WR_TRANSFER_HTTP_1
            : strcmp(http, "h2") == 0 ? WR_TRANSFER_HTTP_2
                                      : WR_TRANSFER_HTTP_AUTO;
  const char *proxy = wr_table_text(L, 2, "proxy_protocol", NULL);
  u->proxy_version = proxy == NULL ? 0 : strcmp(proxy, "v1") == 0 ? 1 : 2;
  u->upgrade = copy_text(wr_table_text(L, 2, "upgrade_list", NULL));
  u->tunnel_idle_ns = wr_table_u64(L, 2, "tunnel_idle", 0);
  u->tunnel_total_ns = wr_table_u64(L, 2, "tunnel_total", 0);
  u->between_bytes_ns = wr_table_u64(L, 2, "between_bytes", 30 * WR_SECOND);
  read_key(L, &u->key);
}

// `outlier` is a table, or absent: nobody is judged.
static void read_outlier(lua_State *L, struct wr_outlier_config *c)
{
  wr_outlier_config_init(c);
  c->consecutive = 0;
  c->failure_rate = 0;
  lua_getfield(L, 2, "outlier");
  int at = lua_gettop(L);
  if (lua_istable(L, at)) {
    c->consecutive = wr_table_u32(L, at, "consecutive", c->consecutive);
    c->failure_rate = wr_table_num(L, at, "failure_rate", c->failure_rate);
    c->latency = wr_table_num(L, at, "latency", c->latency);
    c->slow_windows = wr_table_u32(L, at, "slow_windows", c->slow_windows);
    c->window_ns = wr_table_u64(L, at, "window", c->window_ns);
    c->min_calls = wr_table_u32(L, at, "min_calls", c->min_calls);
    c->base_ns = wr_table_u64(L, at, "base", c->base_ns);
    c->max_ns = wr_table_u64(L, at, "max", c->max_ns);
    c->max_share = wr_table_num(L, at, "max_share", c->max_share);
    c->jitter = wr_table_num(L, at, "jitter", c->jitter);
  }
  lua_pop(L, 1);
}

static void read_checks(lua_State *L, struct wr_roster_config *c)
{
  lua_getfield(L, 2, "health");
  int at = lua_gettop(L);
  if (lua_istable(L, at)) {
    c->interval_ns = wr_table_u64(L, at, "interval", 5 * WR_SECOND);
    c->rise = wr_table_u32(L, at, "rise", 2);
    c->fall = wr_table_u32(L, at, "fall", 3);
  }
  lua_pop(L, 1);
}

static void read_roster(lua_State *L, const struct wr_upstream *u, struct wr_roster_config *c)
{
  memset(c, 0, sizeof(*c));
  read_outlier(L, &c->outlier);
  c->check_jitter = 0.2;
  c->rise = c->fall = 1;
  read_checks(L, c);
  c->panic = wr_table_num(L, 2, "panic", 0.5);
  c->declared = u->declared;
  c->capacity = wr_table_u32(L, 2, "max_endpoints", WR_ROSTER_MEMBERS_MIN);
  if (c->capacity < u->wanted_count) c->capacity = (uint32_t)u->wanted_count;
}

static const char *want(lua_State *L, struct wr_upstream *u, struct wr_error *error)
{
  size_t count;
  lua_getfield(L, 2, "endpoints");
  const struct wr_roster_wanted *list = read_list(L, lua_gettop(L), &count);
  bool ok = wr_upstream_want(u, list, count, wr_str_of(wr_table_text(L, 2, "source", "")), error);
  lua_pop(L, 2);
  return ok ? NULL : error->message;
}

// core.upstream(name, options) -> handle | nil, message. Times in ns.
static int l_upstream(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_balance_config balance = {0};
  struct wr_error error;
  if (!read_balance(L, &balance)) return wr_bind_refuse(L, "no such balance");
  struct wr_upstream_home home = {s->env->endpoints, s->env->registry};
  struct wr_upstream *u = wr_upstream_new(wr_bind_str(L, 1), &balance, &home);
  lua_settop(L, 2);
  wr_bind_upstream_push(L, u); // at 3: the collector's from here on
  const char *problem = want(L, u, &error);
  if (problem) return wr_bind_refuse(L, problem);
  if (!wr_bind_tls_client(L, 2, &u->tls, &error)) return wr_bind_refuse(L, error.message);
  struct wr_roster_config config;
  read_settings(L, u);
  read_roster(L, u, &config);
  problem = wr_outlier_config_check(&config.outlier);
  if (problem) return wr_bind_refuse(L, lua_pushfstring(L, "outlier: %s", problem));
  int results = wr_bind_declare_entry(L, WR_KIND_UPSTREAM, &config, sizeof(config));
  if (results != 1) return results;
  wr_upstream_enlist(u, lua_touserdata(L, -1));
  wr_list_push(&s->declared.upstreams, &u->link);
  lua_settop(L, 3);
  return 1;
}

// Finding out who they are

// core.endpoints_set(upstream, list) -> how many had no room | nil, message
static int l_endpoints_set(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_error error;
  size_t count;
  luaL_checktype(L, 2, LUA_TTABLE);
  const struct wr_roster_wanted *list = read_list(L, 2, &count);
  if (!wr_upstream_check(list, count, &error)) return wr_bind_refuse(L, error.message);
  lua_pushinteger(L, (lua_Integer)wr_upstream_set(u, list, count, wr_loop_now(env->loop)));
  return 1;
}

static uint64_t now_of(lua_State *L)
{
  return wr_loop_now(wr_script_of(L)->env->loop);
}

// core.endpoints_ask(upstream, lease) -> true: it is this worker's turn to find them out, for
// `lease` ns | false, ns until it may be
static int l_endpoints_ask(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  uint64_t now = now_of(L);
  uint64_t wait_ns = WR_SECOND;
  bool is_mine = false;
  struct wr_roster *r = wr_upstream_lock(u, now);
  if (r) {
    is_mine = wr_roster_claim(r, now, now + (uint64_t)luaL_checknumber(L, 2));
    wait_ns = r->asked_ns > now ? r->asked_ns - now : 0;
    wr_upstream_unlock(u);
  }
  lua_pushboolean(L, is_mine);
  lua_pushnumber(L, (double)wait_ns);
  return 2;
}

// core.endpoints_asked(upstream, after): they are to be found out again in `after` ns
static int l_endpoints_asked(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  uint64_t after_ns = (uint64_t)luaL_checknumber(L, 2);
  uint64_t now = now_of(L);
  struct wr_roster *r = wr_upstream_lock(u, now);
  if (r == NULL) return 0;
  r->asked_ns = now + after_ns;
  wr_upstream_unlock(u);
  return 0;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

// core.endpoints(upstream) -> list of { url, weight, zone, ejected, unhealthy }
static int l_endpoints(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  uint64_t now = now_of(L);
  wr_upstream_sync(u, now);
  lua_createtable(L, (int)u->balance.count, 0);
  for (size_t i = 0; i < u->balance.count; i++) {
    const struct wr_upstream_place *p = &u->places[i];
    lua_createtable(L, 0, 5);
    set_text(L, "url", u->balance.places[i].endpoint->url);
    if (p->zone[0]) set_text(L, "zone", p->zone);
    lua_pushinteger(L, (lua_Integer)u->balance.places[i].weight);
    lua_setfield(L, -2, "weight");
    set_flag(L, "ejected", p->is_ejected);
    set_flag(L, "unhealthy", p->is_unhealthy);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

// Their health

// core.endpoint_claim(upstream) -> row, url: it is this worker's turn to check it | nil, ns until
// one is due
static int l_endpoint_claim(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  uint64_t now = now_of(L);
  uint64_t after_ns = WR_SECOND;
  char url[WR_ROSTER_URL_MAX];
  uint32_t row = UINT32_MAX;
  struct wr_roster *r = wr_upstream_lock(u, now);
  if (r) {
    row = wr_roster_claim_check(r, now, &after_ns);
    if (row != UINT32_MAX) memcpy(url, wr_roster_member(r, row)->url, sizeof(url));
    wr_upstream_unlock(u);
  }
  if (row == UINT32_MAX) {
    lua_pushnil(L);
    lua_pushnumber(L, (double)after_ns);
  } else {
    lua_pushnumber(L, row);
    lua_pushstring(L, url);
  }
  return 2;
}

// core.endpoint_checked(upstream, row, url, ok, err)
static int l_endpoint_checked(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  uint32_t row = (uint32_t)luaL_checknumber(L, 2);
  uint64_t id = wr_roster_id(wr_bind_str(L, 3));
  struct wr_error error = {0};
  lua_settop(L, 5);
  if (!lua_toboolean(L, 4) && !wr_bind_error_read(L, 5, &error)) error.kind = WR_ERROR_REFUSED;
  uint64_t now = now_of(L);
  struct wr_roster *r = wr_upstream_lock(u, now);
  if (r == NULL) return 0;
  wr_roster_check(r, row, id, (uint8_t)error.kind, now);
  wr_upstream_unlock(u);
  return 0;
}

static const luaL_Reg functions[] = {
    {"upstream", l_upstream},
    {"endpoints", l_endpoints},
    {"endpoints_set", l_endpoints_set},
    {"endpoints_ask", l_endpoints_ask},
    {"endpoints_asked", l_endpoints_asked},
    {"endpoint_claim", l_endpoint_claim},
    {"endpoint_checked", l_endpoint_checked},
    {NULL, NULL},
};

int wr_bind_endpoints(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
