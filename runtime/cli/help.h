#pragma once
/// What `weir help` prints, for the verb and for those who are told how to use one.

#include "cli/cli.h"

#include <stdio.h>

/// The list of verbs.
void wr_help_verbs(FILE *out);

/// Usage, options and notes of one verb.
void wr_help_verb(FILE *out, const struct wr_verb *verb);

/// Says on stderr that there is no verb `name`, and which one may be meant. Returns WR_EXIT_USAGE.
int wr_help_unknown(const char *name);
