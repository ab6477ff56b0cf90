#pragma once
/// What the files of the registry share with one another; for no one else.

#include "arena/registry.h"

struct wr_registry_table {
  struct wr_lock lock;
  _Atomic uint32_t count;
  uint32_t free;            // first free entry, or NONE
  _Atomic uint32_t touched; // entries ever used
  uint32_t bucket_count;
  _Atomic uint64_t plan_ns; // when the master will look at the entries
  uint32_t *buckets;        // first entry of a hash chain, or NONE
  struct wr_entry *entries;
  _Atomic uint32_t *holds; // [slot][entry]
};
