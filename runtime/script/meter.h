#pragma once
/// Metric series by family and labels, looked up once and remembered. One per worker; one loop's
/// own. All callers of a family name the same labels in the same order.

#include "arena/series.h"
#include "base/map.h"

enum { WR_METER_MEMOS = 128 }; ///< series found without a search; a key may be in two places
enum { WR_METER_NEAR = 16 };   ///< words found without a search

/// The series that a family had for one key. Private to meter.c.
struct wr_meter_memo {
  uint32_t family;
  uint32_t series;
  const char *words[2];
  uint64_t code;
};

struct wr_meter {
  struct wr_arena *arena;
  uint32_t shard;
  struct wr_map known;                        // private: "family|labels" -> series + 1
  struct wr_map words;                        // private: text -> its word
  struct wr_str near[WR_METER_NEAR];          // private: in front of `words`, by the text's address
  struct wr_meter_memo memos[WR_METER_MEMOS]; // private: in front of `known`
};

/// Remembers nothing yet; writes to column `shard`. `key` should be random.
void wr_meter_init(struct wr_meter *m, struct wr_arena *a, uint32_t shard, struct wr_hash_key key);

/// Forgets the lookups; the series stay.
void wr_meter_fini(struct wr_meter *m);

/// The series of `family` with labels given as pairs of name and value, ended by NULL. Values are
/// escaped as the text format wants it.
__attribute__((sentinel)) uint32_t wr_meter_series(struct wr_meter *m, uint32_t family, ...);

/// `text` as a word: the same text is the same pointer, NUL-terminated, for as long as the meter.
const char *wr_meter_word(struct wr_meter *m, struct wr_str text);

/// Where the series of `family` for a key is remembered: WR_SERIES_NONE until the caller, who knows
/// the labels that follow from the key, puts it there; and again when another key took the place.
/// Valid until the next call. `a` and `b` are told by address: words, constant text or NULL.
uint32_t *wr_meter_memo(struct wr_meter *m, uint32_t family, const char *a, const char *b,
                        uint64_t code);

/// The series of `family` for one label; its value is told by address, as for wr_meter_memo.
uint32_t wr_meter_one(struct wr_meter *m, uint32_t family, const char *name, const char *value);

/// Adds 1 to the counter series of two labels, given by name and value; the values are told by
/// address, as for wr_meter_memo.
void wr_meter_count(struct wr_meter *m, uint32_t family, const char *const names[2], const char *a,
                    const char *b);

/// Adds to a counter or gauge series, observes a histogram one; labels as for wr_meter_series.
__attribute__((sentinel)) void wr_meter_add(struct wr_meter *m, uint32_t family, double value, ...);
__attribute__((sentinel)) void wr_meter_observe(struct wr_meter *m, uint32_t family, double value,
                                                ...);
