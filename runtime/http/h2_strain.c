#include "http/h2_strain.h"

#include <stddef.h>

static const struct {
  const char *name;
  uint64_t burst, per_second, per_data, per_request;
} rows[WR_H2_STRAIN_KINDS] = {
#define ROW(ENUM, name, burst, per_second, per_data, per_request)                                  \
  {name, burst, per_second, per_data, per_request},
    WR_H2_STRAINS(ROW)
#undef ROW
};

enum { UNIT = 1000 };

void wr_h2_strain_init(struct wr_h2_strain *s, uint64_t now_ns)
{
  *s = (struct wr_h2_strain){0};
  for (size_t i = 0; i < WR_H2_STRAIN_KINDS; i++) s->leaked_ns[i] = now_ns;
}

static void leak(struct wr_h2_strain *s, size_t kind, uint64_t amount)
{
  s->level[kind] -= amount < s->level[kind] ? amount : s->level[kind];
}

// Whole milliseconds leak; the rest stays for the next time.
static void leak_by_time(struct wr_h2_strain *s, size_t kind, uint64_t now_ns)
{
  uint64_t ms = (now_ns - s->leaked_ns[kind]) / 1000000u;
  s->leaked_ns[kind] += ms * 1000000u;
  leak(s, kind, ms * rows[kind].per_second * UNIT / 1000);
}

bool wr_h2_strain_add(struct wr_h2_strain *s, enum wr_h2_strain_kind kind, uint64_t now_ns)
{
  leak_by_time(s, kind, now_ns);
  s->level[kind] += UNIT;
  return s->level[kind] <= rows[kind].burst * UNIT;
}

void wr_h2_strain_data(struct wr_h2_strain *s)
{
  for (size_t i = 0; i < WR_H2_STRAIN_KINDS; i++) leak(s, i, rows[i].per_data * UNIT);
}

void wr_h2_strain_request(struct wr_h2_strain *s)
{
  for (size_t i = 0; i < WR_H2_STRAIN_KINDS; i++) leak(s, i, rows[i].per_request * UNIT);
}

const char *wr_h2_strain_name(enum wr_h2_strain_kind kind)
{
  return rows[kind].name;
}
