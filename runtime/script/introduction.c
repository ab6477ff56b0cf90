#include "script/introduction.h"

#include "base/check.h"
#include "http/proxy_protocol.h"
#include "upstream/transport.h"

_Static_assert((int)WR_TRANSFER_PREAMBLE_MAX >= (int)WR_PROXY_PROTOCOL_WRITTEN, "a header fits");

struct wr_str wr_introduction(const struct wr_upstream *u, const struct wr_request *q,
                              struct wr_region *region)
{
  static const struct wr_proxy_protocol nobody = {.has_client = false};
  if (u == NULL || u->proxy_version == 0) return (struct wr_str){NULL, 0};
  char text[WR_PROXY_PROTOCOL_WRITTEN];
  const struct wr_proxy_protocol *ends = q && q->x ? wr_exchange_ends(q->x) : &nobody;
  size_t len = wr_proxy_protocol_write(u->proxy_version, ends, text);
  struct wr_str copy = wr_region_copy(region, (struct wr_str){text, len});
  WR_CHECK(copy.ptr != NULL);
  return copy;
}
