#pragma once
/// The processor's own counter: cheap enough to be read around everything. It runs at a steady
/// rate, whatever the clock's. Any thread.

#include <stdint.h>

/// Its value now. Differences on one processor, or between those of one machine, mean something.
static inline uint64_t wr_cycles(void)
{
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
#error "which counter of this processor runs at a steady rate? Add it here."
#endif
}
