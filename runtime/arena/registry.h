#pragma once
/// Named state shared by all processes: get or create by (kind, name), reconcile, hold, sweep.
///
/// An entry outlives script generations and workers. It stays put while somebody holds it, and for
/// WR_REGISTRY_KEEP_NS after nobody does, so that a rollback finds it; then `wr_registry_sweep`
/// frees it and bumps its generation. What an entry's state means is told by the process's table of
/// kinds. Any process. Locks, in order: registry, one entry, slab; no two entries at once. Limits:
/// entries_max of the arena, names of WR_ENTRY_NAME_MAX bytes.

#include "arena/arena.h"
#include "arena/lock.h"
#include "arena/order_note.h"

struct wr_archive;

enum wr_kind {
#define WR_KIND(ENUM, name, doc) WR_KIND_##ENUM,
#include "tables/kinds.def"
#undef WR_KIND
  WR_KINDS
};

enum { WR_ENTRY_NAME_MAX = 127, WR_REGISTRY_ENTRIES_MAX = 1 << 20 };

#define WR_REGISTRY_KEEP_NS (UINT64_C(600) * 1000000000) ///< a state nobody holds is kept so long
#define WR_REGISTRY_KEEP_LEAST_NS (UINT64_C(10) * 1000000000) ///< same, when there is no room

/// One named state. Private members change under the registry's lock, `state` and `config` under
/// the entry's own.
struct wr_entry {
  struct wr_lock lock;           ///< guards state and config; take it by `wr_registry_lock`
  void *state;                   ///< shared: lock
  const void *config;            ///< shared: lock; config_size bytes, the ones in force
  void *configs;                 // private: room for two, so that a change is one store of `config`
  struct wr_order_note ordered;  ///< shared: lock; the last order of an operator
  _Atomic uint64_t gone_ns;      ///< since when nobody holds it; 0 while held
  _Atomic uint64_t next_ns;      ///< when the kind wants `wr_guard_advance`; UINT64_MAX: never
  _Atomic uint64_t shadow_asked; ///< of a shadow (script/guard_shadow.h): what it was asked
  _Atomic uint64_t shadow_stricter; ///< of these, what only it refused
  _Atomic uint64_t shadow_looser;   ///< and what only the real one refused
  _Atomic uint32_t generation;      ///< bumped when the entry is freed; never 0
  uint32_t index;                   ///< read-only: place in the table
  uint32_t next;                    // private: in the hash chain or the free list
  uint8_t kind;                     ///< read-only while live: enum wr_kind
  _Atomic bool is_live;             // private: the commit point of creation and removal
  uint8_t name_len;                 ///< read-only while live
  char name[WR_ENTRY_NAME_MAX + 1]; ///< read-only while live, NUL-terminated
};

/// A reference for keeping: stale after the entry was freed.
struct wr_entry_ref {
  uint32_t index;
  uint32_t generation; ///< 0: refers to nothing
};

/// How a process treats one kind of state. All functions run under the entry's lock and must not
/// block; `repair` may find any bytes.
struct wr_kind_ops {
  size_t state_size;  ///< what readers copy: all of the state, or its fixed head
  size_t config_size; ///< configs are compared by memcmp: zero their padding
  void (*init)(void *state, const void *config, uint64_t seed, uint64_t now_ns);
  void (*reconfigure)(void *state, const void *config, uint64_t now_ns);
  /// `live_normal` and `live_probes`: the ledger's live rows of this entry, as the layer above
  /// counts.
  void (*repair)(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns);
  /// Bytes of the whole state, the fixed head first. NULL: state_size, whatever the configuration.
  size_t (*state_bytes)(const void *config);
  /// Makes `to` (zeroed, state_bytes of `config`) what `from` is, as far as it fits; `from` is
  /// freed then. Needed with `state_bytes`; a state that other memory points into must mend that.
  void (*move)(void *to, const void *from, const void *config, uint64_t now_ns);
  /// Writes what outlives the program to an archive, or reads it from there; whoever has it read
  /// has the state repaired then. NULL: nothing does.
  void (*archive)(void *state, struct wr_archive *a);
  /// Whether nothing would be lost with it (no open breaker, nobody inside).
  bool (*can_drop)(void *state, uint64_t now_ns);
};

