// A host for Lua states, driven by specs: reads frames from stdin, answers each with a JSON line.
//
//   KIND NAME LENGTH\n<LENGTH bytes>
//
//   module NAME   adds a file of the bundle, found by require "NAME"
//   limit NAME    sets soft_bytes, string_bytes or load_ms (the bytes are the number) for the next
//   state load NAME     runs a main chunk named NAME; answers its result or its error call NAME
//   compiled -    from now on states get what was compiled before, as those of workers do
//   calls the function that the last load returned, on the main thread race NAME     calls that
//   function in a coroutine while a thread interrupts the state freeze -      ends the time of
//   declarations core -        runs a chunk in the library world; gets the core table reset -
//   closes the state, forgets bundle and limits; answers what the state held
#include "base/alloc.h"
#include "base/check.h"
#include "base/json.h"
#include "base/rng.h"
#include "loop/loop.h"
#include "script/call.h"
#include "script/library.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MODULES_MAX = 32, NAME_MAX_BYTES = 128, LINE_MAX_BYTES = 64 << 20 };

struct module {
  char name[NAME_MAX_BYTES];
  struct wr_str text;
};

struct host {
  struct wr_vm vm;
  bool is_open;
  int result_ref; // what the last load returned
  struct wr_vm_limits limits;
  struct wr_library *library; // NULL: texts are compiled
  struct module modules[MODULES_MAX];
  size_t module_count;
  struct wr_rng rng;
  int marks;
  char path[NAME_MAX_BYTES + 8];
  struct wr_buf line;
  struct wr_buf printed;
};

static uint64_t host_clock(void *owner)
{
  (void)owner;
  return wr_loop_clock();
}

static double host_random(void *owner)
{
  struct host *h = owner;
  return wr_rng_unit(&h->rng);
}

static bool host_find(void *owner, struct wr_str name, struct wr_code *out)
{
  struct host *h = owner;
  for (size_t i = 0; i < h->module_count; i++) {
    if (!wr_str_eq(name, wr_str_of(h->modules[i].name))) continue;
    snprintf(h->path, sizeof(h->path), "%s.lua", h->modules[i].name);
    for (char *c = h->path; *c != '\0' && c[4] != '\0'; c++) {
      if (*c == '.') *c = '/';
    }
    *out = (struct wr_code){.path = wr_str_of(h->path), .text = h->modules[i].text};
    return true;
  }
  return false;
}

static int host_mark(void *owner, lua_State *L)
{
  (void)L;
  struct host *h = owner;
  return h->marks++;
}

static void host_unwind(void *owner, lua_State *L, int mark)
{
  (void)L;
  struct host *h = owner;
  wr_buf_printf(&h->printed, "unwind %d\n", mark);
}

static void host_print(void *owner, lua_State *L, struct wr_str line)
{
  (void)L;
  struct host *h = owner;
  wr_buf_append_str(&h->printed, line);
  wr_buf_append(&h->printed, "\n", 1);
}

static const struct wr_vm_host functions = {
    .clock = host_clock,
    .random = host_random,
    .find = host_find,
    .scope_mark = host_mark,
    .scope_unwind = host_unwind,
    .print = host_print,
};

// Answers.

static void send_line(struct host *h)
{
  struct wr_str line = wr_buf_str(&h->line);
  fwrite(line.ptr, 1, line.len, stdout);
  fputc('\n', stdout);
  fflush(stdout);
}

// The value on top of the stack as JSON, or its type when it has none. Runs protected.
static int value_text(lua_State *L)
{
  wr_vm_core(L);
  lua_getfield(L, -1, "json_encode");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) lua_pushfstring(L, "\"<%s>\"", luaL_typename(L, 1));
  return 1;
}

// Pops the result of a run that went well.
static void add_value(struct host *h, struct wr_json *json)
{
  struct wr_script_error err;
  lua_State *L = h->vm.L;
  lua_pushcfunction(L, value_text);
  lua_insert(L, -2);
  bool ok = wr_vm_call(L, 1, 1, &err);
  wr_json_key(json, "value");
  wr_buf_append_str(&h->line, ok ? wr_str_of(lua_tostring(L, -1)) : WR_STR("null"));
  json->need_comma = true;
  if (ok) lua_pop(L, 1);
}

