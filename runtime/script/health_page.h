#pragma once
/// All health checks as `application/health+json` (draft-inadarei-api-health-check-06).

#include "arena/registry.h"
#include "base/json.h"

enum { WR_HEALTH_PAGE_MAX = 4 << 20 }; ///< room for one

/// What is said of all together, worst last: of a critical check that is down, `fail`; of another
/// one, or of one that nobody makes, `warn`.
enum wr_health_page_status { WR_HEALTH_PASS, WR_HEALTH_WARN, WR_HEALTH_FAIL };

/// The verdict on all checks that are declared.
enum wr_health_page_status wr_health_page_status(struct wr_registry *r, uint64_t now_ns);

/// Writes the document and returns its status. `wall_ns` is the time of day at `now_ns`.
enum wr_health_page_status wr_health_page_write(struct wr_registry *r, uint64_t now_ns,
                                                uint64_t wall_ns, struct wr_json *j);
