#pragma once
/// How important a call is. The lower the number, the later it is shed.

#include "base/str.h"

#include <stdint.h>

enum wr_priority {
#define WR_PRIORITY(ENUM, name, meaning) WR_PRIORITY_##ENUM,
#include "tables/states.def"
  WR_PRIORITIES
};

/// "critical", …
const char *wr_priority_name(enum wr_priority priority);

/// The priority called `word`, in lower case; WR_PRIORITIES when there is none.
enum wr_priority wr_priority_of(struct wr_str word);