static void add_error(struct wr_json *json, const struct wr_script_error *err)
{
  wr_json_field_cstr(json, "file", err->file);
  wr_json_field_uint(json, "line", (uint64_t)err->line);
  wr_json_field_cstr(json, "message", err->message);
  wr_json_field_cstr(json, "traceback", err->traceback);
}

static void answer(struct host *h, bool ok, const struct wr_script_error *err, uint64_t began_ns)
{
  struct wr_json json;
  wr_buf_clear(&h->line);
  wr_json_init(&json, &h->line);
  wr_json_object(&json);
  wr_json_field_bool(&json, "ok", ok);
  wr_json_field_num(&json, "ms", (double)(wr_loop_clock() - began_ns) / 1e6);
  wr_json_field_uint(&json, "used", h->vm.used_bytes);
  wr_json_field_uint(&json, "peak", h->vm.peak_bytes);
  wr_json_field_uint(&json, "relieved", h->vm.relieved);
  wr_json_field_str(&json, "printed", wr_buf_str(&h->printed));
  wr_buf_clear(&h->printed);
  if (ok) {
    add_value(h, &json);
  } else {
    add_error(&json, err);
  }
  wr_json_object_end(&json);
  send_line(h);
}

// Frames.

// core.nap(): suspends, as a yielding binding does.
static int l_nap(lua_State *L)
{
  return lua_yield(L, 0);
}

static int bind_nap(lua_State *L)
{
  lua_pushcfunction(L, l_nap);
  lua_setfield(L, 1, "nap");
  return 0;
}

static bool open_vm(struct host *h, struct wr_script_error *err)
{
  if (h->is_open) return true;
  struct wr_vm_host host = functions;
  host.library = h->library;
  h->is_open = wr_vm_open(&h->vm, h, &host, &h->limits, err) == 0;
  h->result_ref = LUA_NOREF;
  return h->is_open && wr_vm_bind(&h->vm, bind_nap, err);
}

