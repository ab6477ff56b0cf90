#include "succession.h"

#include "base/alloc.h"
#include "confine/capabilities.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

// --- back ---------------------------------------------------------------------------------------

enum { FAILURE_SIZE = sizeof(WR_HANDOVER_FAILURE_VARIABLE "=") + WR_SCRIPT_MESSAGE_MAX };

static bool can_return(const struct wr_handover *h)
{
  return h != NULL && !h->is_back && h->previous >= 0;
}

// Also from a signal handler: system calls only.
static void return_to(const struct wr_handover *h, char **arguments, char **environment)
{
  alarm(0); // the program that comes has nothing to be late with
  for (size_t i = 0; i < h->kept_count; i++) fcntl(h->kept[i], F_SETFD, 0);
  wr_capabilities_hand_on();
  fexecve(h->previous, arguments, environment);
}

static void write_variables(const struct wr_handover *h, const char *why,
                            char document[VARIABLE_SIZE], char failure[FAILURE_SIZE])
{
  snprintf(document, VARIABLE_SIZE, WR_HANDOVER_VARIABLE "=%d", h->document);
  snprintf(failure, FAILURE_SIZE, WR_HANDOVER_FAILURE_VARIABLE "=%s", why);
}

void wr_succession_return(const struct wr_settings *settings, const char *why)
{
  const struct wr_handover *h = settings->handover;
  char document[VARIABLE_SIZE];
  char failure[FAILURE_SIZE];
  if (!can_return(h)) return;
  wr_succession_settle();
  write_variables(h, why, document, failure);
  return_to(h, arguments_of(settings), environment_with(document, failure));
}

// --- a crash, or silence ------------------------------------------------------------------------

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};

// A signal brings no pointer along. All of it is made before: a program that has crashed can
// allocate nothing.
static struct {
  pid_t pid; // children inherit the handler, and must not become a master; 0: it is not armed
  const struct wr_handover *handover;
  char **arguments;
  char document[VARIABLE_SIZE];
  struct {
    char failure[FAILURE_SIZE];
    char **environment;
  } of[WR_COUNT(crashes)];
} way_back;

static void on_crash(int signal)
{
  for (size_t i = 0; i < WR_COUNT(crashes) && getpid() == way_back.pid; i++) {
    if (crashes[i] != signal) continue;
    return_to(way_back.handover, way_back.arguments, way_back.of[i].environment);
  }
  raise(signal); // its usual end
}

static void describe(const struct wr_settings *settings, int signal, char *out, size_t size)
{
  if (signal == SIGALRM) {
    snprintf(out, size, "%s hung once it had taken over: it was not ready after %d s",
             settings->program, (int)(WR_SUCCESSION_NS / WR_SECOND));
  } else {
    snprintf(out, size, "%s crashed once it had taken over: %s", settings->program,
             strsignal(signal));
  }
}

// The alarm is the kernel's: a program that hangs has no timers.
void wr_succession_arm(const struct wr_settings *settings)
{
  const struct wr_handover *h = settings->handover;
  if (!can_return(h)) return;
  // Not blocked meanwhile: the program that comes would find it so.
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
  way_back.handover = h;
  way_back.arguments = arguments_of(settings);
  way_back.pid = getpid();
  for (size_t i = 0; i < WR_COUNT(crashes); i++) {
    char why[WR_SCRIPT_MESSAGE_MAX];
    describe(settings, crashes[i], why, sizeof(why));
    write_variables(h, why, way_back.document, way_back.of[i].failure);
    way_back.of[i].environment = environment_with(way_back.document, way_back.of[i].failure);
    sigaction(crashes[i], &action, NULL);
  }
  alarm((unsigned)(WR_SUCCESSION_NS / WR_SECOND));
}

void wr_succession_settle(void)
{
  if (way_back.pid == 0) return;
  way_back.pid = 0;
  alarm(0);
  wr_free(way_back.arguments);
  for (size_t i = 0; i < WR_COUNT(crashes); i++) {
    signal(crashes[i], SIG_DFL);
    wr_free(way_back.of[i].environment);
  }
}
