#include "script/vm.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "script/bind.h"
#include "script/call.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
  SOFT_BYTES_DEFAULT = 64 << 20,
  SOFT_BYTES_MIN = 1 << 20, // the library alone needs about a quarter of it
  HARD_FACTOR = 8,
  STRING_BYTES_DEFAULT = 8 << 20,
  LOAD_INSTRUCTIONS = 1000, // between two looks at the clock during a load
  GC_STEP_MUL = 400, // collect twice as fast as LuaJIT's default: short pauses, less overshoot
};

// Memory.

// A request makes and drops a few small objects: those sizes go round without the heap.

enum { SMALL_STEP = 16 };

_Static_assert(sizeof(((struct wr_vm *)0)->small) / sizeof(void *) == WR_VM_SMALL_SIZE / SMALL_STEP,
               "a list for each size");

static size_t list_of(size_t size)
{
  return (size - 1) / SMALL_STEP;
}

static void *take_small(struct wr_vm *vm, size_t size)
{
  size_t list = list_of(size);
  void *ptr = vm->small[list];
  if (ptr == NULL) return wr_realloc(NULL, (list + 1) * SMALL_STEP);
  vm->small[list] = *(void **)ptr;
  vm->small_held--;
  return ptr;
}

static void give_small(struct wr_vm *vm, void *ptr, size_t size)
{
  if (vm->small_held == WR_VM_SMALL_HELD) {
    wr_free(ptr);
    return;
  }
  size_t list = list_of(size);
  *(void **)ptr = vm->small[list];
  vm->small[list] = ptr;
  vm->small_held++;
}

static void free_small(struct wr_vm *vm)
{
  for (size_t i = 0; i < WR_COUNT(vm->small); i++) {
    while (vm->small[i] != NULL) {
      void *ptr = vm->small[i];
      vm->small[i] = *(void **)ptr;
      wr_free(ptr);
    }
  }
}

static bool is_small(size_t size)
{
  return size <= WR_VM_SMALL_SIZE;
}

// From one size to another, neither of them 0.
static void *resize(struct wr_vm *vm, void *ptr, size_t old_size, size_t new_size)
{
  bool was_small = is_small(old_size);
  if (!was_small && !is_small(new_size)) return wr_realloc(ptr, new_size);
  if (was_small && is_small(new_size) && list_of(old_size) == list_of(new_size)) return ptr;
  void *moved = is_small(new_size) ? take_small(vm, new_size) : wr_realloc(NULL, new_size);
  memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
  if (was_small) {
    give_small(vm, ptr, old_size);
  } else {
    wr_free(ptr);
  }
  return moved;
}

static void *count_alloc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
  struct wr_vm *vm = ud;
  if (new_size == 0) {
    vm->used_bytes -= old_size;
    if (ptr != NULL && is_small(old_size)) {
      give_small(vm, ptr, old_size);
    } else {
      wr_free(ptr);
    }
    return NULL;
  }
  size_t used = vm->used_bytes - old_size + new_size;
  if (new_size > old_size && used > vm->limits.soft_bytes) {
    wr_vm_interrupt(vm, WR_VM_STOP_MEMORY);
    if (used > vm->limits.hard_bytes) {
      vm->refused++;
      return NULL;
    }
  }
  vm->used_bytes = used;
  if (used > vm->peak_bytes) vm->peak_bytes = used;
  if (ptr != NULL) return resize(vm, ptr, old_size, new_size);
  return is_small(new_size) ? take_small(vm, new_size) : wr_realloc(NULL, new_size);
}

// The budget hook. LuaJIT has one hook for all coroutines of a state.

// Garbage counts as use until it is collected: collect before an innocent task pays for it.
static bool relieve(struct wr_vm *vm, lua_State *L)
{
  lua_gc(L, LUA_GCCOLLECT, 0);
  if (vm->used_bytes > vm->limits.soft_bytes - vm->limits.soft_bytes / 4) return false;
  vm->relieved++;
  (void)wr_vm_take_stop(vm);
  return true;
}

// Where it was stopped. Afterwards the stack no longer tells: the saved position is that of the
// next instruction, and at the end of a loop that is its beginning, lines above.
static void note_place(struct wr_vm *vm, lua_State *L, lua_Debug *frame)
{
  lua_getinfo(L, "Sl", frame);
  bool is_library = strncmp(frame->short_src, "weir/", 5) == 0;
  vm->stop_line = is_library ? 0 : frame->currentline;
  snprintf(vm->stop_file, sizeof(vm->stop_file), "%s", frame->short_src);
}

