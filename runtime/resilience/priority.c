#include "resilience/priority.h"

#include "base/check.h"

static const char *const names[WR_PRIORITIES] = {
#define WR_PRIORITY(ENUM, name, meaning) [WR_PRIORITY_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_priority_name(enum wr_priority priority)
{
  WR_CHECK(priority < WR_PRIORITIES);
  return names[priority];
}

enum wr_priority wr_priority_of(struct wr_str word)
{
  int at = 0;
  while (at < WR_PRIORITIES && !wr_str_eq(word, wr_str_of(names[at]))) at++;
  return (enum wr_priority)at;
}
