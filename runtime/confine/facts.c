#include "confine/facts.h"

#include <stdio.h>
#include <string.h>

enum { FILTERED = 2, FIELDS = 5 }; // 1 is the strict mode, which nobody uses

// How many of the five fields the line gave.
static int read_line(const char *line, struct wr_facts *out)
{
  unsigned long long number = 0;
  int count = 1;
  if (sscanf(line, "Uid: %*u %llu", &number) == 1) {
    out->uid = (uint32_t)number;
  } else if (sscanf(line, "CapPrm: %llx", &number) == 1 ||
             sscanf(line, "CapEff: %llx", &number) == 1) {
    out->capabilities |= number;
  } else if (sscanf(line, "NoNewPrivs: %llu", &number) == 1) {
    out->no_new_privileges = number == 1;
  } else if (sscanf(line, "Seccomp: %llu", &number) == 1) {
    out->is_filtered = number == FILTERED;
  } else {
    count = 0;
  }
  return count;
}

bool wr_facts_read(pid_t pid, struct wr_facts *out)
{
  char line[256];
  int count = 0;
  *out = (struct wr_facts){0};
  snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
  FILE *file = fopen(line, "re");
  if (file == NULL) return false;
  while (fgets(line, sizeof(line), file) != NULL) count += read_line(line, out);
  fclose(file);
  return count == FIELDS;
}

bool wr_facts_is_confined(const struct wr_facts *facts)
{
  return facts->capabilities == 0 && facts->no_new_privileges && facts->is_filtered;
}
