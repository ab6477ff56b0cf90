#pragma once
/// The trial of another program, before it takes over: the binary that is at our path today,
/// started as a child with our arguments. It loads the live bundle in workers of its own and serves
/// nothing. The master's only.

#include "master.h"

/// What a rehearsal that went well says on its standard error, last of all.
#define WR_REHEARSAL_WORD "weir rehearsal: ready\n"

/// Starts it. False when there is no process or no memory for it.
bool wr_rehearsal_start(struct wr_master *m);

/// Whether our path still leads to the program that was rehearsed.
bool wr_rehearsal_is_current(const struct wr_master *m);

/// It has ended. Whether it was ready; else `why` says what it said, or how it ended.
bool wr_rehearsal_judge(struct wr_master *m, int status, char *why, size_t size);
