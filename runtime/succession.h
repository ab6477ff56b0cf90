#pragma once
/// One program after the other in the same process: execve, with what makes it work. The master's
/// only.

#include "base/duration.h"
#include "handover.h"

/// How long a program that has taken over may need until it is settled: twice what it may need to
/// rehearse the same.
#define WR_SUCCESSION_NS (40 * WR_SECOND)

/// Replaces this program by the one that is at `settings->program` today, with the same arguments
/// and environment, and a packed document. Returns only when that is not possible, with errno set.
void wr_succession_exec(const struct wr_settings *settings, int document);

/// From now on a crash of this program, or its silence for WR_SUCCESSION_NS, gives the process back
/// to the one that handed it over, until `wr_succession_settle`. Does nothing when there is none.
/// `settings->handover` must stay. Uses SIGALRM.
void wr_succession_arm(const struct wr_settings *settings);

/// The process is ours for good, or whose it was: a crash is the end of it, and nobody waits.
void wr_succession_settle(void);

/// Gives the process back to the program that handed it over, because of `why`. Returns only when
/// that is not possible, with errno set, or when there is none.
void wr_succession_return(const struct wr_settings *settings, const char *why);
