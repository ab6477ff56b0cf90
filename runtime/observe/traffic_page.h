#pragma once
/// The present as JSON, for the status page.

#include "observe/traffic.h"

/// Writes members into the object that is open: "window_s", "requests" (all routes together),
/// "routes", "attempts" (by upstream), "retries", "fallbacks", "endpoints".
void wr_traffic_page_write(const struct wr_traffic *t, struct wr_json *j);

/// Appends the same percentiles to a page of metrics, as summaries by route and by upstream: their
/// quantiles are those of the window, NaN without requests in it. False when it does not fit.
bool wr_traffic_page_summaries(const struct wr_traffic *t, struct wr_buf *out);
