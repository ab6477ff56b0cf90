#include "notify.h"

#include "base/check.h"
#include "base/duration.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_SIZE = 1024, VARIABLE_SIZE = 64 };

// --- telling ------------------------------------------------------------------------------------

// A manager that takes nothing is not waited for: its own time-outs say what comes of that.
static void tell(struct wr_notify *n, const char *text)
{
  if (n->fd < 0) return;
  ssize_t sent = sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                        (const struct sockaddr *)&n->options->address, n->options->length);
  if (sent >= 0) return;
  wr_log_text(n->log, WR_LOG_WARN, "notify", "cannot tell the service manager (NOTIFY_SOCKET): %s",
              strerror(errno));
}

// Lines are fields: what a text says is one line.
static void flatten(char *text)
{
  for (char *c = text; *c != '\0'; c++) {
    if ((unsigned char)*c < ' ') *c = ' ';
  }
}

void wr_notify_ready(struct wr_notify *n, const char *format, ...)
{
  char status[TEXT_SIZE / 2];
  char text[TEXT_SIZE];
  va_list args;
  va_start(args, format);
  vsnprintf(status, sizeof(status), format, args);
  va_end(args);
  flatten(status);
  snprintf(text, sizeof(text), "READY=1\nSTATUS=%s\n", status);
  tell(n, text);
}

void wr_notify_reloading(struct wr_notify *n)
{
  char text[TEXT_SIZE];
  unsigned long long now_us = wr_loop_clock() / 1000;
  snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading\n", now_us);
  tell(n, text);
}

void wr_notify_stopping(struct wr_notify *n, const char *why)
{
  char text[TEXT_SIZE];
  const char *colon = why[0] ? ": " : "";
  snprintf(text, sizeof(text), "STOPPING=1\nSTATUS=stopping%s%s", colon, why);
  flatten(strchr(text, '\n') + 1);
  tell(n, text);
}

static void on_watchdog(struct wr_timer *t)
{
  struct wr_notify *n = WR_CONTAINER(t, struct wr_notify, watchdog);
  tell(n, "WATCHDOG=1\n");
  wr_timer_start(t, n->options->watchdog_ns);
}

// --- opening ------------------------------------------------------------------------------------

// A path, or an abstract name, which is written with '@' for the NUL that it begins with.
static bool read_address(struct wr_notify_options *o, const char *text, struct wr_error *error)
{
  size_t len = strlen(text);
  if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(o->address.sun_path)) {
    wr_error_set(
        error, WR_ERROR_INVALID,
        "NOTIFY_SOCKET is '%s'; it must be a path, or '@' and a name, of at most %zu bytes", text,
        sizeof(o->address.sun_path) - 1);
    return false;
  }
  o->address.sun_family = AF_UNIX;
  memcpy(o->address.sun_path, text, len);
  if (text[0] == '@') o->address.sun_path[0] = '\0';
  o->length = (unsigned)(offsetof(struct sockaddr_un, sun_path) + len);
  return true;
}

// Microseconds; those of another process are not ours to answer.
static bool read_watchdog(struct wr_notify_options *o, struct wr_error *error)
{
  char text[VARIABLE_SIZE];
  const char *time = getenv("WATCHDOG_USEC");
  const char *pid = getenv("WATCHDOG_PID");
  snprintf(text, sizeof(text), "%d", (int)getpid());
  if (time == NULL || (pid != NULL && strcmp(pid, text) != 0)) return true;
  uint64_t timeout_ns = 0;
  snprintf(text, sizeof(text), "%sus", time);
  if (wr_duration_parse(wr_str_of(text), &timeout_ns) && timeout_ns >= WR_MS) {
    o->watchdog_ns = timeout_ns / 2;
    return true;
  }
  wr_error_set(error, WR_ERROR_INVALID,
               "WATCHDOG_USEC is '%.64s'; it must be a number of microseconds, 1000 or more", time);
  return false;
}

bool wr_notify_read(struct wr_notify_options *options, struct wr_error *error)
{
  *options = (struct wr_notify_options){.length = 0};
  const char *address = getenv("NOTIFY_SOCKET");
  if (address == NULL || address[0] == '\0') return true;
  return read_address(options, address, error) && read_watchdog(options, error);
}

void wr_notify_open(struct wr_notify *n, const struct wr_notify_options *options, struct wr_loop *l,
                    struct wr_log *log)
{
  *n = (struct wr_notify){.options = options, .fd = -1, .log = log};
  wr_timer_init(&n->watchdog, l, on_watchdog);
  if (options->length == 0) return;
  n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (n->fd < 0) {
    wr_log_text(log, WR_LOG_ERROR, "notify", "no socket for the service manager: %s",
                strerror(errno));
  } else if (options->watchdog_ns > 0) {
    wr_timer_start(&n->watchdog, options->watchdog_ns);
  }
}

void wr_notify_close(struct wr_notify *n)
{
  wr_timer_stop(&n->watchdog);
  if (n->fd >= 0) close(n->fd);
  n->fd = -1;
}
