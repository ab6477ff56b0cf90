#pragma once
/// What nghttp2 tells of a connection's streams, noted in the calls that they belong to. Private to
/// h2_events.c and h2_link.c.

#include <nghttp2/nghttp2.h>

/// The callbacks of a session whose user data is a `struct wr_h2_link` and whose streams' are
/// `struct wr_h2_call`. The caller frees them.
nghttp2_session_callbacks *wr_h2_events_new(void);
