#include "cli/cli.h"

#include <string.h>

#define ADMIN_OPTION                                                                               \
  {                                                                                                \
    "admin", "ADDRESS", "where weir's admin socket is: a path, or HOST:PORT"                       \
  }

#define ADMIN_NOTE                                                                                 \
  "Without --admin the address is $WEIR_ADMIN, else /run/weir/admin.sock if\n"                     \
  "/run/weir is writable, else $XDG_RUNTIME_DIR/weir.sock, else /tmp/weir-UID.sock.\n"

static const struct wr_option run_options[] = {
    {"workers", "N", "worker processes (default: one per usable core)"},
    ADMIN_OPTION,
    {"admin-token-file", "FILE", "token that callers of the admin over TCP show"},
    {"watch", NULL, "reload when a file of the policy changes"},
    {"allow-chaos", NULL, "let chaos experiments be applied"},
    {"log-level", "LEVEL", "debug, info, warn or error (default: info)"},
    {"log-format", "FORMAT", "json, otel, ecs or text (json; text at a terminal)"},
    {"dns", "SERVERS", "name servers, comma-separated (default: the system's)"},
    {"ca-file", "PEM", "trusted roots of upstreams (default: those of the system)"},
    {"state", "FILE", "keep breakers and their like in FILE from stop to start"},
    {"drain", "TIME", "longest wait of a stop for requests under way (30s)"},
    {"session-keys", "TIME", "how often the keys of TLS session tickets change (1h)"},
    {"heartbeat", "TIME", "a worker silent for longer is replaced (400ms)"},
    {"user", "NAME[:GROUP]", "when started by root: the user to run as"},
    {"confine", "yes|no", "whether processes give up what they do not need (yes)"},
    {NULL, NULL, NULL},
};

static const struct wr_option check_options[] = {
    {"json", NULL, "print findings as JSON"},
    {"strict", NULL, "fail on warnings too"},
    {NULL, NULL, NULL},
};

static const struct wr_option reload_options[] = {
    ADMIN_OPTION,
    {"dry-run", NULL, "say what would change, and change nothing"},
    {"force", NULL, "load it even if it is quarantined"},
    {"canary", "SHARE", "give it only this share of the requests first: 5%"},
    {"shadow", NULL, "never live: tell where it would decide otherwise"},
    {"for", "TIME", "how long it is a canary, or a shadow (2m)"},
    {"by", "HEADER", "whose value stays with one generation (client's address)"},
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option policy_options[] = {
    ADMIN_OPTION,
    {"force", NULL, "use it even if it is quarantined"},
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option explain_options[] = {
    ADMIN_OPTION,
    {"failed", NULL, "list only requests that failed"},
    {"dry", "REQUEST", "send nothing: what would 'GET /pay' meet?"},
    {"host", "NAME", "with --dry: the host that is asked"},
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option tail_options[] = {
    ADMIN_OPTION,
    {"query", "QUERY", "only lines like these: 'status>=500 and route==\"/pay\"'"},
    {"count", "N", "end after so many lines"},
    {"json", NULL, "print the lines as they are"},
    {NULL, NULL, NULL},
};

static const struct wr_option log_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option upgrade_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option status_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option top_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print what one picture is made of as JSON, and end"},
    {NULL, NULL, NULL},
};

static const struct wr_option stat_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print an object a line"},
    {"watch", "SECONDS", "go on, with a line every so often"},
    {NULL, NULL, NULL},
};

static const struct wr_option doctor_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the findings as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option primitive_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the answer as JSON"},
    {"names", NULL, "with ls: print the names only, one a line"},
    {NULL, NULL, NULL},
};

static const struct wr_option man_options[] = {
    {"into", "FOLDER", "write all pages to files of this folder"},
    {NULL, NULL, NULL},
};