/// A process's door to the registry.
struct wr_registry {
  struct wr_arena *arena;
  const struct wr_kind_ops *const *kinds; ///< WR_KINDS of them; NULL: not available
  /// Makes `entry` valid after a holder of its lock died: counts its live rows, calls the kind's
  /// repair. NULL: the kind's repair is called as for no rows. Under the entry's lock.
  void (*repair)(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns);
  /// Carries on what a reconfiguration or a repair made possible. May be NULL. Under the entry's
  /// lock.
  void (*changed)(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns);
};

/// Gets the entry called `name`, or creates it with `config`; an existing one is left as it is. It
/// is not swept for WR_REGISTRY_KEEP_NS even when nobody holds it. Where there is no room, those
/// that have been gone for longest, WR_REGISTRY_KEEP_LEAST_NS and more, are freed before their
/// time. NULL with a set error when the name is empty, too long or has control characters, or a
/// limit is reached.
struct wr_entry *wr_registry_declare(struct wr_registry *r, enum wr_kind kind, struct wr_str name,
                                     const void *config, uint64_t now_ns, struct wr_error *error);

/// Applies `config`; nothing happens when it equals what is in force. True when it changed
/// something. A state whose size depends on it is moved; when there is no memory for that, nothing
/// changes.
bool wr_registry_reconcile(struct wr_registry *r, struct wr_entry *entry, const void *config,
                           uint64_t now_ns);

/// The entry called `name`, or NULL.
struct wr_entry *wr_registry_find(struct wr_registry *r, enum wr_kind kind, struct wr_str name);

/// The entry that `ref` refers to, or NULL when it is stale.
struct wr_entry *wr_registry_get(const struct wr_registry *r, struct wr_entry_ref ref);

/// A reference to a live entry.
struct wr_entry_ref wr_registry_ref(const struct wr_entry *entry);

/// The first live entry at or after `*at`, which moves on; NULL at the end. Start with 0. Entries
/// may come and go meanwhile: look at one under its lock.
struct wr_entry *wr_registry_each(const struct wr_registry *r, uint32_t *at);

/// Takes the entry's lock, repairing its state first when a holder died. False, and no lock is
/// held, when it is not live any more as generation `generation`.
bool wr_registry_lock(struct wr_registry *r, struct wr_entry *entry, uint32_t generation,
                      uint64_t now_ns);
void wr_registry_unlock(struct wr_registry *r, struct wr_entry *entry);

/// One more user in worker slot `slot`, which alone may call this for its slot.
void wr_registry_hold(struct wr_registry *r, struct wr_entry *entry, uint32_t slot);

/// One user less in `slot`.
void wr_registry_drop(struct wr_registry *r, struct wr_entry *entry, uint32_t slot);

/// Whether somebody holds it now, in any slot.
bool wr_registry_is_held(const struct wr_arena *a, const struct wr_entry *entry);

/// Forgets all holds of a slot whose worker died. Master only, before the slot is used again.
void wr_registry_wipe(struct wr_registry *r, uint32_t slot);

/// Frees the entries that nobody has held for WR_REGISTRY_KEEP_NS and whose kind lets them go.
/// Returns how many. Master only.
uint32_t wr_registry_sweep(struct wr_registry *r, uint64_t now_ns);

/// The kind asks for `wr_guard_advance` at `next_ns` (UINT64_MAX: never). True when that is before
/// what the master has planned: ring its bell once the entry's lock, which the caller holds, is
/// given.
bool wr_registry_plan(struct wr_registry *r, struct wr_entry *entry, uint64_t next_ns);

/// The master's side: forgets the plan before it looks at the entries, …
void wr_registry_plan_begin(struct wr_registry *r);

/// … and then plans for `next_ns`, or for what was asked meanwhile if that is earlier. Returns
/// which.
uint64_t wr_registry_plan_end(struct wr_registry *r, uint64_t next_ns);

/// Live entries.
uint32_t wr_registry_count(const struct wr_registry *r);

/// "breaker", …
const char *wr_registry_kind_name(enum wr_kind kind);

/// Bytes of the section. For wr_arena_open.
size_t wr_registry_size(uint32_t entries_max, uint32_t slot_count);

/// Makes an empty table of a zeroed section. For wr_arena_open.
void wr_registry_init(struct wr_arena *a);

/// Take and give the table's lock, repairing the table first when its holder died.
void wr_registry_lock_table(struct wr_arena *a);
void wr_registry_unlock_table(struct wr_arena *a);
