#pragma once
/// Intrusive doubly linked list: the node lives inside its owner, so linking allocates nothing.
///
/// A list head is a node linked to itself. An unlinked node is also linked to itself after
/// `wr_list_init`, so `wr_list_remove` may be called twice.

#include "base/check.h"

#include <stddef.h>

struct wr_list {
  struct wr_list *next;
  struct wr_list *prev;
};

static inline void wr_list_init(struct wr_list *l)
{
  l->next = l;
  l->prev = l;
}

static inline bool wr_list_is_empty(const struct wr_list *l)
{
  return l->next == l;
}

/// Links `node` before `at`; with the head as `at` that is the tail of the list.
static inline void wr_list_push(struct wr_list *at, struct wr_list *node)
{
  node->next = at;
  node->prev = at->prev;
  at->prev->next = node;
  at->prev = node;
}

static inline void wr_list_remove(struct wr_list *node)
{
  node->prev->next = node->next;
  node->next->prev = node->prev;
  wr_list_init(node);
}

/// Unlinks and returns the first node, or NULL.
static inline struct wr_list *wr_list_pop(struct wr_list *head)
{
  if (wr_list_is_empty(head)) return NULL;
  struct wr_list *node = head->next;
  wr_list_remove(node);
  return node;
}

/// Walks the list; the current node may be removed inside the loop, no other may.
#define WR_LIST_EACH(head, node)                                                                   \
  for (struct wr_list *node = (head)->next, *node##_next = node->next; node != (head);             \
       node = node##_next, node##_next = node->next)
