#pragma once
/// SRV records (RFC 2782) out of a raw answer of a name server. Pure.

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WR_SRV_RECORDS_MAX = 256, WR_SRV_TYPE = 33 };

struct wr_srv_record {
  char target[256]; ///< without the last dot; "." is ""
  uint16_t port, priority, weight;
};

struct wr_srv_answer {
  size_t count;
  uint32_t ttl_s; ///< the smallest of all records; 0 without any
  struct wr_srv_record records[WR_SRV_RECORDS_MAX];
};

/// Reads the records of type SRV of the answer section; beyond WR_SRV_RECORDS_MAX they are left
/// out. False when the answer breaks the grammar.
bool wr_srv_read(const unsigned char *reply, size_t len, struct wr_srv_answer *out);
