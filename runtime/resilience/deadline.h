#pragma once
/// Arithmetic of absolute deadlines on the monotonic clock: it saturates, never wraps.

#include <stdbool.h>
#include <stdint.h>

/// The deadline that never comes.
#define WR_DEADLINE_NEVER UINT64_MAX

/// The deadline `after_ns` from now.
uint64_t wr_deadline_in(uint64_t now_ns, uint64_t after_ns);

/// Time left: 0 when it has passed, `WR_DEADLINE_NEVER` when it never comes.
uint64_t wr_deadline_left(uint64_t at_ns, uint64_t now_ns);

/// The deadline of a scope of `after_ns` inside one that ends at `at_ns`: the earlier of the two.
uint64_t wr_deadline_nest(uint64_t at_ns, uint64_t now_ns, uint64_t after_ns);

/// Whether work that takes `need_ns` can finish in time when it starts after `delay_ns`.
bool wr_deadline_fits(uint64_t at_ns, uint64_t now_ns, uint64_t delay_ns, uint64_t need_ns);
