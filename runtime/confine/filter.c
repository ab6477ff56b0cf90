#include "confine/filter.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// A system call that this machine does not have (open on aarch64) has a number all the same, and
// its rule does nothing.
#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
    // memory; mmap and mprotect are below
    CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(membarrier), CALL(mincore),
    // what is open already
    CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(write), CALL(writev), CALL(pwrite64),
    CALL(pwritev), CALL(close), CALL(dup), CALL(dup2), CALL(dup3), CALL(fcntl), CALL(lseek),
    CALL(fstat), CALL(fadvise64), CALL(shutdown), CALL(sendmsg), CALL(recvmsg), CALL(sendto),
    CALL(recvfrom), CALL(sendmmsg), CALL(recvmmsg), CALL(getsockname), CALL(getpeername),
    CALL(getsockopt), CALL(setsockopt),
    // waiting
    CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(epoll_create), CALL(epoll_create1),
    CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(eventfd), CALL(eventfd2), CALL(pipe),
    CALL(pipe2), CALL(socketpair), CALL(futex), CALL(nanosleep), CALL(clock_nanosleep),
    CALL(sched_yield), CALL(restart_syscall),
    // files, to read; open and openat are below
    CALL(stat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access), CALL(faccessat),
    CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(getcwd), CALL(statfs), CALL(fstatfs),
    CALL(inotify_init), CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch),
    // time, chance, and who we are
    CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday), CALL(time), CALL(times),
    CALL(timer_create), CALL(timer_settime), CALL(timer_gettime), CALL(timer_getoverrun),
    CALL(timer_delete), CALL(getrandom), CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid),
    CALL(geteuid), CALL(getgid), CALL(getegid), CALL(uname), CALL(sysinfo), CALL(getrusage),
    CALL(getrlimit), CALL(sched_getaffinity), CALL(getcpu), CALL(capget),
    // the life of the only thread, and its end
    CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigpending),
    CALL(sigaltstack), CALL(set_robust_list), CALL(get_robust_list), CALL(rseq),
    CALL(set_tid_address), CALL(exit), CALL(exit_group)};

// Unix sockets too: endpoints may be there. No bind and no listen: the master does that.
static const int allowed_of_worker[] = {CALL(connect), CALL(accept), CALL(accept4)};

static const int allowed_of_trial[] = {CALL(memfd_create), CALL(ftruncate)};

// What newer libraries try first, and do without on an older kernel: only "there is no such call"
// has them do so. What is newer than this list is answered alike.
static const int unknown[] = {CALL(clone3),        CALL(openat2),      CALL(faccessat2),
                              CALL(close_range),   CALL(epoll_pwait2), CALL(futex_waitv),
                              CALL(io_uring_setup)};
enum { NEWER_FIRST = 451, NEWER_LAST = 511 }; // behind set_mempolicy_home_node, one number for all

// What no library of ours ever asks for, whatever its age: who asks has taken the process over.
static const int deadly[] = {
    // other processes
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(pidfd_getfd), CALL(kcmp),
    // the kernel
    CALL(bpf), CALL(perf_event_open), CALL(userfaultfd), CALL(init_module), CALL(finit_module),
    CALL(delete_module), CALL(kexec_load), CALL(kexec_file_load), CALL(add_key), CALL(request_key),
    CALL(keyctl), CALL(iopl), CALL(ioperm), CALL(modify_ldt), CALL(open_by_handle_at),
    // the machine
    CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot), CALL(move_mount), CALL(open_tree),
    CALL(fsopen), CALL(fsmount), CALL(fsconfig), CALL(fspick), CALL(mount_setattr), CALL(setns),
    CALL(unshare), CALL(swapon), CALL(swapoff), CALL(reboot), CALL(acct), CALL(settimeofday),
    CALL(clock_settime), CALL(sethostname), CALL(setdomainname)};

// Opening for reading changes nothing; these flags do.
#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC)

// A call that depends on one argument: allowed where it compares so.
struct conditional {
  int number;
  struct scmp_arg_cmp argument;
};

#define WHERE(index, ...) SCMP_CMP64(index, __VA_ARGS__)

