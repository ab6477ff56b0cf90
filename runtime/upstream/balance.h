#pragma once
/// How an upstream chooses among its endpoints.
///
/// Knows places: endpoints with a weight and with what is known of them. Tables that depend on who
/// the members are get built when these change; that one is out for a while only means that it is
/// passed over. One worker's loop.

#include "base/rng.h"
#include "upstream/alias.h"
#include "upstream/endpoint.h"
#include "upstream/maglev.h"
#include "upstream/ring.h"
#include "upstream/tried.h"

enum wr_balance_rule {
#define WR_BALANCE_RULE(ENUM, name, meaning) WR_BALANCE_##ENUM,
#include "tables/states.def"
  WR_BALANCE_RULES
};

enum {
  WR_BALANCE_PLACES_MAX = 4096,
  WR_BALANCE_WEIGHT_MAX = 65535,
};

/// An endpoint as a member of an upstream.
struct wr_balance_place {
  struct wr_endpoint *endpoint; ///< the owner's reference
  uint64_t id;                  ///< hash of what names it, the same in all processes
  uint64_t ramp_ns;             ///< slow start began then; 0: its full share
  uint32_t weight;              ///< 1 … WR_BALANCE_WEIGHT_MAX
  bool is_out;                  ///< ejected, or its health check says no
  bool is_drained;              ///< an operator says no, in a panic too
  bool is_far;                  ///< used when the near ones do not suffice
};

struct wr_balance_config {
  enum wr_balance_rule rule;
  uint32_t pool_max;      ///< attempts at once to one endpoint; 0: no limit
  uint64_t slow_start_ns; ///< length of a ramp; 0: none
  double bound;           ///< hash rules: most load of one, relative to the mean; 0: none
};

/// The near places, or the far ones. Private.
struct wr_balance_group {
  uint32_t *members; // numbers of places
  size_t count;
  size_t usable;               // members that are not out
  uint64_t usable_weight;      // theirs
  struct wr_alias_cell *alias; // NULL: all weights are equal
  size_t next;                 // round robin of equals
  int64_t *credit;             // round robin, of each member
  uint16_t *table;             // maglev
  struct wr_ring ring;
};

struct wr_balance {
  struct wr_balance_config config;
  struct wr_balance_place *places; ///< read-only
  size_t count;                    ///< read-only
  bool is_panic;                   ///< nobody is out, whatever the places say
  uint32_t in_flight; ///< attempts under way; the owner counts, the bound of hash rules reads
  struct wr_balance_group near, far; // private
};

/// One choice.
struct wr_balance_ask {
  struct wr_rng *rng;
  uint64_t now_ns;
  uint64_t hash;          ///< of the key, for the hash rules
  bool has_hash;          ///< false: they draw
  struct wr_tried *tried; ///< in and out; NULL: nobody was
};

/// No places yet.
void wr_balance_init(struct wr_balance *b, const struct wr_balance_config *config);

/// Frees the tables; the places' endpoints are the caller's.
void wr_balance_fini(struct wr_balance *b);

/// Takes over `count` places (an array of `wr_alloc`; the old one is freed) and builds the tables.
void wr_balance_set(struct wr_balance *b, struct wr_balance_place *places, size_t count);

/// After `is_out` or `is_drained` of places, or `is_panic`, changed.
void wr_balance_refresh(struct wr_balance *b);

/// Chooses a place and notes it in `tried`; NULL when none may be used. Places that are out, or
/// have `pool_max` attempts under way, are never chosen. Avoided while others are left, in this
/// order: those in `tried`; those whose last connect failed less than a quarter of a second ago (a
/// refused connect is cheap for us, not for a host that is coming up). Far places are used when
/// the near ones have nobody better, and by a share of the calls that grows when less than 1/1.4
/// of the near ones are usable.
///
/// README.md of the folder tells the rules.
struct wr_balance_place *wr_balance_pick(struct wr_balance *b, const struct wr_balance_ask *ask);

/// A member's share of its full weight, by slow start: 0.1 … 1.
double wr_balance_ramp(const struct wr_balance *b, const struct wr_balance_place *p,
                       uint64_t now_ns);

/// A rule by name; false when there is none of that name.
bool wr_balance_rule_find(struct wr_str name, enum wr_balance_rule *out);
