#include "process.h"

#include "arena/arena.h"
#include "arena/session_keys.h"
#include "base/alloc.h"
#include "handover.h"
#include "http/server.h"
#include "http/tls.h"
#include "master.h"
#include "observe/otlp_settings.h"
#include "rehearsal.h"
#include "script/library.h"
#include "succession.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  USAGE = 2, // exit codes, see cli/cli.h
  PERMISSION = 77,
  OWN_DESCRIPTORS = 64, // listeners, mailboxes, bells, files
  CONNECTIONS_MIN = 16,
};

// The CPU quota of our cgroup (v2) in whole cores, rounded up; 0 without one.
static uint32_t quota_cores(void)
{
  long long quota = 0;
  long long period = 0;
  FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
  if (file == NULL) return 0;
  int fields = fscanf(file, "%lld %lld", &quota, &period);
  fclose(file);
  if (fields != 2 || quota <= 0 || period <= 0) return 0;
  return (uint32_t)((quota + period - 1) / period);
}

static uint32_t usable_cores(void)
{
  cpu_set_t set;
  uint32_t cores = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = (uint32_t)CPU_COUNT(&set);
  uint32_t quota = quota_cores();
  if (quota > 0 && quota < cores) cores = quota;
  return cores < WR_ARENA_WORKERS_MAX ? cores : WR_ARENA_WORKERS_MAX;
}

void wr_process_defaults(struct wr_settings *settings)
{
  *settings = (struct wr_settings){.workers = usable_cores(),
                                   .log_level = WR_LOG_INFO,
                                   .drain_ns = 30 * WR_SECOND,
                                   .session_keys_ns = WR_SESSION_KEYS_PERIOD * WR_SECOND,
                                   .heartbeat_ns = 400 * WR_MS};
}

// The soft limit is often 1024. How many descriptors each process may have open.
static uint64_t raise_descriptors(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

// Behind every client there may be a connection to an upstream.
static uint32_t connections_within(uint64_t descriptors)
{
  uint64_t wanted = wr_server_options_default.connections_max;
  if (descriptors / 2 >= wanted) return (uint32_t)wanted;
  uint64_t rest = descriptors > OWN_DESCRIPTORS ? (descriptors - OWN_DESCRIPTORS) / 2 : 0;
  if (rest < CONNECTIONS_MIN) rest = CONNECTIONS_MIN;
  return (uint32_t)(rest < wanted ? rest : wanted);
}

static char *join(const char *folder, const char *name)
{
  size_t size = strlen(folder) + strlen(name) + 2;
  char *out = wr_alloc(size);
  snprintf(out, size, "%s/%s", folder, name);
  return out;
}

// Whoever started us knew a path, which may lead to another file tomorrow. To be freed.
static char *find_program(void)
{
  const char *given = (const char *)getauxval(AT_EXECFN);
  char room[PATH_MAX];
  bool is_path = given != NULL && strncmp(given, "/dev/fd/", 8) != 0;
  if (is_path && given[0] == '/') return wr_strdup(given);
  if (is_path && getcwd(room, sizeof(room)) != NULL) return join(room, given);
  ssize_t len = readlink("/proc/self/exe", room, sizeof(room));
  return wr_strndup(room, len > 0 ? (size_t)len : 0);
}

// As many workers as there are sockets of each address.
static void take_over(struct wr_settings *settings)
{
  const struct wr_handover *h = settings->handover;
  settings->program = h ? wr_strdup(h->program) : find_program();
  if (h) settings->workers = h->workers;
}

// To the program that tries us: its end of standard error is a pipe.
static void say_ready(void)
{
  ssize_t sent = write(STDERR_FILENO, WR_REHEARSAL_WORD, strlen(WR_REHEARSAL_WORD));
  (void)sent; // without it the rehearsal has failed
}

static int run(struct wr_settings *settings, struct wr_error *error)
{
  bool is_rehearsal = settings->handover != NULL && settings->handover->is_rehearsal;
  if (!wr_notify_read(&settings->notify, error)) return USAGE;
  if (!wr_confine_master(&settings->confine, error)) return PERMISSION;
  if (is_rehearsal) settings->notify = (struct wr_notify_options){.length = 0};
  int code = wr_master_run(settings, error);
  if (is_rehearsal && code == 0) say_ready();
  return code;
}

int wr_process_run(const struct wr_settings *settings, struct wr_error *error)
{
  struct wr_settings fitting = *settings;
  fitting.descriptors = raise_descriptors();
  fitting.connections = connections_within(fitting.descriptors);
  signal(SIGPIPE, SIG_IGN);
  wr_confine_cores();
  if (!wr_handover_take(&fitting.handover, error)) return USAGE;
  take_over(&fitting);
  wr_succession_arm(&fitting);
  struct wr_otlp_settings *otlp = wr_alloc(sizeof(*otlp));
  wr_otlp_settings_read(otlp, wr_loop_entropy());
  fitting.otlp = otlp;
  wr_tls_warm();
  struct wr_library *library = wr_library_compile();
  fitting.library = library;
  int code = run(&fitting, error);
  // Whoever cannot even begin leaves everything to the program that it was to replace.
  if (code != 0) wr_succession_return(&fitting, error->message);
  wr_otlp_settings_fini(otlp);
  wr_free(otlp);
  wr_library_free(library);
  wr_handover_free(fitting.handover);
  wr_free(fitting.program);
  return code;
}

void wr_process_check(const struct wr_settings *settings, struct wr_candidate_report *report,
                      const struct wr_candidate_inspector *inspector)
{
  struct wr_arena arena;
  struct wr_error error = {0};
  struct wr_arena_options options = {.worker_count = 1, .seed = wr_loop_entropy()};
  // Its process is the author's own, and prints what it finds.
  struct wr_settings open = *settings;
  open.confine.is_off = true;
  if (!wr_arena_open(&arena, &options, &error)) {
    *report = (struct wr_candidate_report){0};
    snprintf(report->stage, sizeof(report->stage), "start");
    wr_call_error_set(&report->error, "", 0, "%s", error.message);
    return;
  }
  wr_candidate_try(&arena, &open, NULL, report, inspector);
  wr_arena_fini(&arena);
}
