#pragma once
/// The Lua library embedded in the binary (generated from lua/weir by scripts/embed.cmake).

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct wr_library_file {
  const char *module; ///< "weir", "weir.policy", …
  const char *path;   ///< "weir/policy.lua"
  const char *text;
  size_t len;
};

/// Ends with an entry whose module is NULL.
extern const struct wr_library_file wr_library_files[];

/// All of it compiled by the LuaJIT of this process, which costs some 10 ms once and spares each
/// state 5: a master makes one before it forks, and its children read it. Immutable.
struct wr_library;

/// Compiles it in a state of its own; runs nothing.
struct wr_library *wr_library_compile(void);

/// Frees it; NULL is fine.
void wr_library_free(struct wr_library *l);

/// A number of this run of the program, that its children share: what one of them has compiled is
/// of use to those with the same one, and to nobody else. 0 when `l` is NULL.
uint64_t wr_library_stamp(const struct wr_library *l);

/// The embedded module `name`, or NULL.
const struct wr_library_file *wr_library_find(struct wr_str name);

/// What `f` was compiled to; empty when `l` is NULL.
struct wr_str wr_library_code(const struct wr_library *l, const struct wr_library_file *f);
