#include "succession.h"

#include "base/alloc.h"
#include "confine/capabilities.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { VARIABLE_SIZE = 64 };

// The command line, the program as `settings.program`; to be freed.
static char **arguments_of(const struct wr_settings *settings)
{
  size_t count = 0;
  while (settings->arguments[count] != NULL) count++;
  char **out = wr_alloc((count + 2) * sizeof(*out));
  out[0] = (char *)settings->program;
  memcpy(out + 1, settings->arguments, count * sizeof(*out));
  return out;
}

static char **environment_with(char *first, char *second)
{
  size_t count = 0;
  while (environ[count] != NULL) count++;
  char **out = wr_alloc((count + 3) * sizeof(*out));
  memcpy(out, environ, count * sizeof(*out));
  out[count] = first;
  out[count + 1] = second;
  return out;
}

void wr_succession_exec(const struct wr_settings *settings, int document)
{
  char variable[VARIABLE_SIZE];
  snprintf(variable, sizeof(variable), WR_HANDOVER_VARIABLE "=%d", document);
  char **arguments = arguments_of(settings);
  char **environment = environment_with(variable, NULL);
  wr_capabilities_hand_on();
  execve(settings->program, arguments, environment);
  int reason = errno;
  wr_capabilities_keep();
  wr_free(arguments);
  wr_free(environment);
  errno = reason;
}

void wr_succession_return(const struct wr_settings *settings, const char *why)
{
  const struct wr_handover *h = settings->handover;
  if (h == NULL || h->is_back || h->previous < 0) return;
  char variable[VARIABLE_SIZE];
  char failure[VARIABLE_SIZE + WR_SCRIPT_MESSAGE_MAX];
  snprintf(variable, sizeof(variable), WR_HANDOVER_VARIABLE "=%d", h->document);
  snprintf(failure, sizeof(failure), WR_HANDOVER_FAILURE_VARIABLE "=%s", why);
  for (size_t i = 0; i < h->kept_count; i++) fcntl(h->kept[i], F_SETFD, 0);
  wr_capabilities_hand_on();
  fexecve(h->previous, arguments_of(settings), environment_with(variable, failure));
}