static void on_count(lua_State *L, lua_Debug *frame)
{
  struct wr_vm *vm = wr_vm_of(L);
  if (vm->stop == WR_VM_RUNS) {
    if (vm->load_until_ns == 0) {
      lua_sethook(L, NULL, 0, 0); // armed by a thread that came after the disarming
      return;
    }
    if (vm->host.clock(vm->owner) < vm->load_until_ns) return;
    wr_vm_interrupt(vm, WR_VM_STOP_TIME);
  }
  if (vm->stop == WR_VM_STOP_MEMORY && relieve(vm, L)) return;
  if (!vm->has_stopped) note_place(vm, L, frame);
  vm->has_stopped = true;
  // A raise can be caught for ever, a yield cannot. Below a C frame only the raise is possible; it
  // is repeated at every instruction until there is no C frame left.
  if (lua_isyieldable(L)) {
    (void)lua_yield(L, 0);
  } else {
    luaL_error(L, "interrupted: the script exceeded its limits");
  }
}

void wr_vm_interrupt(struct wr_vm *vm, enum wr_vm_stop why)
{
  int runs = WR_VM_RUNS;
  atomic_compare_exchange_strong(&vm->stop, &runs, (int)why);
  if (vm->L != NULL) lua_sethook(vm->L, on_count, LUA_MASKCOUNT, 1);
}

enum wr_vm_stop wr_vm_take_stop(struct wr_vm *vm)
{
  int why = atomic_exchange(&vm->stop, WR_VM_RUNS);
  if (vm->load_until_ns != 0) {
    lua_sethook(vm->L, on_count, LUA_MASKCOUNT, LOAD_INSTRUCTIONS);
  } else if (why != WR_VM_RUNS) {
    lua_sethook(vm->L, NULL, 0, 0);
  }
  bool has_stopped = vm->has_stopped;
  vm->has_stopped = false;
  return has_stopped ? (enum wr_vm_stop)why : WR_VM_RUNS;
}

// Opening.

static int on_panic(lua_State *L)
{
  (void)L;
  WR_UNREACHABLE("a Lua error outside of a protected call");
}

static void open_lib(lua_State *L, const char *name, lua_CFunction open)
{
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 0);
}

static void bind(lua_State *L, lua_CFunction function)
{
  lua_pushcfunction(L, function);
  wr_vm_core(L);
  lua_call(L, 1, 0);
}

// Runs protected. Only these libraries exist in the state at all: no package, io, os, debug, jit,
// ffi.
static int open_worlds(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  open_lib(L, "", luaopen_base);
  open_lib(L, LUA_STRLIBNAME, luaopen_string);
  open_lib(L, LUA_TABLIBNAME, luaopen_table);
  open_lib(L, LUA_MATHLIBNAME, luaopen_math);
  open_lib(L, LUA_BITLIBNAME, luaopen_bit);
  lua_newtable(L);
  vm->core_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  bind(L, wr_bind_json);
  bind(L, wr_bind_pattern);
  bind(L, wr_bind_sandbox);
  wr_vm_core(L);
  lua_getfield(L, -1, "compile_library");
  lua_pushliteral(L, "weir.core.loader");
  lua_call(L, 1, 1);
  lua_insert(L, -2);
  lua_call(L, 1, 1); // stack: the policy environment
  vm->env_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

// The first thing in a new state: what error reports need without allocating.
static int open_reports(lua_State *L)
{
  lua_pushcfunction(L, wr_call_catch);
  wr_vm_of(L)->catch_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushliteral(L, "message");
  luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushliteral(L, "kind");
  luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static void set_limits(struct wr_vm *vm, const struct wr_vm_limits *limits)
{
  struct wr_vm_limits *l = &vm->limits;
  if (limits != NULL) *l = *limits;
  if (l->soft_bytes == 0) l->soft_bytes = SOFT_BYTES_DEFAULT;
  if (l->hard_bytes < l->soft_bytes) l->hard_bytes = HARD_FACTOR * l->soft_bytes;
  if (l->string_bytes == 0) l->string_bytes = STRING_BYTES_DEFAULT;
  if (l->load_ns == 0) l->load_ns = 500 * WR_MS;
}

int wr_vm_open(struct wr_vm *vm, void *owner, const struct wr_vm_host *host,
               const struct wr_vm_limits *limits, struct wr_script_error *err)
{
  *vm = (struct wr_vm){.owner = owner, .host = *host};
  WR_CHECK(host->clock != NULL);
  set_limits(vm, limits);
  if (vm->limits.soft_bytes < SOFT_BYTES_MIN) {
    wr_call_error_set(err, "", 0, "script_memory is %zu bytes, a state needs at least %d",
                      vm->limits.soft_bytes, (int)SOFT_BYTES_MIN);
    return -1;
  }
  vm->L = lua_newstate(count_alloc, vm);
  WR_CHECK(vm->L != NULL);
  lua_atpanic(vm->L, on_panic);
  luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  lua_gc(vm->L, LUA_GCSETSTEPMUL, GC_STEP_MUL);
  WR_CHECK(lua_cpcall(vm->L, open_reports, NULL) == 0);
  lua_pushcfunction(vm->L, open_worlds);
  if (wr_vm_call(vm->L, 0, 0, err)) return 0;
  wr_vm_close(vm);
  return -1;
}

void wr_vm_close(struct wr_vm *vm)
{
  if (vm->L == NULL) return;
  lua_State *L = vm->L;
  vm->L = NULL;
  lua_close(L);
  free_small(vm);
  WR_CHECK(vm->used_bytes == 0);
}

void wr_vm_core(lua_State *L)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, wr_vm_of(L)->core_ref);
}

