#pragma once
/// The four forms of a request target (RFC 9112 3.2). Pure; any thread.

#include "http/authority.h"

struct wr_target {
  bool has_authority; ///< absolute-form or authority-form
  struct wr_authority authority;
  uint16_t default_port; ///< of the target's scheme; 80 without one; 0 for CONNECT, which has none
  struct wr_str
      path; ///< "/" when an absolute target has none; "*" for OPTIONS *; absent for CONNECT
  struct wr_str query; ///< after "?", absent without one
};

/// Takes a target of WR_CHARS_TARGET characters apart; slices borrow `text`. The method decides
/// which forms may be. NULL, or a constant text why it is refused.
const char *wr_target_parse(struct wr_target *t, struct wr_str method, struct wr_str text);
