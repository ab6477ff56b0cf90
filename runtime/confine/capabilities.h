#pragma once
/// The capabilities of this process (capabilities(7)), as sets of bits. By the kernel's two calls:
/// what is needed of them is less than what a library would have to be told.

#include "base/error.h"

#include <linux/capability.h>

/// Ports below 1024 may be bound.
#define WR_CAPABILITY_BIND (UINT64_C(1) << CAP_NET_BIND_SERVICE)

enum { WR_CAPABILITIES_TEXT_SIZE = 20 };

/// Gives up all capabilities but those of `keep`, for good: effective and permitted become what is
/// both held and kept, inheritable and ambient become empty, and the bounding set becomes `keep`
/// where the process may change it. Keeping what is not held keeps nothing. False with a set error.
bool wr_capabilities_limit(uint64_t keep, struct wr_error *error);

/// What is held of WR_CAPABILITY_BIND goes on to the program that this process becomes by execve,
/// which would lose it otherwise; should it not come to that, `wr_capabilities_keep` takes that
/// back.
void wr_capabilities_hand_on(void);
void wr_capabilities_keep(void);

/// Writes "" for none, "net_bind_service" for that one alone, and any other set as /proc does, in
/// sixteen hexadecimal digits (`capsh --decode=` has the names).
void wr_capabilities_text(uint64_t set, char out[WR_CAPABILITIES_TEXT_SIZE]);
