#include "trial.h"

#include "base/alloc.h"
#include "base/check.h"
#include "fleet.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_report(struct wr_mailbox *mailbox, const struct wr_message *head,
                      const void *payload, int fd)
{
  struct wr_trial *t = WR_CONTAINER(mailbox, struct wr_trial, mailbox);
  if (t->has_report || head->size != sizeof(t->report)) {
    if (fd >= 0) close(fd);
    return;
  }
  wr_candidate_read(&t->report, payload);
  if (fd < 0) t->report.ok = false;
  t->has_report = true;
  t->result = fd;
}

// The report is read; what follows waits for the process to be gone.
static void on_hangup(struct wr_mailbox *mailbox)
{
  wr_io_want(&mailbox->io, 0);
}

static void on_late(struct wr_timer *timer)
{
  kill(WR_CONTAINER(timer, struct wr_trial, timer)->pid, SIGKILL);
}

static void on_closed(struct wr_io *io)
{
  struct wr_mailbox *mailbox = WR_CONTAINER(io, struct wr_mailbox, io);
  wr_free(WR_CONTAINER(mailbox, struct wr_trial, mailbox));
}

static void describe_death(struct wr_candidate_report *report, int status)
{
  char text[128];
  bool late = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
  if (late) {
    snprintf(text, sizeof(text), "the scripts did not finish loading in time");
  } else if (WIFSIGNALED(status)) {
    snprintf(text, sizeof(text), "loading the scripts crashed the trial process: %s",
             strsignal(WTERMSIG(status)));
  } else {
    snprintf(text, sizeof(text), "the trial process ended with %d and said nothing",
             WEXITSTATUS(status));
  }
  snprintf(report->stage, sizeof(report->stage), "%s", late ? "time" : "crash");
  wr_call_error_set(&report->error, "", 0, "%s", text);
}

static struct wr_trial *find(struct wr_master *m, pid_t pid)
{
  WR_LIST_EACH(&m->trials, node) {
    struct wr_trial *t = WR_CONTAINER(node, struct wr_trial, link);
    if (t->pid == pid) return t;
  }
  return NULL;
}

void wr_trial_on_exit(struct wr_master *m, pid_t pid, int status)
{
  struct wr_trial *t = find(m, pid);
  if (t == NULL) return;
  wr_list_remove(&t->link);
  wr_timer_stop(&t->timer);
  // The process is gone, but its message may still lie in the socket.
  t->mailbox.io.on_ready(&t->mailbox.io, WR_IO_READ);
  if (!t->has_report) describe_death(&t->report, status);
  if (!m->is_draining) t->on_done(t);
  if (t->result >= 0) close(t->result);
  wr_mailbox_close(&t->mailbox, on_closed);
}

static void free_sources(const struct wr_candidate_task *task)
{
  wr_source_free(task->subject);
  wr_source_free(task->base);
}

// Forks; the parent gets the process id and its end of the mailbox in `*fd`.
static pid_t fork_candidate(struct wr_master *m, const struct wr_candidate_task *task, int *fd)
{
  int pair[2];
  if (wr_mailbox_pair(pair) != 0) return -1;
  pid_t pid = wr_fleet_fork_process(m, pair);
  if (pid == 0) _exit(wr_candidate_run(&m->arena, m->settings, task, pair[1]));
  close(pair[1]);
  if (pid < 0) close(pair[0]);
  *fd = pair[0];
  return pid;
}

struct wr_trial *wr_trial_start(struct wr_master *m, const struct wr_candidate_task *task,
                                void (*on_done)(struct wr_trial *t))
{
  int fd = -1;
  pid_t pid = fork_candidate(m, task, &fd);
  free_sources(task);
  if (pid < 0) return NULL;
  struct wr_trial *t = wr_alloc(sizeof(*t));
  t->master = m;
  t->pid = pid;
  t->result = -1;
  t->on_done = on_done;
  t->mailbox.on_message = on_report;
  t->mailbox.on_hangup = on_hangup;
  WR_CHECK(wr_mailbox_open(&t->mailbox, &m->loop, fd, "candidate") == 0);
  wr_timer_init(&t->timer, &m->loop, on_late);
  wr_timer_start(&t->timer, WR_CANDIDATE_TIME_NS);
  wr_list_push(&m->trials, &t->link);
  return t;
}

void wr_trial_kill_all(struct wr_master *m)
{
  WR_LIST_EACH(&m->trials, node) {
    kill(WR_CONTAINER(node, struct wr_trial, link)->pid, SIGKILL);
  }
}
