#pragma once
/// The command line of one verb, read by its row in the table of verbs.
///
/// Options and operands may come in any order; "--" ends the options; a repeated option's last
/// value counts; an option may be shortened as long as it is one only, to one dash and a letter too
/// ("-j"). Everything points into argv.

#include "cli/cli.h"

#include <stdint.h>

struct wr_options {
  const struct wr_verb *verb;
  const char *values[WR_CLI_OPTIONS_MAX]; ///< private
  char **operands;                        ///< read-only
  size_t operand_count;                   ///< read-only: within the bounds of the verb
  int exit_code;                          ///< what the verb returns when parsing said false
};

/// Reads the command line of the verb argv[0]. False when there is nothing to run: help was asked
/// for and printed, or the command line is wrong, which was said on stderr. Return `exit_code`
/// then.
bool wr_options_parse(struct wr_options *o, int argc, char **argv);

/// The value of an option of the verb, "" for a flag that was given; NULL when it was not given.
const char *wr_options_get(const struct wr_options *o, const char *name);

/// Reads the value of `name` as a decimal number from `min` to `max`. Leaves `*out` alone when the
/// option was not given. False, with `exit_code` set and the rule told on stderr, when it is no
/// such number.
bool wr_options_number(struct wr_options *o, const char *name, uint64_t min, uint64_t max,
                       uint64_t *out);

/// Says "weir VERB: MESSAGE" on stderr. Returns WR_EXIT_USAGE.
__attribute__((format(printf, 2, 3))) int wr_options_refuse(const struct wr_options *o,
                                                            const char *format, ...);

/// Says that there is no action `typed`, with the one of `words` that was meant, if any is near.
/// Returns WR_EXIT_USAGE.
int wr_options_refuse_action(const struct wr_options *o, const char *typed,
                             const char *const *words, size_t count);
