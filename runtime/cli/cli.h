#pragma once
/// What the verbs of the command line share: their table and their exit codes.
///
/// Results go to stdout, errors to stderr as "weir VERB: what: why". Each verb is one file of this
/// folder; `cli/verbs.c` lists them. The command line has one thread and lives as long as its verb.

#include <stdbool.h>
#include <stddef.h>

/// Exit codes: those of sysexits.h where it has the meaning (research/ecosystem.md §3.5).
enum wr_exit {
  WR_EXIT_OK = 0,
  WR_EXIT_FAILED = 1,       ///< findings, or the command was understood and failed
  WR_EXIT_USAGE = 2,        ///< the command line is wrong
  WR_EXIT_UNREACHABLE = 3,  ///< no running weir answers at the admin address
  WR_EXIT_UNAVAILABLE = 69, ///< an address could not be listened on
  WR_EXIT_INTERNAL = 70,    ///< a bug of ours
  WR_EXIT_PERMISSION = 77,
  WR_EXIT_INVALID = 78, ///< the policy or an option of it is invalid
};

enum { WR_CLI_OPTIONS_MAX = 16 };

struct wr_option {
  const char *name;     ///< without dashes; NULL ends a list
  const char *argument; ///< what its value is called in help; NULL: a flag
  const char *help;     ///< one line of up to 70 columns
};

/// What the first operand of a verb may be, where it is one of a list.
struct wr_word {
  const char *name;     ///< NULL ends a list
  const char *operands; ///< what comes behind it: "NAME [TIME]"; "" for nothing
  const char *help;     ///< one line
};

struct wr_verb {
  const char *name;
  const char *operands; ///< "FILE", "[VERB]"; "" for none
  size_t operands_min, operands_max;
  const char *summary;             ///< one line for the list of verbs
  const struct wr_option *options; ///< up to WR_CLI_OPTIONS_MAX; NULL: none but --help
  const char *notes; ///< more for `weir help VERB`, lines ended by "\n"; NULL: nothing

  /// argv[0] is the verb's name. Returns an `enum wr_exit`.
  int (*run)(int argc, char **argv);

  const struct wr_word *words; ///< NULL: the first operand is free, or of tables/actions.def
};

/// The verbs in the order of help; ended by one without a name.
extern const struct wr_verb wr_cli_verbs[];

/// The verb called `name`, or NULL.
const struct wr_verb *wr_cli_find(const char *name);

/// Serves a policy in the foreground until a signal says stop (cli/run.c).
int wr_cli_run(int argc, char **argv);

/// Loads a policy, binds nothing, reports what is wrong with it (cli/check.c).
int wr_cli_check(int argc, char **argv);

/// Asks the running weir to load its files again (cli/reload.c).
int wr_cli_reload(int argc, char **argv);

/// Lists the generations of the running weir, looks at their bundles, goes back to one
/// (cli/policy.c).
int wr_cli_policy(int argc, char **argv);

/// Tells how a request was decided, or would be (cli/explain.c).
int wr_cli_explain(int argc, char **argv);

/// Follows the log (cli/tail.c).
int wr_cli_tail(int argc, char **argv);

/// Shows and sets the level of the log (cli/log.c).
int wr_cli_log(int argc, char **argv);

/// Asks the running weir to become the binary that is at its path now (cli/upgrade.c).
int wr_cli_upgrade(int argc, char **argv);

/// Shows what the running weir is doing (cli/status.c).
int wr_cli_status(int argc, char **argv);

/// The same in one line of numbers, once or every so often (cli/stat.c).
int wr_cli_stat(int argc, char **argv);

/// The same as a picture that moves (cli/top.c).
int wr_cli_top(int argc, char **argv);

/// Looks at libraries, machine, admin address and policy, and says what will not do
/// (cli/doctor.c).
int wr_cli_doctor(int argc, char **argv);

/// Lists the named primitives of a kind, shows one, or does with it what tables/actions.def offers
/// (cli/primitive.c). The verb is the kind's name.
int wr_cli_primitive(int argc, char **argv);

/// Prints a script that completes command lines in a shell (cli/completion.c).
int wr_cli_completion(int argc, char **argv);

/// Prints or writes manual pages (cli/man.c).
int wr_cli_man(int argc, char **argv);

/// Prints the versions of weir and of its libraries (cli/version.c).
int wr_cli_version(int argc, char **argv);

/// Explains the verbs, or one of them (cli/help.c).
int wr_cli_help(int argc, char **argv);