static void keep_result(struct host *h)
{
  lua_State *L = h->vm.L;
  luaL_unref(L, LUA_REGISTRYINDEX, h->result_ref);
  lua_pushvalue(L, -1);
  h->result_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void do_load(struct host *h, const char *name, struct wr_str text)
{
  struct wr_script_error err;
  struct wr_code code = {.path = wr_str_of(name), .text = text};
  struct wr_buf compiled;
  wr_buf_init(&compiled, LINE_MAX_BYTES);
  if (h->library != NULL && wr_code_compile(&code, &compiled)) {
    code.compiled = wr_buf_str(&compiled);
    code.text = (struct wr_str){NULL, 0};
  }
  uint64_t began_ns = wr_loop_clock();
  bool ok = open_vm(h, &err) && wr_vm_load(&h->vm, &code, &err);
  if (ok) keep_result(h);
  answer(h, ok, &err, began_ns);
  wr_buf_fini(&compiled);
}

static void do_call(struct host *h)
{
  struct wr_script_error err;
  uint64_t began_ns = wr_loop_clock();
  WR_CHECK(h->is_open);
  lua_rawgeti(h->vm.L, LUA_REGISTRYINDEX, h->result_ref);
  bool ok = wr_vm_call(h->vm.L, 0, 1, &err);
  (void)wr_vm_take_stop(&h->vm, ok ? 0 : LUA_ERRRUN);
  answer(h, ok, &err, began_ns);
}

static void *interrupt_later(void *arg)
{
  usleep(10000);
  wr_vm_interrupt(arg, WR_VM_STOP_TIME);
  return NULL;
}

static void do_race(struct host *h)
{
  struct wr_script_error err;
  uint64_t began_ns = wr_loop_clock();
  pthread_t thread;
  lua_State *co = lua_newthread(h->vm.L);
  lua_rawgeti(co, LUA_REGISTRYINDEX, h->result_ref);
  WR_CHECK(pthread_create(&thread, NULL, interrupt_later, &h->vm) == 0);
  int status = lua_resume(co, 0);
  pthread_join(thread, NULL);
  enum wr_vm_stop stop = wr_vm_take_stop(&h->vm, status);
  if (status != 0) wr_call_describe(co, (int)stop, &err);
  if (status == 0) {
    lua_settop(co, 1);
    lua_xmove(co, h->vm.L, 1);
  }
  answer(h, status == 0, &err, began_ns);
  lua_pop(h->vm.L, 1); // the coroutine
}

static void do_core(struct host *h, struct wr_str text)
{
  struct wr_script_error err;
  uint64_t began_ns = wr_loop_clock();
  bool ok = open_vm(h, &err);
  if (ok && luaL_loadbufferx(h->vm.L, text.ptr, text.len, "@core", "t") != 0) {
    wr_call_error_set(&err, "core", 0, "%s", lua_tostring(h->vm.L, -1));
    lua_pop(h->vm.L, 1);
    ok = false;
  } else if (ok) {
    wr_vm_core(h->vm.L);
    ok = wr_vm_call(h->vm.L, 1, 1, &err);
  }
  answer(h, ok, &err, began_ns);
}

static void do_limit(struct host *h, const char *name, struct wr_str text)
{
  unsigned long long value = strtoull(text.ptr, NULL, 10);
  if (strcmp(name, "soft_bytes") == 0) h->limits.soft_bytes = (size_t)value;
  if (strcmp(name, "string_bytes") == 0) h->limits.string_bytes = (size_t)value;
  if (strcmp(name, "load_ms") == 0) h->limits.load_ns = value * 1000000;
}

static void do_module(struct host *h, const char *name, struct wr_str text)
{
  WR_CHECK(h->module_count < MODULES_MAX);
  struct module *m = &h->modules[h->module_count++];
  snprintf(m->name, sizeof(m->name), "%s", name);
  m->text = (struct wr_str){wr_strndup(text.ptr, text.len), text.len};
}

static void do_reset(struct host *h)
{
  if (h->is_open) wr_vm_close(&h->vm);
  h->is_open = false;
  h->limits = (struct wr_vm_limits){0};
  for (size_t i = 0; i < h->module_count; i++) wr_free((char *)h->modules[i].text.ptr);
  h->module_count = 0;
  h->marks = 0;
  printf("{\"ok\":true,\"used\":%zu}\n", h->vm.used_bytes);
  fflush(stdout);
}

static void do_frame(struct host *h, const char *kind, const char *name, struct wr_str text)
{
  if (strcmp(kind, "load") == 0) {
    do_load(h, name, text);
  } else if (strcmp(kind, "call") == 0) {
    do_call(h);
  } else if (strcmp(kind, "race") == 0) {
    do_race(h);
  } else if (strcmp(kind, "core") == 0) {
    do_core(h, text);
  } else if (strcmp(kind, "freeze") == 0) {
    (void)wr_vm_freeze(&h->vm, UINT64_MAX);
  } else if (strcmp(kind, "compiled") == 0) {
    if (h->library == NULL) h->library = wr_library_compile();
  } else if (strcmp(kind, "limit") == 0) {
    do_limit(h, name, text);
  } else if (strcmp(kind, "module") == 0) {
    do_module(h, name, text);
  } else if (strcmp(kind, "reset") == 0) {
    do_reset(h);
  } else {
    fprintf(stderr, "vm_host: unknown frame '%s'\n", kind);
    exit(2);
  }
}

int main(void)
{
  struct host *h = wr_alloc(sizeof(*h));
  wr_rng_init(&h->rng, 1);
  wr_buf_init(&h->line, LINE_MAX_BYTES);
  wr_buf_init(&h->printed, LINE_MAX_BYTES);
  char kind[16];
  char name[NAME_MAX_BYTES];
  size_t len;
  while (scanf("%15s %127s %zu", kind, name, &len) == 3 && getchar() == '\n') {
    char *text = wr_alloc(len + 1);
    if (fread(text, 1, len, stdin) != len) return 2;
    do_frame(h, kind, name, (struct wr_str){text, len});
    wr_free(text);
  }
  do_reset(h);
  wr_library_free(h->library);
  wr_buf_fini(&h->line);
  wr_buf_fini(&h->printed);
  wr_free(h);
  return 0;
}
