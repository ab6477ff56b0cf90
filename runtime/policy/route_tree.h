#pragma once
/// The tree of one host's routes: a node per path segment, found literal first, then parameter,
/// then wildcard. The inner part of route.h, which says what it costs and which route wins.
///
/// Segments rather than bytes: a parameter takes a whole segment, so each node is reached in one
/// way only, and taking a choice back can never visit a node twice.

#include "policy/route_pattern.h"

#include <stdint.h>

/// The bit of "every method" in a set of methods; the others belong to route.c.
#define WR_ROUTE_EVERY_METHOD (UINT32_C(1) << 31)

struct wr_route_node;

/// The routes of one shape of path.
struct wr_route_leaf {
  uint32_t methods;
  const void **routes; ///< one per bit of `methods`, in the order of the bits
  struct wr_str names[WR_ROUTE_PARAMS_MAX];
  size_t name_count;
};

struct wr_route_tree {
  struct wr_route_node *root;  ///< private
  struct wr_route_node *nodes; ///< private: all of them
};

/// A question and its answer.
struct wr_route_search {
  struct wr_str path;
  uint32_t wanted[3];               ///< one bit each, best first; 0 is none
  uint32_t allowed;                 ///< out: grows by the methods of every leaf that has the path
  const struct wr_route_leaf *leaf; ///< out: where it was found
  struct wr_str values[WR_ROUTE_PARAMS_MAX]; ///< out: slices of `path`, one per name of the leaf
};

/// Starts empty.
void wr_route_tree_init(struct wr_route_tree *tree);

/// Frees nodes and leaves; the routes are the caller's.
void wr_route_tree_fini(struct wr_route_tree *tree);

/// The leaf of exactly this shape of path (parameters by place, not by name), or NULL.
struct wr_route_leaf *wr_route_tree_leaf(const struct wr_route_tree *tree,
                                         const struct wr_route_pattern *p);

/// Adds `route` under `methods`, which the leaf of that shape must not have. The text of `p`'s
/// parts must live as long as the tree.
void wr_route_tree_add(struct wr_route_tree *tree, const struct wr_route_pattern *p,
                       uint32_t methods, const void *route);

/// The leaf's route of one method: `bit` is a single bit that the leaf has.
const void *wr_route_tree_route(const struct wr_route_leaf *leaf, uint32_t bit);

/// The best route for the search, or NULL. Allocates nothing.
const void *wr_route_tree_search(const struct wr_route_tree *tree, struct wr_route_search *s);