static const struct wr_option help_options[] = {
    {"json", NULL, "print what there is to know of all verbs as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option version_options[] = {
    {"json", NULL, "print them as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_word policy_words[] = {
    {"list", "", "the generations: requests, memory, age; ls is the same"},
    {"show", "[N]", "what generation N declares, or the files on disk"},
    {"diff", "[N [M]]", "what the files on disk would change of N, or M of N"},
    {"use", "N", "make N the live one: at once while it is cooling"},
    {"rollback", "", "back to the one before; ends a canary or a shadow"},
    {"promote", "", "make the canary live now"},
    {NULL, NULL, NULL},
};

static const struct wr_word log_words[] = {
    {"level", "[LEVEL]", "the level in force, or the one to log at from now on"},
    {"reset", "", "the level that weir was started with"},
    {NULL, NULL, NULL},
};

static const struct wr_word completion_words[] = {
    {"bash", "", "source <(weir completion bash)"},
    {"zsh", "", "weir completion zsh >~/.zfunc/_weir, a folder of $fpath"},
    {"fish", "", "weir completion fish >~/.config/fish/completions/weir.fish"},
    {NULL, NULL, NULL},
};

const struct wr_verb wr_cli_verbs[] = {
    {"run", "FILE", 1, 1, "serve the policy in FILE, in the foreground", run_options,
     ADMIN_NOTE "Signals: HUP reloads, USR2 upgrades, TERM and INT drain and stop, or stop now.\n"
                "systemd hears of the start, of reloads and of the stop ($NOTIFY_SOCKET).\n",
     wr_cli_run, NULL},
    {"check", "FILE", 1, 1, "load the policy in FILE without serving it, and say what is wrong",
     check_options,
     "Shows what each route calls through, and warns of layers that do not fit.\n"
     "Exit code: 0 fine, 1 --strict and there are warnings, 78 the policy is invalid.\n",
     wr_cli_check, NULL},
    {"reload", "", 0, 0, "let the running weir load its files again", reload_options,
     "A policy that does not load changes nothing: the old generation stays active.\n"
     "A canary is compared with it all the time by errors raised, failures, refusals\n"
     "and latency, and goes away as soon as it is worse, else it is live: see weir\n"
     "policy promote. A shadow's breakers, bulkheads, limiters and shedders are asked\n"
     "beside those of the live one; it counts calls that only one of both refused.\n" ADMIN_NOTE
     "Exit code: 0 live, or would be; 78 the policy is invalid, or a worse canary;\n"
     "3 no weir answers, 1 anything else.\n",
     wr_cli_reload, NULL},
    {"policy", "ACTION [N [M]]", 1, 3, "list the generations, look at one, go back to one",
     policy_options,
     "A shadow that is ended tells what it has counted.\n" ADMIN_NOTE "Exit code: as of reload.\n",
     wr_cli_policy, policy_words},
    {"explain", "[ID]", 0, 1, "how a request was decided, step by step", explain_options,
     "ID is the X-Request-ID of its answer; without it the newest requests are listed.\n"
     "The newest ones are kept, and those that failed for longer. A client in\n"
     "trusted_proxies that sends X-Weir-Explain is told in a field of that name.\n" ADMIN_NOTE,
     wr_cli_explain, NULL},
    {"tail", "", 0, 0, "follow the log: requests, scripts' lines, events", tail_options,
     "From now on, whatever the log level, until it is interrupted. Fields are\n"
     "compared by == != < <= > >= and ~ (contains), joined by and, or, not and\n"
     "parentheses. A reader that is too slow misses lines, and is told so.\n" ADMIN_NOTE,
     wr_cli_tail, NULL},
    {"log", "ACTION [LEVEL]", 1, 2, "show the level of the log, or set it in all processes",
     log_options,
     "A LEVEL is debug, info, warn or error; it holds until reset, for reloads and\n"
     "new workers too.\n" ADMIN_NOTE,
     wr_cli_log, log_words},
    {"upgrade", "", 0, 0, "let the binary that is at weir's path now take over", upgrade_options,
     "It is tried first: one that does not start, or does not load the live policy,\n"
     "changes nothing. Process id, sockets and state stay; no request is lost.\n" ADMIN_NOTE
     "Exit code: 0 it serves, 3 no weir answers, 1 anything else.\n",
     wr_cli_upgrade, NULL},
    {"status", "", 0, 0, "show what the running weir is doing", status_options, ADMIN_NOTE,
     wr_cli_status, NULL},
    {"top", "", 0, 0, "show that live: routes, breakers, upstreams, limits, events", top_options,
     "Keys: q quits, j and k or the arrows scroll, space stops the picture.\n"
     "Rates and percentiles are of the last ten seconds, req/s and errors of the last\n"
     "one. Where the output is no terminal it is one picture.\n" ADMIN_NOTE,
     wr_cli_top, NULL},
    {"stat", "", 0, 0, "show it in a line of numbers, once or every so often", stat_options,
     "Percentiles are of the last ten seconds; with --watch, req/s and err% are of the\n"
     "time since the line before. open: breakers that are not closed; out: endpoints\n"
     "that are ejected or unhealthy; shed: classes of requests that are refused.\n" ADMIN_NOTE,
     wr_cli_stat, NULL},
    {"doctor", "[FILE]", 0, 1, "look at the machine, and at the policy in FILE, for trouble",
     doctor_options,
     "Looks at LuaJIT, libcurl, roots, processors, memory, descriptors, clocks, names,\n"
     "sandbox and admin address; with FILE: does it load, are its addresses free?\n" ADMIN_NOTE
     "Exit code: 0 nothing fails, 1 something does. A warning is no failure.\n",
     wr_cli_doctor, NULL},
#define WR_KIND(ENUM, name, doc)                                                                   \
  {name, "ACTION [NAME [VALUE]]", 1, 3, doc, primitive_options, ADMIN_NOTE, wr_cli_primitive, NULL},
#include "tables/kinds.def"
#undef WR_KIND
    {"completion", "SHELL", 1, 1, "print what completes weir's command lines in a shell", NULL,
     NULL, wr_cli_completion, completion_words},
    {"man", "[VERB]", 0, 1, "print a manual page: man -l <(weir man)", man_options, NULL,
     wr_cli_man, NULL},
    {"version", "", 0, 0, "print the versions of weir and of its libraries", version_options, NULL,
     wr_cli_version, NULL},
    {"help", "[VERB]", 0, 1, "explain the verbs, or one of them", help_options, NULL, wr_cli_help,
     NULL},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};

const struct wr_verb *wr_cli_find(const char *name)
{
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    if (strcmp(v->name, name) == 0) return v;
  }
  return NULL;
}
