#include "script/vm.h"

#include "base/check.h"
#include "base/duration.h"
#include "script/bind.h"
#include "script/call.h"
#include "script/relief.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
  SOFT_BYTES_DEFAULT = 64 << 20,
  SOFT_BYTES_MIN = 1 << 20, // the library alone needs about a quarter of it
  HARD_FACTOR = 8,
  GROWTH_SHARE = 8, // of the soft limit
  STRING_BYTES_DEFAULT = 8 << 20,
  LOAD_INSTRUCTIONS = 1000, // between two looks at the clock during a load
  GC_STEP_MUL = 400, // collect twice as fast as LuaJIT's default: short pauses, less overshoot
  GC_STEPS = 16,     // between two looks at the clock
  GC_PAUSE_SHORTEST = 200,
  GC_PAUSE_LONGEST = 1000,
};

// Memory.

// Above the mark a script is interrupted at its next instruction. What a single instruction may
// still take is bounded too: `s .. s .. s` of large strings is one.
static bool may_have(struct wr_vm *vm, size_t used, size_t more)
{
  const struct wr_vm_limits *l = &vm->limits;
  wr_vm_interrupt(vm, used > l->soft_bytes ? WR_VM_STOP_MEMORY : WR_VM_STOP_GROWTH);
  if (used <= l->hard_bytes && more <= l->growth_bytes / 4) return true;
  vm->refused++;
  vm->has_refused = true;
  return false;
}

static void *count_alloc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
  struct wr_vm *vm = ud;
  if (new_size == 0) {
    vm->used_bytes -= old_size;
    return wr_vm_heap_resize(&vm->heap, ptr, old_size, 0);
  }
  size_t used = vm->used_bytes - old_size + new_size;
  if (new_size > old_size && used > vm->mark_bytes && !may_have(vm, used, new_size - old_size)) {
    return NULL;
  }
  vm->used_bytes = used;
  if (used > vm->peak_bytes) vm->peak_bytes = used;
  return wr_vm_heap_resize(&vm->heap, ptr, old_size, new_size);
}

// The budget hook. LuaJIT has one hook for all coroutines of a state.

