#include "script/bind_tls.h"

#include "arena/session_keys.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "http/tls.h"
#include "script/bind.h"
#include "script/script.h"
#include "script/table.h"

// --- files --------------------------------------------------------------------------------------

// Reads the file whose path is in `table[key]`; one that is not named has no text.
static bool read_file(lua_State *L, int table, const char *key, struct wr_tls_file *file,
                      struct wr_error *error)
{
  struct wr_script *s = wr_script_of(L);
  *file = (struct wr_tls_file){.path = wr_table_text(L, table, key, NULL)};
  return file->path == NULL || s->data(s->find_ctx, file->path, &file->text, error);
}

// When certificates must be valid. A worker that starts anew must not fail for one that was good
// when it was loaded.
static int64_t now_s(lua_State *L)
{
  return wr_script_of(L)->is_trial ? (int64_t)(wr_loop_wall() / WR_SECOND) : 0;
}

// --- listeners ----------------------------------------------------------------------------------

static enum wr_tls_client_auth client_auth(const char *word)
{
  if (strcmp(word, "required") == 0) return WR_TLS_CLIENT_REQUIRED;
  return strcmp(word, "optional") == 0 ? WR_TLS_CLIENT_OPTIONAL : WR_TLS_CLIENT_NONE;
}

static struct wr_tls *make(lua_State *L, struct wr_error *error)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_tls_options o = {.count = wr_table_u32(L, 2, "count", 1)};
  o.client_auth = client_auth(wr_table_text(L, 2, "client_auth", "none"));
  o.is_told = wr_table_bool(L, 2, "tell_upstreams", false);
  bool is_13 = strcmp(wr_table_text(L, 2, "min_version", "1.2"), "1.3") == 0;
  o.min_version = is_13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const char *alpn = wr_table_text(L, 2, "alpn", "");
  o.alpn = (const unsigned char *)alpn;
  o.alpn_len = (unsigned)strlen(alpn);
  o.keys = wr_session_keys_of(s->env->arena);
  o.now_s = now_s(L);
  if (!read_file(L, 2, "client_ca", &o.client_ca, error)) return NULL;
  return wr_tls_new(&o, error);
}

static struct wr_listen_declared *find(lua_State *L, const char *address)
{
  WR_LIST_EACH(&wr_script_of(L)->declared.listens, node) {
    struct wr_listen_declared *d = WR_CONTAINER(node, struct wr_listen_declared, link);
    if (strcmp(d->address, address) == 0) return d;
  }
  luaL_error(L, "%s is not listened on", address);
  return NULL;
}

// core.listen_tls(address, options) -> true | nil, message: of a declared listener, whose
// certificates follow. options {count, client_ca, client_auth, min_version, alpn (as in the
// extension), tell_upstreams}
static int l_listen_tls(lua_State *L)
{
  struct wr_listen_declared *d = find(L, luaL_checkstring(L, 1));
  luaL_checktype(L, 2, LUA_TTABLE);
  struct wr_error error;
  struct wr_vm *vm = &wr_script_of(L)->vm;
  uint64_t began_ns = wr_vm_work_begin(vm);
  struct wr_tls *tls = make(L, &error);
  wr_vm_work_end(vm, began_ns);
  if (tls == NULL) return wr_bind_refuse(L, error.message);
  wr_tls_unref(d->options.tls);
  d->options.tls = tls;
  lua_pushboolean(L, 1);
  return 1;
}

// core.listen_certificate(address, pair) -> true | nil, message: the next one, {cert, key}. One
// each call, between which a load in slices can let others run.
static int l_listen_certificate(lua_State *L)
{
  struct wr_listen_declared *d = find(L, luaL_checkstring(L, 1));
  luaL_checktype(L, 2, LUA_TTABLE);
  struct wr_error error;
  struct wr_vm *vm = &wr_script_of(L)->vm;
  struct wr_tls_pair pair;
  uint64_t began_ns = wr_vm_work_begin(vm);
  bool ok = read_file(L, 2, "cert", &pair.cert, &error) &&
            read_file(L, 2, "key", &pair.key, &error) && wr_tls_add(d->options.tls, &pair, &error);
  wr_vm_work_end(vm, began_ns);
  wr_vm_look_soon(vm);
  if (!ok) return wr_bind_refuse(L, error.message);
  lua_pushboolean(L, 1);
  return 1;
}

// --- upstreams ----------------------------------------------------------------------------------

static struct wr_client_tls *make_client(lua_State *L, int index, struct wr_error *error)
{
  struct wr_tls_file ca;
  struct wr_tls_file cert;
  struct wr_tls_file key;
  if (!read_file(L, index, "ca", &ca, error) || !read_file(L, index, "cert", &cert, error) ||
      !read_file(L, index, "key", &key, error)) {
    return NULL;
  }
  struct wr_client_tls_options o = {.ca = &ca, .cert = &cert, .key = &key, .now_s = now_s(L)};
  const char *name = wr_table_text(L, index, "server_name", NULL);
  if (name) o.server_name = wr_str_of(name);
  o.skip_verify = !wr_table_bool(L, index, "verify", true);
  return wr_client_tls_new(&o, error);
}

bool wr_bind_tls_client(lua_State *L, int index, struct wr_client_tls **out, struct wr_error *error)
{
  lua_getfield(L, index, "tls");
  bool is_given = lua_istable(L, -1);
  struct wr_vm *vm = &wr_script_of(L)->vm;
  uint64_t began_ns = wr_vm_work_begin(vm);
  *out = is_given ? make_client(L, lua_gettop(L), error) : NULL;
  wr_vm_work_end(vm, began_ns);
  lua_pop(L, 1);
  return !is_given || *out != NULL;
}

// --- what is known of a client ------------------------------------------------------------------

static void set_text(lua_State *L, const char *key, const char *text)
{
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_bool(lua_State *L, const char *key, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void push_client(lua_State *L, const struct wr_tls_client *c)
{
  lua_createtable(L, 0, 5);
  set_text(L, "subject", c->subject);
  set_text(L, "issuer", c->issuer);
  set_text(L, "serial", c->serial);
  set_text(L, "fingerprint", c->fingerprint);
  lua_createtable(L, (int)c->name_count, 0);
  for (size_t i = 0; i < c->name_count; i++) {
    lua_pushstring(L, c->names[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "names");
}

void wr_bind_tls_push(lua_State *L, const struct wr_tls_facts *tls)
{
  lua_createtable(L, 0, 7);
  set_text(L, "version", tls->version);
  set_text(L, "cipher", tls->cipher);
  set_text(L, "sni", tls->sni);
  if (tls->protocol.len > 0) {
    lua_pushlstring(L, tls->protocol.ptr, tls->protocol.len);
    lua_setfield(L, -2, "protocol");
  }
  set_bool(L, "resumed", tls->is_resumed);
  set_bool(L, "verified", tls->client != NULL);
  if (tls->client == NULL) return;
  push_client(L, tls->client);
  lua_setfield(L, -2, "client");
}

int wr_bind_tls(lua_State *L)
{
  lua_pushcfunction(L, l_listen_tls);
  lua_setfield(L, 1, "listen_tls");
  lua_pushcfunction(L, l_listen_certificate);
  lua_setfield(L, 1, "listen_certificate");
  return 0;
}
