#pragma once
/// One slot per worker (and one, the last, for the master): is it alive, what is it doing, and the
/// bell that wakes its loop.
///
/// A slot outlives the processes that use it one after the other. Its worker writes, others read;
/// everything is a relaxed atomic. The text of `wr_slot_doing` is for crash reports: a reader may
/// see it half-written, never unterminated.

#include "arena/arena.h"
#include "arena/exemplar.h"
#include "arena/series.h"
#include "arena/tally.h"

enum { WR_SLOT_REQUEST_MAX = 40, WR_SLOT_ROUTE_MAX = 88 };

struct wr_slot {
  _Atomic uint64_t heartbeat_ns;     ///< when the loop last turned, monotonic
  _Atomic uint64_t script;           ///< generation whose scripts run just now, 0 outside of Lua
  _Atomic uint64_t generation;       ///< number of the live script generation, 0 before the first
  _Atomic uint64_t started_ns;       ///< when the process took the slot
  _Atomic uint64_t bells;            ///< how often the bell was rung
  _Atomic uint32_t restarts;         ///< processes that died in this slot
  _Atomic int32_t pid;               ///< 0: nobody
  _Atomic uint64_t lag_ns;           ///< how late its loop came to its last beat
  _Atomic uint64_t memory_bytes;     ///< the master's: resident memory of all processes
  _Atomic uint64_t memory_limit;     ///< the master's: what they may have; 0: nobody knows
  _Atomic uint32_t log_level;        ///< the master's: arena/loudness.h
  _Atomic uint32_t in_flight;        ///< requests being served
  _Atomic uint32_t shed_permille;    ///< classes that it sheds, in thousandths
  _Atomic uint32_t unsent[3];        ///< records that wait for a collector: of each signal of OTLP
  int bell_fd;                       ///< read-only: eventfd, the same number in every process
  _Atomic uint32_t shed_shadow;      ///< 1: it only counts what it would shed
  char request[WR_SLOT_REQUEST_MAX]; ///< request id of the scripts that ran last; "": of none
  char route[WR_SLOT_ROUTE_MAX];     ///< its route
  struct wr_tally tallies[WR_TALLY_ROWS];
  struct wr_exemplar exemplars[WR_SERIES_BUCKETS + 1]; ///< of requests, by classic bucket
};

/// Slot `index` of the arena; `index` < slot_count.
struct wr_slot *wr_slot_of(const struct wr_arena *a, uint32_t index);

/// The master's slot.
uint32_t wr_slot_master(const struct wr_arena *a);

/// A new process uses the slot.
void wr_slot_take(struct wr_slot *s, int32_t pid, uint64_t now_ns);

/// The process of the slot is gone; counts a restart unless it left in order.
void wr_slot_leave(struct wr_slot *s, bool in_order);

/// The loop turned.
void wr_slot_beat(struct wr_slot *s, uint64_t now_ns);

/// What the worker is about to do, cut at the limits; absent slices clear it.
void wr_slot_doing(struct wr_slot *s, struct wr_str request, struct wr_str route);

/// Makes the descriptor readable that the slot's loop watches. Does nothing in a privatised arena.
void wr_slot_ring(const struct wr_arena *a, uint32_t index);

/// Silences the bell; call before looking for what it announced.
void wr_slot_hush(const struct wr_arena *a, uint32_t index);

/// Bytes of the section. For wr_arena_open.
size_t wr_slot_size(uint32_t slot_count);

/// Creates the bells. False with a set error when the kernel refuses. For wr_arena_open.
bool wr_slot_init(struct wr_slot *slots, uint32_t slot_count, struct wr_error *error);

/// Closes this process's bells. For wr_arena_fini.
void wr_slot_fini(struct wr_slot *slots, uint32_t slot_count);
