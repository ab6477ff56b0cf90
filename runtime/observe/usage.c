#include "observe/usage.h"

#include "base/duration.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

struct total {
  double cpu_s;
  double memory_bytes;
  double descriptors, descriptors_max;
};

static double seconds(const struct timeval *t)
{
  return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static FILE *open_proc(pid_t pid, const char *file)
{
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
  return fopen(path, "re");
}

// State, user and system time: fields 3, 14 and 15 of the stat line; the second field is the
// program's name in parentheses.
char wr_usage_state(pid_t pid, double *cpu_s)
{
  unsigned long user = 0;
  unsigned long system = 0;
  char state = 'X';
  *cpu_s = 0;
  FILE *file = open_proc(pid, "stat");
  if (file == NULL) return state;
  int fields = fscanf(file, "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                      &state, &user, &system);
  fclose(file);
  if (fields != 3) return 'X';
  *cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
  return state;
}

static double cpu_of(pid_t pid)
{
  double cpu_s = 0;
  (void)wr_usage_state(pid, &cpu_s);
  return cpu_s;
}

static double memory_of(pid_t pid)
{
  unsigned long resident = 0;
  FILE *file = open_proc(pid, "statm");
  if (file == NULL) return 0;
  int fields = fscanf(file, "%*u %lu", &resident);
  fclose(file);
  return fields == 1 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double descriptors_of(pid_t pid)
{
  char path[64];
  double count = 0;
  snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
  DIR *dir = opendir(path);
  if (dir == NULL) return 0;
  for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
    if (entry->d_name[0] != '.') count++;
  }
  closedir(dir);
  return count;
}

static double descriptors_max_of(pid_t pid)
{
  struct rlimit limit;
  return prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

static struct total sum_up(const struct wr_usage *usage)
{
  struct rusage self;
  struct rusage gone;
  struct total t = {0};
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &gone);
  t.cpu_s = seconds(&self.ru_utime) + seconds(&self.ru_stime) + seconds(&gone.ru_utime) +
            seconds(&gone.ru_stime);
  t.memory_bytes = memory_of(getpid());
  t.descriptors = descriptors_of(getpid());
  t.descriptors_max = descriptors_max_of(getpid());
  for (size_t i = 0; i < usage->count; i++) {
    if (usage->workers[i] <= 0) continue;
    t.cpu_s += cpu_of(usage->workers[i]);
    t.memory_bytes += memory_of(usage->workers[i]);
    t.descriptors += descriptors_of(usage->workers[i]);
    t.descriptors_max += descriptors_max_of(usage->workers[i]);
  }
  return t;
}

static bool put(struct wr_buf *out, const char *name, const char *type, const char *help,
                double value)
{
  return wr_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                       value);
}

bool wr_usage_write(const struct wr_usage *usage, struct wr_buf *out)
{
  struct total t = sum_up(usage);
  return put(out, "process_cpu_seconds_total", "counter",
             "CPU time used, user and system, all processes", t.cpu_s) &&
         put(out, "process_resident_memory_bytes", "gauge",
             "Resident memory of all processes, shared pages counted in each", t.memory_bytes) &&
         put(out, "process_open_fds", "gauge", "Open file descriptors of all processes",
             t.descriptors) &&
         put(out, "process_max_fds", "gauge", "File descriptors that all processes may have open",
             t.descriptors_max) &&
         put(out, "process_start_time_seconds", "gauge", "When weir started, in Unix time",
             (double)usage->started_wall_ns / (double)WR_SECOND);
}
