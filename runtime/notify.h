#pragma once
/// Tells the service manager how weir is: systemd's datagrams to $NOTIFY_SOCKET (sd_notify(3)),
/// which other managers understand too. Without that variable nothing is told.
///
/// By hand, for it is one sendto: libsystemd would be a library to trust and to update for that.
/// The master's only; it never waits for the manager.

#include "base/error.h"
#include "base/log.h"
#include "loop/timer.h"

#include <sys/un.h>

/// Whom to tell, from the environment; immutable.
struct wr_notify_options {
  struct sockaddr_un address;
  unsigned length;      ///< of the address; 0: nobody to tell
  uint64_t watchdog_ns; ///< how often the manager hears that the loop turns; 0: it does not ask
};

struct wr_notify {
  const struct wr_notify_options *options; ///< borrowed
  int fd;                                  ///< -1: nobody to tell
  struct wr_log *log;
  struct wr_timer watchdog;
};

/// Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. False with an error that names the
/// variable.
bool wr_notify_read(struct wr_notify_options *options, struct wr_error *error);

/// Starts telling that the loop turns, at half of the time that the manager waits for.
void wr_notify_open(struct wr_notify *n, const struct wr_notify_options *options, struct wr_loop *l,
                    struct wr_log *log);

/// weir serves, and this is how. Also ends what `wr_notify_reloading` began.
__attribute__((format(printf, 2, 3))) void wr_notify_ready(struct wr_notify *n, const char *format,
                                                           ...);

/// A reload has begun: until it is ready again.
void wr_notify_reloading(struct wr_notify *n);

/// weir finishes what is under way and ends. `why` says more (may be "").
void wr_notify_stopping(struct wr_notify *n, const char *why);

/// Stops telling.
void wr_notify_close(struct wr_notify *n);
