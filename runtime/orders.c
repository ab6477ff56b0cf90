#include "orders.h"

#include "base/alloc.h"

struct caller {
  struct wr_list link;
  struct wr_admin_waiter *waiter;
};

struct wr_order *wr_orders_find(const struct wr_list *orders, enum wr_order_kind kind)
{
  WR_LIST_EACH(orders, node) {
    struct wr_order *o = WR_CONTAINER(node, struct wr_order, link);
    if (o->kind == kind) return o;
  }
  return NULL;
}

struct wr_order *wr_orders_add(struct wr_list *orders, enum wr_order_kind kind)
{
  struct wr_order *o = kind == WR_ORDER_USE ? NULL : wr_orders_find(orders, kind);
  if (o != NULL) return o;
  o = wr_alloc(sizeof(*o));
  o->kind = kind;
  wr_list_init(&o->callers);
  wr_list_push(orders, &o->link);
  return o;
}

struct wr_order *wr_orders_take(struct wr_list *orders)
{
  struct wr_list *node = wr_list_pop(orders);
  return node ? WR_CONTAINER(node, struct wr_order, link) : NULL;
}

void wr_order_wait(struct wr_order *o, struct wr_admin_waiter *waiter)
{
  if (waiter == NULL) return;
  struct caller *caller = wr_alloc(sizeof(*caller));
  caller->waiter = waiter;
  wr_list_push(&o->callers, &caller->link);
}

void wr_order_answer(struct wr_order *o, bool ok, struct wr_str json)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&o->callers)) != NULL) {
    struct caller *caller = WR_CONTAINER(node, struct caller, link);
    wr_admin_answer(caller->waiter, ok, json);
    wr_free(caller);
  }
}

void wr_order_free(struct wr_order *o)
{
  if (o == NULL) return;
  WR_CHECK(wr_list_is_empty(&o->callers));
  wr_free(o);
}