// The JIT is off and code is loaded before: no memory can be written and then run.
static const struct conditional conditionals[] = {
    {CALL(open), WHERE(1, SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY)},
    {CALL(openat), WHERE(2, SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY)},
    {CALL(mmap), WHERE(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
    {CALL(mprotect), WHERE(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
    {CALL(ioctl), WHERE(1, SCMP_CMP_EQ, FIONBIO)},
    {CALL(ioctl), WHERE(1, SCMP_CMP_EQ, FIONREAD)},
    {CALL(ioctl), WHERE(1, SCMP_CMP_EQ, FIOCLEX)},
    {CALL(ioctl), WHERE(1, SCMP_CMP_EQ, TCGETS)},
    {CALL(prctl), WHERE(0, SCMP_CMP_EQ, PR_SET_NAME)},
    {CALL(prctl), WHERE(0, SCMP_CMP_EQ, PR_GET_DUMPABLE)},
    {CALL(prlimit64), WHERE(2, SCMP_CMP_EQ, 0)},
};

static const struct conditional conditionals_of_worker[] = {
    {CALL(socket), WHERE(0, SCMP_CMP_EQ, AF_INET)},
    {CALL(socket), WHERE(0, SCMP_CMP_EQ, AF_INET6)},
    {CALL(socket), WHERE(0, SCMP_CMP_EQ, AF_UNIX)},
};

// The first that fails decides, as a negative errno; 0: none did.
static int add(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t count)
{
  int rc = 0;
  for (size_t i = 0; i < count && rc == 0; i++) rc = seccomp_rule_add(ctx, action, calls[i], 0);
  return rc;
}

static int add_conditionals(scmp_filter_ctx ctx, const struct conditional *rules, size_t count)
{
  int rc = 0;
  for (size_t i = 0; i < count && rc == 0; i++) {
    rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rules[i].number, 1, &rules[i].argument);
  }
  return rc;
}

static int add_newer(scmp_filter_ctx ctx)
{
  int rc = 0;
  for (int number = NEWER_FIRST; number <= NEWER_LAST && rc == 0; number++) {
    rc = add(ctx, SCMP_ACT_ERRNO(ENOSYS), &number, 1);
  }
  return rc;
}

// abort() sends us a signal; others get none, the master least of all.
static int add_own_signals(scmp_filter_ctx ctx)
{
  struct scmp_arg_cmp own = WHERE(0, SCMP_CMP_EQ, (scmp_datum_t)getpid());
  return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, CALL(tgkill), 1, &own);
}

#define ADD(ctx, action, list) add(ctx, action, list, WR_COUNT(list))
#define ADD_CONDITIONALS(ctx, list) add_conditionals(ctx, list, WR_COUNT(list))

static int add_common(scmp_filter_ctx ctx)
{
  int rc = ADD(ctx, SCMP_ACT_ALLOW, allowed);
  if (rc == 0) rc = ADD(ctx, SCMP_ACT_ERRNO(ENOSYS), unknown);
  if (rc == 0) rc = ADD(ctx, SCMP_ACT_KILL_PROCESS, deadly);
  if (rc == 0) rc = ADD_CONDITIONALS(ctx, conditionals);
  if (rc == 0) rc = add_newer(ctx);
  if (rc == 0) rc = add_own_signals(ctx);
  return rc;
}

static int add_role(scmp_filter_ctx ctx, enum wr_filter_role role)
{
  if (role == WR_FILTER_TRIAL) return ADD(ctx, SCMP_ACT_ALLOW, allowed_of_trial);
  int rc = ADD(ctx, SCMP_ACT_ALLOW, allowed_of_worker);
  return rc == 0 ? ADD_CONDITIONALS(ctx, conditionals_of_worker) : rc;
}

static int load(scmp_filter_ctx ctx, enum wr_filter_role role)
{
  // Calls of another architecture (int 0x80, x32) have other numbers and are always deadly.
  int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  // A tree instead of a list: what the kernel cannot know in advance is found in a few steps.
  if (rc == 0) rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (rc == 0) rc = add_common(ctx);
  if (rc == 0) rc = add_role(ctx, role);
  if (rc == 0) rc = seccomp_load(ctx);
  return rc;
}

static bool explain(struct wr_error *error, int reason)
{
  wr_error_set(error, WR_ERROR_INVALID,
               "cannot filter system calls (seccomp): %s; weir needs a kernel and a container that "
               "let it, or --confine=no",
               strerror(reason));
  return false;
}

bool wr_filter_is_possible(struct wr_error *error)
{
  uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return true;
  return explain(error, errno);
}

bool wr_filter_install(enum wr_filter_role role, struct wr_error *error)
{
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (ctx == NULL) return explain(error, ENOMEM);
  int rc = load(ctx, role);
  seccomp_release(ctx);
  return rc == 0 || explain(error, -rc);
}
