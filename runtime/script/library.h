#pragma once
/// The Lua library embedded in the binary (generated from lua/weir by scripts/embed.cmake).

#include <stddef.h>

struct wr_library_file {
  const char *module; ///< "weir", "weir.policy", …
  const char *path;   ///< "weir/policy.lua"
  const char *text;
  size_t len;
};

/// Ends with an entry whose module is NULL.
extern const struct wr_library_file wr_library_files[];
