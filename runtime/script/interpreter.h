#pragma once
/// Whether the LuaJIT that is there computes what it should, the way weir runs it: with its
/// compiler off. Debian 12's has known wrong results with it on (DESIGN 9), and another library may
/// be loaded than the one that weir was built with.

#include <stdbool.h>

/// Runs a small program in a state of its own (some 10 ms) and compares. False with a constant text
/// in `*why`.
bool wr_interpreter_is_sound(const char **why);
