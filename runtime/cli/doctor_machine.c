#include "cli/doctor.h"
#include "process.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

enum {
  DESCRIPTORS_FEW = 4096, // some 2000 clients a process
  DESCRIPTORS_OWN = 64,
  BACKLOG_FEW = 1024,
  MEMORY_LITTLE_MIB = 256,
};

// The first word of a file; "" when there is none.
static const char *word_of(const char *path, char out[64])
{
  out[0] = '\0';
  FILE *file = fopen(path, "re");
  if (file == NULL) return out;
  if (fscanf(file, "%63s", out) != 1) out[0] = '\0';
  fclose(file);
  return out;
}

static bool has_line(const char *path, const char *part, unsigned *count)
{
  char line[512];
  *count = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  while (fgets(line, sizeof(line), file) != NULL) *count += strstr(line, part) != NULL;
  fclose(file);
  return true;
}

static void look_at_descriptors(struct wr_doctor *d)
{
  struct rlimit limit = {0};
  getrlimit(RLIMIT_NOFILE, &limit); // weir raises the soft limit to the hard one
  unsigned long long have = limit.rlim_max;
  unsigned long long clients = have > DESCRIPTORS_OWN ? (have - DESCRIPTORS_OWN) / 2 : 0;
  bool is_few = have < DESCRIPTORS_FEW;
  wr_doctor_tell(d, is_few ? WR_DOCTOR_WARN : WR_DOCTOR_OK, "descriptors",
                 "%llu for each process: %llu clients with an upstream connection each", have,
                 clients);
  wr_doctor_advise(d, "raise it: ulimit -Hn, or LimitNOFILE= of the unit");
}

static void look_at_processors(struct wr_doctor *d)
{
  struct wr_settings settings;
  wr_process_defaults(&settings);
  long all = sysconf(_SC_NPROCESSORS_ONLN);
  wr_doctor_tell(d, WR_DOCTOR_OK, "processors", "%u of %ld may be used: %u workers",
                 settings.workers, all, settings.workers);
}

static void look_at_memory(struct wr_doctor *d)
{
  char word[64];
  unsigned long long bytes = 0;
  word_of("/sys/fs/cgroup/memory.max", word);
  bool is_bounded = sscanf(word, "%llu", &bytes) == 1;
  unsigned long long pages = (unsigned long long)sysconf(_SC_PHYS_PAGES);
  if (!is_bounded) bytes = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
  unsigned long long mib = bytes >> 20;
  bool is_little = mib < MEMORY_LITTLE_MIB;
  wr_doctor_tell(d, is_little ? WR_DOCTOR_WARN : WR_DOCTOR_OK, "memory", "%llu MiB%s", mib,
                 is_bounded ? ", a limit of its cgroup" : ", all of the machine");
  wr_doctor_advise(d, "give it more (MemoryMax= of the unit), or run fewer --workers");
}

// What is measured with a slow clock costs each request; a wrong one makes stamps and dates wrong.
static void look_at_clocks(struct wr_doctor *d)
{
  char source[64];
  struct timex state = {0};
  word_of("/sys/devices/system/clocksource/clocksource0/current_clocksource", source);
  bool is_slow = strcmp(source, "hpet") == 0 || strcmp(source, "acpi_pm") == 0;
  wr_doctor_tell(d, is_slow ? WR_DOCTOR_WARN : WR_DOCTOR_OK, "clock", "the kernel reads %s%s",
                 source[0] ? source : "an unknown clock", is_slow ? ", which is slow" : "");
  wr_doctor_advise(d, "boot with clocksource=tsc if the machine's is stable");
  bool is_synced = adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
  wr_doctor_tell(d, is_synced ? WR_DOCTOR_OK : WR_DOCTOR_WARN, "time",
                 is_synced ? "the wall clock is kept right"
                           : "nobody keeps the wall clock right: stamps, dates and certificates "
                             "are judged by it");
  wr_doctor_advise(d, "run a time service (systemd-timesyncd, chrony)");
}

static void look_at_names(struct wr_doctor *d)
{
  unsigned servers;
  bool is_there = has_line("/etc/resolv.conf", "nameserver", &servers);
  bool is_good = is_there && servers > 0;
  wr_doctor_tell(d, is_good ? WR_DOCTOR_OK : WR_DOCTOR_WARN, "names",
                 "%u name servers in /etc/resolv.conf", servers);
  wr_doctor_advise(d, "name servers in /etc/resolv.conf, or give --dns");
}

static void look_at_queue(struct wr_doctor *d)
{
  char word[64];
  unsigned most = 0;
  bool is_known = sscanf(word_of("/proc/sys/net/core/somaxconn", word), "%u", &most) == 1;
  bool is_short = is_known && most < BACKLOG_FEW;
  wr_doctor_tell(d, is_short ? WR_DOCTOR_WARN : WR_DOCTOR_OK, "backlog",
                 "%u connections may wait to be accepted", most);
  wr_doctor_advise(d, "sysctl net.core.somaxconn=4096");
}

// A filter that is in force already is of a container or a service manager: ours goes on top.
static void look_at_sandbox(struct wr_doctor *d)
{
  unsigned count;
  bool has_actions =
      has_line("/proc/sys/kernel/seccomp/actions_avail", "errno", &count) && count > 0;
  bool is_filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
  wr_doctor_tell(d, has_actions ? WR_DOCTOR_OK : WR_DOCTOR_WARN, "seccomp",
                 has_actions ? "system calls of workers can be filtered%s"
                             : "the kernel does not filter system calls: workers cannot be "
                               "confined%s",
                 is_filtered ? " (a filter is in force already)" : "");
  wr_doctor_advise(d, "a kernel with CONFIG_SECCOMP_FILTER, or --confine no");
}

static void look_at_arena(struct wr_doctor *d)
{
  int fd = memfd_create("weir-doctor", MFD_CLOEXEC);
  if (fd >= 0) close(fd);
  wr_doctor_tell(d, fd >= 0 ? WR_DOCTOR_OK : WR_DOCTOR_FAIL, "arena",
                 fd >= 0 ? "shared memory can be made"
                         : "memfd_create fails: there is no shared "
                           "memory for workers");
  wr_doctor_advise(d, "allow memfd_create in the container's filter of system calls");
}

void wr_doctor_machine(struct wr_doctor *d)
{
  look_at_processors(d);
  look_at_memory(d);
  look_at_descriptors(d);
  look_at_queue(d);
  look_at_clocks(d);
  look_at_names(d);
  look_at_sandbox(d);
  look_at_arena(d);
}
