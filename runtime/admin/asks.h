#pragma once
/// What is asked of the master and answered when it is done: reloads, and what is about
/// generations. For admin/.

#include "admin/admin.h"

/// Takes a request for one of these paths, whose waiter goes into `*slot`. False: it is for none.
bool wr_asks_serve(const struct wr_admin_ops *ops, struct wr_exchange *x,
                   struct wr_admin_waiter **slot);

/// The caller has left: nobody will be answered.
void wr_asks_leave(struct wr_admin_waiter *waiter);
