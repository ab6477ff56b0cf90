#pragma once
/// One generation's scripts in one worker: a VM, its tasks, and what they declared at load.
///
/// The worker lends its services; they outlive every script. Bindings reach their script through
/// `wr_script_of(L)`. Life: new, load, reconcile when it goes live, tasks, free. One worker's loop.

#include "base/list.h"
#include "base/log_repeats.h"
#include "base/rng.h"
#include "loop/loop.h"
#include "resilience/overload.h"
#include "script/call.h"
#include "script/declare.h"
#include "script/guard.h"
#include "script/relief.h"
#include "script/turn.h"
#include "script/vm.h"

#include <lua.h>

struct wr_endpoints;
struct wr_guard_shadow;
struct wr_library;
struct wr_meter;
struct wr_rehearsal;
struct wr_resolver;
struct wr_sampler;
struct wr_task;
struct wr_transport;
struct wr_watchdog;

enum { WR_SCRIPT_SPARE_BODIES = 16 }; ///< buffers of request bodies that are kept for later ones

/// What a worker lends to its scripts.
struct wr_script_env {
  struct wr_loop *loop;
  struct wr_log *log;
  struct wr_log_repeats *repeats; ///< of its lines
  struct wr_rng *rng;
  struct wr_arena *arena;
  struct wr_registry *registry;
  struct wr_guard *guard;
  struct wr_transport *transport;
  struct wr_resolver *resolver;
  struct wr_endpoints *endpoints;
  struct wr_meter *meter;
  const struct wr_library *library;   ///< compiled before; NULL: each state compiles it
  const struct wr_sampler *sampler;   ///< which requests are traced; NULL: tracing is off
  bool allow_chaos;                   ///< experiments may be applied
  struct wr_rehearsal *rehearsal;     ///< of selftests; NULL: this is the world
  struct wr_watchdog *watchdog;       ///< NULL: nobody interrupts (a trial has limits of its own)
  struct wr_overload_signals signals; ///< what the process knew of itself a tick ago
  struct wr_list spare_responses; // private to response.c: kept for later ones, with their memory
  size_t spare_response_count;    // private
  struct wr_buf spare_bodies[WR_SCRIPT_SPARE_BODIES]; // private to request.c: empty, with memory
  size_t spare_body_count;                            // private
  struct wr_turn turn;                                ///< of all its scripts
  uint32_t shard; ///< this worker's slot: its metric column and its holds in the registry
};

/// Finds a module of the bundle; see wr_vm_host.
typedef bool (*wr_script_find_fn)(void *ctx, struct wr_str name, struct wr_code *out);

/// Reads a file that the bundle names; see wr_source_data.
typedef bool (*wr_script_data_fn)(void *ctx, const char *path, struct wr_str *text,
                                  struct wr_error *error);

enum wr_script_phase { WR_SCRIPT_NEW, WR_SCRIPT_LIBRARY, WR_SCRIPT_MAIN, WR_SCRIPT_FREEZE };

struct wr_script {
  struct wr_script_env *env; ///< read-only
  struct wr_vm vm;
  uint64_t generation;        ///< read-only: number shown everywhere
  enum wr_script_phase phase; // private: of the load
  struct wr_code main;        // private: what is loaded
  bool is_loading;            ///< top level is running: nothing may suspend
  bool is_open;               // private: the VM exists
  bool is_resting;            // private: it holds no named state
  struct wr_task *current;    ///< the task that is running Lua, NULL outside
  struct wr_list tasks;       ///< live tasks
  size_t task_count;
  struct wr_list idle; // private: finished coroutines kept for reuse
  size_t idle_count;
  struct wr_list waiting; // private: tasks in queues of bulkheads
  struct wr_relief relief;
  size_t background; ///< tasks of weir.spawn that run: they outlive the request that started them
  void (*on_quiet)(void *ctx); ///< optional: the last of them ended
  void *on_quiet_ctx;
  struct wr_declarations declared;
  wr_script_find_fn find; ///< set before load
  void *find_ctx;         ///< also of `data`
  wr_script_data_fn data;
  bool is_shadow; ///< what refuses calls is declared under a name of its own
  bool is_trial;  ///< whether it may be loaded is still to be found out: times are judged
};

/// Creates VM and bindings; nothing is loaded yet. NULL with `error` filled when the limits are too
/// low.
struct wr_script *wr_script_new(struct wr_script_env *env, uint64_t generation,
                                const struct wr_vm_limits *limits, struct wr_script_error *error);

/// Begins to load: the library, the main chunk, which declares, and then no more globals.
/// `wr_script_go_on` does it; what `code` points to must stay until it is over. Once.
void wr_script_begin(struct wr_script *s, const struct wr_code *code);

/// Goes on for about `slice_ns` of processor time (UINT64_MAX: to the end). FAILED with `error`
/// filled.
enum wr_vm_progress wr_script_go_on(struct wr_script *s, uint64_t slice_ns,
                                    struct wr_script_error *error);

/// The end is near: ends all tasks, and frees for about `slice_ns`. False: call again; true:
/// `wr_script_free` has little left to do.
bool wr_script_wither(struct wr_script *s, uint64_t slice_ns);

/// Applies the configurations this generation declared to the kept state; unchanged ones cost
/// nothing.
void wr_script_reconcile(struct wr_script *s);

/// Lets go of the named state while nothing of it runs: to others its names are gone.
void wr_script_rest(struct wr_script *s);

/// Adds what a shadow declared beside what it shadows, where that exists.
void wr_script_shadow(struct wr_script *s, struct wr_guard_shadow *shadow);

/// Takes hold of it again. False when some of it was freed meanwhile: the script cannot run any
/// more.
bool wr_script_wake(struct wr_script *s);

/// Brings its upstreams up to date and shows how they do. A few times a second while it is live.
void wr_script_beat(struct wr_script *s);

/// Ends every task, queued and running ones alike. Outside of Lua.
void wr_script_cancel_tasks(struct wr_script *s);

/// Cancels all tasks, closes the VM, lets go of the named state, frees everything.
void wr_script_free(struct wr_script *s);

/// The script that `L` belongs to.
struct wr_script *wr_script_of(lua_State *L);

/// A queued admission of one of this script's tasks was decided. False when it is not this
/// script's.
bool wr_script_granted(struct wr_script *s, uint64_t id, bool granted);
