#pragma once
/// Checks that stay on in release: a broken invariant stops the worker, it does not corrupt a
/// neighbour.
///
/// For bugs only. What the world can cause (bad input, a dead peer, a full limit) is an error
/// value. Any thread, any process; needs no initialisation.

#include <stdbool.h>

/// Prints `expr` with its place and the process id on stderr, then aborts. Never returns.
__attribute__((noreturn, cold)) void wr_check_failed(const char *expr, const char *file, int line);

/// Aborts unless `cond` holds.
#define WR_CHECK(cond)                                                                             \
  do {                                                                                             \
    if (__builtin_expect(!(cond), 0)) wr_check_failed(#cond, __FILE__, __LINE__);                  \
  } while (0)

/// Marks a place that no execution may reach; `why` is printed.
#define WR_UNREACHABLE(why) wr_check_failed("unreachable: " why, __FILE__, __LINE__)

/// The structure of type `type` whose `member` lives at `ptr`.
// clang-format off: version 14 takes `(ptr) - offsetof` for a cast.
#define WR_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
// clang-format on

/// Elements in a true array.
#define WR_COUNT(array) (sizeof(array) / sizeof((array)[0]))
