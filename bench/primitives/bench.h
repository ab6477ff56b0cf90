#pragma once
/// What the programs of this folder share: an arena with two workers, two entries of each sample,
/// and clocks. One process, one `struct bench`.

#include "base/buf.h"
#include "script/guard.h"

enum { BENCH_WORKERS = 2, BENCH_ENTRIES = 2, BENCH_SAMPLES_MAX = 24 };

/// One worker's own.
struct bench_worker {
  struct wr_registry registry;
  struct wr_guard guard;
  struct wr_buf out;
  uint64_t now_ns; ///< advances by STEP_NS with each operation
};

/// A primitive as it is measured: the defaults of a policy unless its row says otherwise.
struct bench_sample {
  const char *name;
  enum wr_kind kind;
  void (*configure)(void *config); ///< fills zeroed memory of the kind's config_size
};

extern const struct bench_sample bench_samples[];

struct bench {
  double for_ns; ///< length of one measurement
  struct wr_arena arena;
  struct bench_worker workers[BENCH_WORKERS];
  struct wr_entry *entries[BENCH_SAMPLES_MAX][BENCH_ENTRIES];
  void *pure[BENCH_SAMPLES_MAX]; ///< a state in private memory, for the pure functions
};

/// One operation, there and back.
struct bench_operation {
  const char *name;
  uint32_t sample; ///< index into bench_samples
  void (*pure)(void *state, uint64_t now_ns);
  void (*guarded)(struct bench_worker *me, struct wr_entry *entry);
  bool is_shared; ///< measured with two workers too
};

/// Ends with a row without a name.
extern const struct bench_operation bench_operations[];
