#include "policy/client_deadline.h"

#include "base/check.h"
#include "base/duration.h"

// Digits, and a unit after them when none is given, into nanoseconds; false when it is not that.
static bool read_timeout(struct wr_str text, uint64_t unit_ns, uint64_t *out)
{
  static const struct {
    char name;
    uint64_t ns;
  } units[] = {{'H', 3600 * WR_SECOND},
               {'M', 60 * WR_SECOND},
               {'S', WR_SECOND},
               {'m', WR_MS},
               {'u', 1000},
               {'n', 1}};
  uint64_t value = 0;
  size_t at = 0;
  for (; at < text.len && at < 9 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
    value = value * 10 + (uint64_t)(text.ptr[at] - '0');
  }
  if (at == 0 || text.len - at != (unit_ns == 0 ? 1 : 0)) return false;
  for (size_t i = 0; unit_ns == 0 && at < text.len && i < WR_COUNT(units); i++) {
    if (units[i].name == text.ptr[at]) unit_ns = units[i].ns;
  }
  *out = value * unit_ns;
  return unit_ns > 0;
}

uint64_t wr_client_deadline(const struct wr_headers *headers, uint64_t limit_ns)
{
  uint64_t limit = limit_ns;
  uint64_t asked = 0;
  struct wr_str ms = wr_headers_value(headers, WR_FIELD_X_REQUEST_DEADLINE_MS);
  if (read_timeout(ms, WR_MS, &asked) && asked < limit) limit = asked;
  struct wr_str grpc = wr_headers_value(headers, WR_FIELD_GRPC_TIMEOUT);
  if (read_timeout(grpc, 0, &asked) && asked < limit) limit = asked;
  return limit > 0 ? limit : 1;
}
