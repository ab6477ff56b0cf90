#pragma once
/// Pages about single requests: how they were decided. For admin/.

#include "admin/admin.h"

enum { WR_REQUESTS_MAX = 1000 }; ///< requests of one list

/// GET /requests?limit=N&failed=1: the newest ones, as JSON.
void wr_requests_list(const struct wr_admin_ops *ops, struct wr_exchange *x);

/// GET /requests/show?id=ID: one of them with its chain of decisions.
void wr_requests_show(const struct wr_admin_ops *ops, struct wr_exchange *x);
