#pragma once
/// HTTP/1.0 and 1.1 for an exchange: framing of its body both ways, and whether the connection
/// lives on. Private to http/.

#include "http/connection.h"

extern const struct wr_exchange_ops wr_h1_ops;

static inline struct wr_connection *wr_h1_connection(const struct wr_exchange *x)
{
  return WR_CONTAINER(x, struct wr_workspace, x)->c;
}
