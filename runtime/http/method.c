#include "http/method.h"

#include "base/check.h"

const char *wr_method_name(struct wr_str method)
{
  static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                      "OPTIONS", "CONNECT", "PATCH", "TRACE"};
  for (size_t i = 0; i < WR_COUNT(known); i++) {
    if (wr_str_eq(method, wr_str_of(known[i]))) return known[i];
  }
  return "_OTHER";
}
