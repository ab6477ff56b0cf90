#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// What the flags that everyone tries are called here.
static const char *verb_name(const char *argument)
{
  if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) return "help";
  if (strcmp(argument, "--version") == 0 || strcmp(argument, "-V") == 0) return "version";
  return argument;
}

// A result that could not be written is a failure, however well the verb went.
static int finish(int code)
{
  if (fclose(stdout) == 0 || code != WR_EXIT_OK) return code;
  fprintf(stderr, "weir: cannot write the output: %s\n", strerror(errno));
  return WR_EXIT_FAILED;
}

int main(int argc, char **argv)
{
  if (argc < 2) {
    wr_help_verbs(stderr);
    return WR_EXIT_USAGE;
  }
  const struct wr_verb *verb = wr_cli_find(verb_name(argv[1]));
  if (verb == NULL) return wr_help_unknown(argv[1]);
  argv[1] = (char *)verb->name; // nobody writes to it
  return finish(verb->run(argc - 1, argv + 1));
}
