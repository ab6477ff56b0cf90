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
    {"watch", NULL, "reload when a file of the policy changes"},
    {"allow-chaos", NULL, "let chaos experiments be applied"},
    {"log-level", "LEVEL", "debug, info, warn or error (default: info)"},
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

static const struct wr_option primitive_options[] = {
    ADMIN_OPTION,
    {"json", NULL, "print the answer as JSON"},
    {NULL, NULL, NULL},
};

static const struct wr_option version_options[] = {
    {"json", NULL, "print them as JSON"},
    {NULL, NULL, NULL},
};

const struct wr_verb wr_cli_verbs[] = {
    {"run", "FILE", 1, 1, "serve the policy in FILE, in the foreground", run_options,
     ADMIN_NOTE "Signals: HUP reloads, TERM and INT drain and stop, a second one stops at once.\n"
                "USR2 upgrades to the binary that is at weir's path by then.\n"
                "systemd hears of the start, of reloads and of the stop ($NOTIFY_SOCKET).\n",
     wr_cli_run},
    {"check", "FILE", 1, 1, "load the policy in FILE without serving it, and say what is wrong",
     check_options,
     "Shows what each route calls through, and warns of layers that do not fit.\n"
     "Exit code: 0 fine, 1 --strict and there are warnings, 78 the policy is invalid.\n",
     wr_cli_check},
    {"reload", "", 0, 0, "let the running weir load its files again", reload_options,
     "A policy that does not load changes nothing: the old generation stays active.\n"
     "A canary is compared with it all the time by errors raised, failures, refusals\n"
     "and latency, and goes away as soon as it is worse, else it is live: see weir\n"
     "policy promote. A shadow's breakers, bulkheads, limiters and shedders are asked\n"
     "beside those of the live one; it counts calls that only one of both refused.\n" ADMIN_NOTE
     "Exit code: 0 live, or would be; 78 the policy is invalid, or a worse canary;\n"
     "3 no weir answers, 1 anything else.\n",
     wr_cli_reload},
    {"policy", "list | show [N] | diff [N [N]] | use N | rollback | promote", 1, 3,
     "list the generations, look at one, go back to one", policy_options,
     "show and diff without numbers are about the files on disk. diff N tells what\n"
     "they would change of generation N, diff N M what M would. rollback goes back to\n"
     "the generation before, use N to that one: at once while it is cooling. While\n"
     "there is a canary, rollback ends it, and promote makes it live now; a shadow\n"
     "that is ended so tells what it has counted.\n" ADMIN_NOTE "Exit code: as of reload.\n",
     wr_cli_policy},
    {"upgrade", "", 0, 0, "let the binary that is at weir's path now take over", upgrade_options,
     "It is tried first: one that does not start, or does not load the live policy,\n"
     "changes nothing. Process id, sockets and state stay; no request is lost.\n" ADMIN_NOTE
     "Exit code: 0 it serves, 3 no weir answers, 1 anything else.\n",
     wr_cli_upgrade},
    {"status", "", 0, 0, "show what the running weir is doing", status_options, ADMIN_NOTE,
     wr_cli_status},
    {"breaker", "ls | open|close|auto NAME", 1, 2, "list the breakers, or overrule one",
     primitive_options, ADMIN_NOTE, wr_cli_primitive},
    {"cache", "ls | purge NAME [KEY] | purge_tag NAME TAG", 1, 3,
     "list the caches, or forget what is in one", primitive_options, ADMIN_NOTE, wr_cli_primitive},
    {"chaos", "ls | apply NAME [TIME] | rollback NAME", 1, 3,
     "list the chaos experiments, start or end one", primitive_options, ADMIN_NOTE,
     wr_cli_primitive},
    {"flag", "ls | on|off|reset NAME [WHY] | percent NAME 'PERCENT [WHY]'", 1, 3,
     "list the feature flags, or flip one", primitive_options,
     "What is set here stands above the policy and outlives reloads until `reset`. WHY is kept "
     "with\n"
     "it and logged.\n" ADMIN_NOTE,
     wr_cli_primitive},
    {"health", "ls", 1, 1, "list the health checks", primitive_options, ADMIN_NOTE,
     wr_cli_primitive},
    {"version", "", 0, 0, "print the versions of weir and of its libraries", version_options, NULL,
     wr_cli_version},
    {"help", "[VERB]", 0, 1, "explain the verbs, or one of them", NULL, NULL, wr_cli_help},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};

const struct wr_verb *wr_cli_find(const char *name)
{
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    if (strcmp(v->name, name) == 0) return v;
  }
  return NULL;
}