bool wr_vm_bind(struct wr_vm *vm, lua_CFunction function, struct wr_script_error *err)
{
  lua_pushcfunction(vm->L, function);
  wr_vm_core(vm->L);
  return wr_vm_call(vm->L, 1, 0, err);
}

static int open_library(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "weir");
  lua_call(L, 1, 0);
  return 0;
}

bool wr_vm_open_library(struct wr_vm *vm, struct wr_script_error *err)
{
  lua_pushcfunction(vm->L, open_library);
  return wr_vm_call(vm->L, 0, 0, err);
}

// Loading.

struct load {
  struct wr_str path;
  struct wr_str text;
};

// Runs protected. stack: struct load -> coroutine with the compiled chunk.
static int prepare(lua_State *L)
{
  const struct load *load = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  lua_pushlstring(L, load->path.ptr, load->path.len);
  const char *name = lua_pushfstring(L, "@%s", lua_tostring(L, -1));
  if (luaL_loadbufferx(L, load->text.ptr, load->text.len, name, "t") != 0) return lua_error(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, wr_vm_of(L)->env_ref);
  lua_setfenv(L, -2);
  lua_xmove(L, co, 1);
  lua_settop(L, 2);
  return 1;
}

// Runs the chunk on `co` to its end; it is on the stack of `vm->L`, so it stays alive.
static bool run(struct wr_vm *vm, lua_State *co, struct wr_script_error *err)
{
  vm->load_until_ns = vm->host.clock(vm->owner) + vm->limits.load_ns;
  lua_sethook(vm->L, on_count, LUA_MASKCOUNT, LOAD_INSTRUCTIONS);
  int status = lua_resume(co, 0);
  enum wr_vm_stop stop = wr_vm_take_stop(vm);
  if (status == LUA_YIELD && stop == WR_VM_RUNS) {
    wr_call_describe(co, WR_VM_STOP_TIME, err);
    wr_call_error_set(err, err->file, err->line, "nothing may wait while a file is loaded");
  } else if (status != 0) {
    wr_call_describe(co, stop, err);
  }
  vm->load_until_ns = 0;
  lua_sethook(vm->L, NULL, 0, 0);
  return status == 0;
}

bool wr_vm_load(struct wr_vm *vm, struct wr_str path, struct wr_str text,
                struct wr_script_error *err)
{
  struct load load = {path, text};
  lua_State *L = vm->L;
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, &load);
  if (!wr_vm_call(L, 1, 1, err)) return false;
  lua_State *co = lua_tothread(L, -1);
  if (!run(vm, co, err)) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0); // what it hoarded must not count against the next
    return false;
  }
  lua_settop(co, 1); // the first result, or nil
  lua_xmove(co, L, 1);
  lua_remove(L, -2);
  return true;
}

void wr_vm_freeze(struct wr_vm *vm)
{
  vm->is_frozen = true;
}

const char *wr_vm_library_version(void)
{
  return LUAJIT_VERSION + sizeof("LuaJIT ") - 1;
}

uint64_t wr_vm_work_begin(const struct wr_vm *vm)
{
  return vm->host.clock(vm->owner);
}

void wr_vm_work_end(struct wr_vm *vm, uint64_t began_ns)
{
  if (vm->load_until_ns > 0) vm->load_until_ns += vm->host.clock(vm->owner) - began_ns;
}