// Garbage counts as use until it is collected: collect before an innocent task pays for it. Who was
// refused memory may catch that, and try again for ever. What a task took may be a long work for
// the collector: then it waits for its verdict, and others run meanwhile.
static bool relieve(struct wr_vm *vm, lua_State *L)
{
  if (vm->has_refused || vm->is_judged) return false;
  if (vm->may_pause && lua_isyieldable(L)) {
    vm->paused_for = (enum wr_vm_stop)vm->stop;
    (void)lua_yield(L, 0);
    return true;
  }
  lua_gc(L, LUA_GCCOLLECT, 0);
  ptrdiff_t kept = (ptrdiff_t)vm->used_bytes - vm->base_bytes;
  enum wr_vm_stop why = (enum wr_vm_stop)vm->stop;
  if (wr_relief_judge(vm, why, kept > 0 ? (size_t)kept : 0) != WR_VM_RUNS) return false;
  if (vm->load_until_ns == 0) wr_vm_enter(vm, 0);
  (void)wr_vm_take_stop(vm, 0);
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

static void on_count(lua_State *L, lua_Debug *frame);

// The slice of a load is over. Below a C frame it lasts until there is none left.
static void pause_load(struct wr_vm *vm, lua_State *L, uint64_t now)
{
  lua_sethook(vm->L, on_count, LUA_MASKCOUNT, LOAD_INSTRUCTIONS);
  if (now < vm->slice_until_ns || L != vm->loading || !lua_isyieldable(L)) return;
  vm->is_paused = true;
  (void)lua_yield(L, 0);
}

static void on_count(lua_State *L, lua_Debug *frame)
{
  struct wr_vm *vm = wr_vm_of(L);
  if (vm->stop == WR_VM_RUNS) {
    if (vm->load_until_ns == 0) {
      lua_sethook(L, NULL, 0, 0); // armed by a thread that came after the disarming
      return;
    }
    uint64_t now = vm->host.clock(vm->owner);
    if (now < vm->load_until_ns) {
      pause_load(vm, L, now);
      return;
    }
    wr_vm_interrupt(vm, WR_VM_STOP_TIME);
  }
  if (vm->stop >= WR_VM_STOP_MEMORY && !vm->has_stopped && relieve(vm, L)) return;
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

void wr_vm_look_soon(struct wr_vm *vm)
{
  if (vm->load_until_ns != 0) lua_sethook(vm->L, on_count, LUA_MASKCOUNT, 1);
}

void wr_vm_interrupt(struct wr_vm *vm, enum wr_vm_stop why)
{
  int runs = WR_VM_RUNS;
  atomic_compare_exchange_strong(&vm->stop, &runs, (int)why);
  if (why < WR_VM_STOP_MEMORY) atomic_store(&vm->is_late, 1);
  if (vm->L != NULL) lua_sethook(vm->L, on_count, LUA_MASKCOUNT, 1);
}

enum wr_vm_stop wr_vm_take_stop(struct wr_vm *vm, int status)
{
  int why = atomic_exchange(&vm->stop, WR_VM_RUNS);
  if (why != WR_VM_RUNS) atomic_store(&vm->is_late, 0);
  if (vm->load_until_ns != 0) {
    lua_sethook(vm->L, on_count, LUA_MASKCOUNT, LOAD_INSTRUCTIONS);
  } else if (why != WR_VM_RUNS) {
    lua_sethook(vm->L, NULL, 0, 0);
  }
  bool has_acted = vm->has_stopped || status > LUA_YIELD;
  if (!vm->has_stopped) vm->stop_line = 0;
  vm->has_stopped = false;
  vm->has_refused = false;
  vm->is_judged = false;
  return has_acted ? (enum wr_vm_stop)why : WR_VM_RUNS;
}

const char *wr_vm_stop_limit(enum wr_vm_stop why)
{
  switch (why) {
  case WR_VM_RUNS: break;
  case WR_VM_STOP_TIME: return "script_burst";
  case WR_VM_STOP_BUDGET: return "script_budget";
  case WR_VM_STOP_MEMORY: return "script_memory";
  case WR_VM_STOP_GROWTH: return "script_growth";
  }
  return "";
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

static void bind_core(lua_State *L, lua_CFunction function)
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
  bind_core(L, wr_bind_json);
  bind_core(L, wr_bind_pattern);
  bind_core(L, wr_bind_sandbox);
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
  if (l->growth_bytes == 0) l->growth_bytes = l->soft_bytes / GROWTH_SHARE;
  if (l->string_bytes == 0) l->string_bytes = STRING_BYTES_DEFAULT;
  if (l->load_ns == 0) l->load_ns = 500 * WR_MS;
}

int wr_vm_open(struct wr_vm *vm, void *owner, const struct wr_vm_host *host,
               const struct wr_vm_limits *limits, struct wr_script_error *err)
{
  *vm = (struct wr_vm){.owner = owner, .host = *host};
  WR_CHECK(host->clock != NULL);
  set_limits(vm, limits);
  vm->mark_bytes = vm->limits.soft_bytes;
  if (vm->limits.soft_bytes < SOFT_BYTES_MIN) {
    wr_call_error_set(err, "", 0, "script_memory is %zu bytes, a state needs at least %d",
                      vm->limits.soft_bytes, (int)SOFT_BYTES_MIN);
    return -1;
  }
  wr_vm_heap_init(&vm->heap);
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
  wr_vm_heap_fini(&vm->heap);
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

// Loading.

// Runs protected. stack: struct wr_code -> coroutine with the compiled chunk.
static int prepare(lua_State *L)
{
  const struct wr_code *code = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  if (wr_code_load(L, code) != 0) return lua_error(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, wr_vm_of(L)->env_ref);
  lua_setfenv(L, -2);
  lua_xmove(L, co, 1);
  lua_settop(L, 2);
  return 1;
}

// Runs protected. -> coroutine with `require` and "weir".
static int prepare_library(lua_State *L)
{
  lua_State *co = lua_newthread(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "weir");
  lua_xmove(L, co, 2);
  return 1;
}

// The coroutine is on the stack of `vm->L` until it is done, so it stays alive.
static void begin(struct wr_vm *vm, int args, uint64_t budget_ns)
{
  vm->loading = lua_tothread(vm->L, -1);
  vm->load_args = args;
  vm->load_left_ns = budget_ns;
}

bool wr_vm_begin_library(struct wr_vm *vm, struct wr_script_error *err)
{
  lua_pushcfunction(vm->L, prepare_library);
  if (!wr_vm_call(vm->L, 0, 1, err)) return false;
  begin(vm, 1, UINT64_MAX);
  return true;
}

bool wr_vm_begin_load(struct wr_vm *vm, const struct wr_code *code, struct wr_script_error *err)
{
  lua_pushcfunction(vm->L, prepare);
  lua_pushlightuserdata(vm->L, (void *)code);
  if (!wr_vm_call(vm->L, 1, 1, err)) return false;
  begin(vm, 0, vm->limits.load_ns);
  return true;
}

static uint64_t later(uint64_t now_ns, uint64_t ns)
{
  return ns < UINT64_MAX - now_ns ? now_ns + ns : UINT64_MAX;
}

// One slice. Between slices the budget stands still: others run then.
static int resume(struct wr_vm *vm, uint64_t slice_ns)
{
  uint64_t now = vm->host.clock(vm->owner);
  vm->is_paused = false;
  vm->load_until_ns = later(now, vm->load_left_ns);
  vm->slice_until_ns = later(now, slice_ns);
  lua_sethook(vm->L, on_count, LUA_MASKCOUNT, LOAD_INSTRUCTIONS);
  int status = lua_resume(vm->loading, vm->load_args);
  vm->load_args = 0;
  if (vm->load_left_ns != UINT64_MAX) {
    now = vm->host.clock(vm->owner);
    vm->load_left_ns = now < vm->load_until_ns ? vm->load_until_ns - now : 0;
  }
  return status;
}

static void describe(struct wr_vm *vm, int status, enum wr_vm_stop stop,
                     struct wr_script_error *err)
{
  if (status == LUA_YIELD && stop == WR_VM_RUNS) {
    wr_call_describe(vm->loading, WR_VM_STOP_TIME, err);
    wr_call_error_set(err, err->file, err->line, "nothing may wait while a file is loaded");
  } else {
    wr_call_describe(vm->loading, stop, err);
  }
}

enum wr_vm_progress wr_vm_go_on(struct wr_vm *vm, uint64_t slice_ns, struct wr_script_error *err)
{
  lua_State *L = vm->L;
  lua_State *co = vm->loading;
  int status = resume(vm, slice_ns);
  enum wr_vm_stop stop = wr_vm_take_stop(vm, status);
  bool goes_on = status == LUA_YIELD && vm->is_paused && stop == WR_VM_RUNS;
  if (!goes_on && status != 0) describe(vm, status, stop, err);
  vm->load_until_ns = 0;
  lua_sethook(L, NULL, 0, 0);
  if (goes_on) return WR_VM_GOES_ON;
  vm->loading = NULL;
  if (status != 0) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0); // what it hoarded must not count against the next
    return WR_VM_FAILED;
  }
  lua_settop(co, 1); // the first result, or nil
  lua_xmove(co, L, 1);
  lua_remove(L, -2);
  return WR_VM_DONE;
}

bool wr_vm_load(struct wr_vm *vm, const struct wr_code *code, struct wr_script_error *err)
{
  return wr_vm_begin_load(vm, code, err) && wr_vm_go_on(vm, UINT64_MAX, err) == WR_VM_DONE;
}

// Ending.

bool wr_vm_collect(struct wr_vm *vm, uint64_t slice_ns)
{
  uint64_t until = later(vm->host.clock(vm->owner), slice_ns);
  do {
    for (int i = 0; i < GC_STEPS; i++) {
      if (lua_gc(vm->L, LUA_GCSTEP, 0)) return true;
    }
  } while (vm->host.clock(vm->owner) < until);
  return false;
}

// What lives on is what was loaded, and each collection walks through all of it: the next one waits
// for a quarter of the soft limit, but for no more than ten times what lives, since memory that is
// used again has long left the processor's caches then, and no less than twice.
// The cycle that was under way may have passed what is garbage by now: the next one counts.
static bool collect_all(struct wr_vm *vm, uint64_t slice_ns)
{
  if (slice_ns == UINT64_MAX) {
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    return true;
  }
  if (!wr_vm_collect(vm, slice_ns)) return false;
  bool was_second = vm->has_cycled;
  vm->has_cycled = !was_second;
  return was_second;
}

bool wr_vm_freeze(struct wr_vm *vm, uint64_t slice_ns)
{
  vm->is_frozen = true;
  if (!collect_all(vm, slice_ns)) return false;
  vm->live_bytes = vm->used_bytes;
  size_t percent = vm->limits.soft_bytes / 4 * 100 / vm->used_bytes;
  if (percent < GC_PAUSE_SHORTEST) percent = GC_PAUSE_SHORTEST;
  if (percent > GC_PAUSE_LONGEST) percent = GC_PAUSE_LONGEST;
  lua_gc(vm->L, LUA_GCSETPAUSE, (int)percent);
  return true;
}

// Runs protected. Lets go of all that the state knows, but for its metatables, which finalisers
// still ask for by name.
static int forget(lua_State *L)
{
  lua_pushnil(L);
  while (lua_next(L, LUA_REGISTRYINDEX)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TNUMBER) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
  }
  lua_newtable(L);
  lua_replace(L, LUA_GLOBALSINDEX);
  return 0;
}

bool wr_vm_wither(struct wr_vm *vm, uint64_t slice_ns)
{
  if (!vm->is_withering) {
    vm->is_withering = true;
    vm->has_cycled = false;
    lua_settop(vm->L, 0);
    if (lua_cpcall(vm->L, forget, NULL) != 0) return true; // the rest is wr_vm_close's
  }
  return collect_all(vm, slice_ns);
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
