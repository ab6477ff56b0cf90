#include "process.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
  struct wr_settings s;
  wr_process_defaults(&s);
  if (argc < 3) return 2;
  s.file = argv[1];
  s.admin = argv[2];
  s.workers = argc > 3 ? (uint32_t)atoi(argv[3]) : 2;
  return wr_process_run(&s);
}
