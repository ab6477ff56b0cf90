#pragma once
/// One program after the other in the same process: execve, with what makes it work. The master's
/// only.

#include "handover.h"

/// Replaces this program by the one that is at `settings->program` today, with the same arguments
/// and environment, and a packed document. Returns only when that is not possible, with errno set.
void wr_succession_exec(const struct wr_settings *settings, int document);

/// From now on a crash of this program gives the process back to the one that handed it over, until
/// `wr_succession_settle`. Does nothing when there is none. `settings->handover` must stay.
void wr_succession_arm(const struct wr_settings *settings);

/// The process is ours for good, or whose it was: a crash is the end of it.
void wr_succession_settle(void);

/// Gives the process back to the program that handed it over, because of `why`. Returns only when
/// that is not possible, with errno set, or when there is none.
void wr_succession_return(const struct wr_settings *settings, const char *why);
