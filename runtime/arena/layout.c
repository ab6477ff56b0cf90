// Which layout the arena of this program has. A file of its own, so that a program of another
// layout can be built for a spec by compiling it once more.

#include "arena/arena.h"

enum { VERSION = 13 };

#ifndef WEIR_LAYOUT_AHEAD
#define WEIR_LAYOUT_AHEAD 0
#endif

uint32_t wr_arena_version(void)
{
  return VERSION + WEIR_LAYOUT_AHEAD;
}
