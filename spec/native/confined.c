// Tries, inside processes that the runtime itself has confined, what they may do and what not:
//
//   confined worker|trial|free FOLDER
//   confined without-seccomp PROGRAM ARGUMENT...    runs it where filters are forbidden
//
// Each attempt is made in a process of its own, in an empty folder below FOLDER, after
// `wr_confine_child` of that role ("free": without it). Prints a line for each: its name, and "ok",
// the name of the errno, or of the signal that ended the process. What runs free must do no harm
// on a machine that it runs on as root: calls that would are made with arguments that fail.
#include "base/check.h"
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct attempt {
  const char *name;
  int (*make)(void); // 0, or -1 with errno
};

// What is there before a process is confined.
static char folder[512];
static int file_fd;   // "file", to read and write
static int socket_fd; // a TCP socket; no address
static void *page;    // of memory, to read and write
static const char nowhere[] = "/nowhere/at/all";

static int close_if_open(int fd)
{
  if (fd >= 0) close(fd);
  return fd >= 0 ? 0 : -1;
}

static int not_null(const void *p)
{
  return p == MAP_FAILED ? -1 : 0;
}

// --- programs and processes ---------------------------------------------------------------------

static int end_child(pid_t pid)
{
  if (pid == 0) _exit(0);
  return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int try_fork(void)
{
  return end_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int try_execve(void)
{
  return execl("/bin/true", "true", (char *)NULL);
}

static int try_execveat(void)
{
  char *argv[] = {"true", NULL};
  return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0);
}

static void *run_thread(void *arg)
{
  return arg;
}

static int try_thread(void)
{
  pthread_t thread;
  errno = pthread_create(&thread, NULL, run_thread, NULL);
  return errno == 0 && pthread_join(thread, NULL) == 0 ? 0 : -1;
}

static int try_signal_to_parent(void)
{
  return kill(getppid(), 0);
}

static int try_thread_signal_to_parent(void)
{
  return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static int try_limits_of_parent(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  return prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL);
}

static int try_affinity(void)
{
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return -1;
  return sched_setaffinity(0, sizeof(set), &set);
}

// --- files --------------------------------------------------------------------------------------

static int try_open_write(void)
{
  return close_if_open(open("file", O_WRONLY));
}

static int try_open_both(void)
{
  return close_if_open(open("file", O_RDWR | O_APPEND));
}

static int try_open_create(void)
{
  return close_if_open(open("new", O_RDONLY | O_CREAT, 0600));
}

static int try_open_truncate(void)
{
  return close_if_open(open("file", O_RDONLY | O_TRUNC));
}

static int try_open_unnamed(void)
{
  return close_if_open(open(".", O_TMPFILE | O_RDWR, 0600));
}

static int try_open_old(void)
{
#ifdef SYS_open
  return close_if_open((int)syscall(SYS_open, "file", O_WRONLY));
#else
  return try_open_write();
#endif
}

static int try_creat(void)
{
#ifdef SYS_creat
  return close_if_open((int)syscall(SYS_creat, "new", 0600));
#else
  return try_open_create();
#endif
}

static int try_openat2(void)
{
  uint64_t how[3] = {O_WRONLY, 0, 0};
  return close_if_open((int)syscall(SYS_openat2, AT_FDCWD, "file", how, sizeof(how)));
}

static int try_io_uring(void)
{
  char params[120] = {0};
  return close_if_open((int)syscall(SYS_io_uring_setup, 4, params));
}

static int try_truncate(void)
{
  return truncate("file", 0);
}

static int try_mkdir(void)
{
  return mkdir("new", 0700);
}

static int try_unlink(void)
{
  return unlink("file");
}

static int try_rename(void)
{
  return rename("file", "new");
}

static int try_link(void)
{
  return link("file", "new");
}

static int try_symlink(void)
{
  return symlink("file", "new");
}

static int try_mknod(void)
{
  return mknod("new", S_IFIFO | 0600, 0);
}

static int try_chmod(void)
{
  return chmod("file", 0666);
}

static int try_fchmod(void)
{
  return fchmod(file_fd, 0666);
}

static int try_chown(void)
{
  return chown("file", getuid(), getgid());
}

static int try_utime(void)
{
  return utimensat(AT_FDCWD, "file", NULL, 0);
}

static int try_chdir(void)
{
  return chdir("/");
}

static int try_umask(void)
{
  umask(0); // never fails by itself
  return syscall(SYS_umask, 0) < 0 ? -1 : 0;
}

static int try_open_read(void)
{
  return close_if_open(open("file", O_RDONLY | O_CLOEXEC));
}

static int try_list(void)
{
  char entries[1024];
  int fd = open(".", O_RDONLY | O_DIRECTORY);
  return fd >= 0 && syscall(SYS_getdents64, fd, entries, sizeof(entries)) > 0 ? 0 : -1;
}

static int try_watch(void)
{
  return inotify_add_watch(inotify_init1(IN_CLOEXEC), ".", IN_MODIFY) >= 0 ? 0 : -1;
}

static int try_write_inherited(void)
{
  return write(file_fd, "x", 1) == 1 ? 0 : -1;
}

static int try_resize_inherited(void)
{
  return ftruncate(file_fd, 1);
}

// --- the network --------------------------------------------------------------------------------

static int try_socket(void)
{
  return close_if_open(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_socket_v6(void)
{
  return close_if_open(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int try_socket_unix(void)
{
  return close_if_open(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_socket_netlink(void)
{
  return close_if_open(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_socket_packet(void)
{
  return close_if_open(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_bind(void)
{
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return bind(socket_fd, (struct sockaddr *)&any, sizeof(any));
}

static int try_listen(void)
{
  return listen(socket_fd, 1);
}

static int try_connect(void)
{
  struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "file"};
  return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&path, sizeof(path));
}

static int try_accept(void)
{
  return close_if_open(accept4(socket_fd, NULL, NULL, SOCK_CLOEXEC));
}

static int try_options(void)
{
  int on = 1;
  return setsockopt(socket_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int try_pair(void)
{
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return -1;
  return send(pair[0], "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

// --- memory -------------------------------------------------------------------------------------

static int try_map_code(void)
{
  return not_null(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int try_protect_code(void)
{
  return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int try_protect_code_by_key(void)
{
  return (int)syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
}

static int try_map(void)
{
  void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? -1 : munmap(p, 1 << 20);
}

static int try_memfd(void)
{
  return close_if_open(memfd_create("confined", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

static int try_share_memory(void)
{
  return (int)syscall(SYS_shmget, 0, 4096, 01600);
}

// --- privileges and limits ----------------------------------------------------------------------

static int try_become_root(void)
{
  return setresuid(0, 0, 0);
}

static int try_group(void)
{
  return setresgid(0, 0, 0);
}

static int try_groups(void)
{
  return (int)syscall(SYS_setgroups, 0, NULL);
}

static int try_capset(void)
{
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  return (int)syscall(SYS_capset, &head, none);
}

static int try_dumpable(void)
{
  return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int try_keep_capabilities(void)
{
  return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

static int try_personality(void)
{
  return (int)syscall(SYS_personality, 0xffffffff) >= 0 ? 0 : -1;
}

static int try_raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  return setrlimit(RLIMIT_NOFILE, &limit);
}

static int try_priority(void)
{
  return setpriority(PRIO_PROCESS, 0, 0);
}

static int try_terminal_input(void)
{
  return ioctl(file_fd, TIOCSTI, "x");
}

// --- what only who has taken the process over asks for ------------------------------------------

static int try_ptrace(void)
{
  return (int)syscall(SYS_ptrace, 0, 0, 0, 0); // PTRACE_TRACEME
}

static int try_read_of_parent(void)
{
  return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static int try_write_of_parent(void)
{
  return (int)syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
}

static int try_bpf(void)
{
  return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int try_perf(void)
{
  return (int)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static int try_userfaultfd(void)
{
  return close_if_open((int)syscall(SYS_userfaultfd, 1));
}

static int try_load_module(void)
{
  return (int)syscall(SYS_init_module, NULL, 0, "");
}

static int try_delete_module(void)
{
  return (int)syscall(SYS_delete_module, "weir_is_no_module", O_NONBLOCK);
}

static int try_kexec(void)
{
  return (int)syscall(SYS_kexec_load, 0, 1 << 20, NULL, 0);
}

static int try_keyring(void)
{
  return (int)syscall(SYS_keyctl, -1, 0, 0, 0, 0);
}

static int try_mount(void)
{
  return (int)syscall(SYS_mount, "none", nowhere, "tmpfs", 0, NULL);
}

static int try_umount(void)
{
  return (int)syscall(SYS_umount2, nowhere, 0);
}

static int try_pivot_root(void)
{
  return (int)syscall(SYS_pivot_root, nowhere, nowhere);
}

static int try_chroot(void)
{
  return chroot(nowhere);
}

static int try_unshare(void)
{
  return (int)syscall(SYS_unshare, 0);
}

static int try_setns(void)
{
  return (int)syscall(SYS_setns, -1, 0);
}

static int try_swapon(void)
{
  return (int)syscall(SYS_swapon, nowhere, 0);
}

static int try_reboot(void)
{
  return (int)syscall(SYS_reboot, 0, 0, 0, NULL);
}

static int try_acct(void)
{
  return (int)syscall(SYS_acct, nowhere);
}

static int try_set_clock(void)
{
  return (int)syscall(SYS_clock_settime, -1, NULL);
}

static int try_hostname(void)
{
  return (int)syscall(SYS_sethostname, NULL, -1);
}

static int try_handle(void)
{
  return close_if_open((int)syscall(SYS_open_by_handle_at, -1, NULL, 0));
}

static int try_foreign_numbers(void)
{
#ifdef __x86_64__
  return (int)syscall(0x40000000 | SYS_getpid); // x32's
#else
  return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
#endif
}

// --- what has to go on --------------------------------------------------------------------------

static int try_abort(void)
{
  abort();
}

static int try_timer(void)
{
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
  timer_t timer;
  return timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer);
}

static int try_epoll(void)
{
  struct epoll_event event = {.events = EPOLLIN};
  return epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, eventfd(0, EFD_NONBLOCK), &event);
}

static int try_read_limit(void)
{
  struct rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit);
}

static int try_newer(void)
{
  return (int)syscall(511);
}

#define ATTEMPT(name)                                                                              \
  {                                                                                                \
#name, try_##name                                                                              \
  }

static const struct attempt attempts[] = {
    ATTEMPT(fork), ATTEMPT(execve), ATTEMPT(execveat), ATTEMPT(thread), ATTEMPT(signal_to_parent),
    ATTEMPT(thread_signal_to_parent), ATTEMPT(limits_of_parent), ATTEMPT(affinity),
    // files
    ATTEMPT(open_write), ATTEMPT(open_both), ATTEMPT(open_create), ATTEMPT(open_truncate),
    ATTEMPT(open_unnamed), ATTEMPT(open_old), ATTEMPT(creat), ATTEMPT(openat2), ATTEMPT(io_uring),
    ATTEMPT(truncate), ATTEMPT(mkdir), ATTEMPT(unlink), ATTEMPT(rename), ATTEMPT(link),
    ATTEMPT(symlink), ATTEMPT(mknod), ATTEMPT(chmod), ATTEMPT(fchmod), ATTEMPT(chown),
    ATTEMPT(utime), ATTEMPT(chdir), ATTEMPT(umask), ATTEMPT(open_read), ATTEMPT(list),
    ATTEMPT(watch), ATTEMPT(write_inherited), ATTEMPT(resize_inherited),
    // the network
    ATTEMPT(socket), ATTEMPT(socket_v6), ATTEMPT(socket_unix), ATTEMPT(socket_netlink),
    ATTEMPT(socket_packet), ATTEMPT(bind), ATTEMPT(listen), ATTEMPT(connect), ATTEMPT(accept),
    ATTEMPT(options), ATTEMPT(pair),
    // memory
    ATTEMPT(map_code), ATTEMPT(protect_code), ATTEMPT(protect_code_by_key), ATTEMPT(map),
    ATTEMPT(memfd), ATTEMPT(share_memory),
    // privileges and limits
    ATTEMPT(become_root), ATTEMPT(group), ATTEMPT(groups), ATTEMPT(capset), ATTEMPT(dumpable),
    ATTEMPT(keep_capabilities), ATTEMPT(personality), ATTEMPT(raise_limit), ATTEMPT(priority),
    ATTEMPT(terminal_input),
    // deadly
    ATTEMPT(ptrace), ATTEMPT(read_of_parent), ATTEMPT(write_of_parent), ATTEMPT(bpf), ATTEMPT(perf),
    ATTEMPT(userfaultfd), ATTEMPT(load_module), ATTEMPT(delete_module), ATTEMPT(kexec),
    ATTEMPT(keyring), ATTEMPT(mount), ATTEMPT(umount), ATTEMPT(pivot_root), ATTEMPT(chroot),
    ATTEMPT(unshare), ATTEMPT(setns), ATTEMPT(swapon), ATTEMPT(reboot), ATTEMPT(acct),
    ATTEMPT(set_clock), ATTEMPT(hostname), ATTEMPT(handle), ATTEMPT(foreign_numbers),
    // what has to go on
    ATTEMPT(abort), ATTEMPT(timer), ATTEMPT(epoll), ATTEMPT(read_limit), ATTEMPT(newer)};

static void prepare(const char *name)
{
  char path[1024];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  WR_CHECK(mkdir(path, 0700) == 0 && chdir(path) == 0);
  file_fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  WR_CHECK(file_fd >= 0 && socket_fd >= 0 && page != MAP_FAILED);
  wr_confine_cores();
}

static void confine(const char *role)
{
  static const struct wr_confine_options options;
  struct wr_error error;
  bool is_trial = strcmp(role, "trial") == 0;
  if (strcmp(role, "free") == 0) return;
  if (wr_confine_child(&options, is_trial ? WR_FILTER_TRIAL : WR_FILTER_WORKER, &error)) return;
  fprintf(stderr, "confined: %s\n", error.message);
  _exit(255);
}

static void report(const char *name, int status)
{
  int code = WEXITSTATUS(status);
  const char *outcome = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status))
                        : code == 0         ? "ok"
                                            : strerrorname_np(code);
  printf("%s %s\n", name, outcome ? outcome : "?");
}

static void run(const struct attempt *attempt, const char *role)
{
  int status = 0;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    prepare(attempt->name);
    confine(role);
    errno = 0;
    _exit(attempt->make() == 0 ? 0 : errno);
  }
  WR_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  report(attempt->name, status);
}

static int run_without_seccomp(char **argv)
{
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
  WR_CHECK(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) == 0);
  WR_CHECK(seccomp_load(ctx) == 0);
  seccomp_release(ctx);
  return execv(argv[0], argv);
}

int main(int argc, char **argv)
{
  WR_CHECK(argc >= 3);
  if (strcmp(argv[1], "without-seccomp") == 0) return run_without_seccomp(argv + 2);
  snprintf(folder, sizeof(folder), "%s", argv[2]);
  for (size_t i = 0; i < WR_COUNT(attempts); i++) run(&attempts[i], argv[1]);
  return 0;
}
