#include "rehearsal.h"

#include "base/check.h"
#include "succession.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_SIZE = 8192 };

// --- starting -----------------------------------------------------------------------------------

static _Noreturn void become(const struct wr_master *m, int document, int output)
{
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  sigset_t empty;
  sigemptyset(&empty);
  sigprocmask(SIG_SETMASK, &empty, NULL);
  wr_succession_exec(m->settings, document);
  const char *why = strerror(errno);
  ssize_t sent = write(STDERR_FILENO, why, strlen(why));
  (void)sent; // then the exit code must do
  _exit(127);
}

// Which file it is, and of when: zeros for none.
static void identify(const char *path, uint64_t out[WR_REHEARSAL_IDENTITY])
{
  struct stat file;
  memset(out, 0, WR_REHEARSAL_IDENTITY * sizeof(*out));
  if (stat(path, &file) != 0) return;
  out[0] = file.st_dev;
  out[1] = file.st_ino;
  out[2] = (uint64_t)file.st_mtim.tv_sec;
  out[3] = (uint64_t)file.st_mtim.tv_nsec;
}

bool wr_rehearsal_is_current(const struct wr_master *m)
{
  uint64_t now[WR_REHEARSAL_IDENTITY];
  identify(m->settings->program, now);
  return memcmp(now, m->upgrade.identity, sizeof(now)) == 0;
}

bool wr_rehearsal_start(struct wr_master *m)
{
  identify(m->settings->program, m->upgrade.identity);
  struct wr_handover_plan plan = {.is_rehearsal = true, .caller = -1};
  int pair[2];
  int document = wr_handover_pack(m, &plan);
  if (document < 0) return false;
  pid_t pid = -1;
  wr_log_flush(&m->log);
  if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0) {
    pid = fork();
    if (pid == 0) become(m, document, pair[1]);
    close(pair[1]);
    if (pid < 0) close(pair[0]);
  }
  wr_handover_close(document);
  if (pid < 0) return false;
  m->upgrade.pid = pid;
  m->upgrade.output = pair[0];
  return true;
}

// --- judging ------------------------------------------------------------------------------------

// The last that was said, for a sanitizer or a linker says much.
static void read_output(int fd, char text[OUTPUT_SIZE])
{
  char all[OUTPUT_SIZE];
  size_t len = 0;
  ssize_t got;
  while ((got = read(fd, all + len, sizeof(all) - 1 - len)) > 0) {
    len += (size_t)got;
    if (len < sizeof(all) - 1) continue;
    memmove(all, all + len / 2, len - len / 2);
    len -= len / 2;
  }
  all[len] = '\0';
  memcpy(text, all, len + 1);
}

static bool ends_with(const char *text, const char *end)
{
  size_t len = strlen(text);
  size_t end_len = strlen(end);
  return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

// One line, without its verb: it is not what the caller ran.
static void tidy(char *text)
{
  size_t len = strlen(text);
  while (len > 0 && (unsigned char)text[len - 1] <= ' ') text[--len] = '\0';
  static const char prefix[] = "weir run: ";
  if (strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
    memmove(text, text + sizeof(prefix) - 1, len - (sizeof(prefix) - 1) + 1);
  }
}

bool wr_rehearsal_judge(struct wr_master *m, int status, char *why, size_t size)
{
  char text[OUTPUT_SIZE];
  read_output(m->upgrade.output, text);
  close(m->upgrade.output);
  m->upgrade.output = -1;
  bool is_ready = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (is_ready && ends_with(text, WR_REHEARSAL_WORD)) return true;
  tidy(text);
  const char *colon = text[0] ? ": " : "";
  const char *program = m->settings->program;
  if (m->upgrade.is_late) {
    snprintf(why, size, "%s was not ready in time%s%s", program, colon, text);
  } else if (WIFSIGNALED(status)) {
    snprintf(why, size, "%s ended with %s%s%s", program, strsignal(WTERMSIG(status)), colon, text);
  } else {
    snprintf(why, size, "%s ended with code %d%s%s", program, WEXITSTATUS(status), colon, text);
  }
  return false;
}
