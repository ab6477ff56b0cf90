#pragma once
/// One program after the other in the same process: execve, with what makes it work. The master's
/// only.

#include "handover.h"

/// Replaces this program by the one that is at `settings->program` today, with the same arguments
/// and environment, and a packed document. Returns only when that is not possible, with errno set.
void wr_succession_exec(const struct wr_settings *settings, int document);

/// Gives the process back to the program that handed it over, because of `why`. Returns only when
/// that is not possible, with errno set, or when there is none.
void wr_succession_return(const struct wr_settings *settings, const char *why);
