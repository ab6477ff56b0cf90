#include "loop/mailbox.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// A message that the socket did not take yet.
struct letter {
  struct wr_list link;
  struct wr_message head;
  int fd;
  char payload[];
};

int wr_mailbox_pair(int fds[2])
{
  int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
  return rc == 0 ? 0 : -errno;
}

// --- sending ------------------------------------------------------------------------------------

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

static void attach_fd(struct msghdr *message, union control *control, int fd)
{
  memset(control, 0, sizeof(*control));
  message->msg_control = control->bytes;
  message->msg_controllen = sizeof(control->bytes);
  struct cmsghdr *c = CMSG_FIRSTHDR(message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

// 1 sent, 0 not now, -1 never.
static int put(int socket, const struct wr_message *head, const void *payload, int fd)
{
  union control control;
  struct iovec parts[2] = {{(void *)head, sizeof(*head)}, {(void *)payload, head->size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = head->size > 0 ? 2 : 1};
  if (fd >= 0) attach_fd(&message, &control, fd);
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return 1;
  return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

static bool keep(struct wr_mailbox *m, const struct wr_message *head, const void *payload, int fd)
{
  if (m->waiting_count >= WR_MAILBOX_WAITING_MAX) return false;
  struct letter *letter = wr_alloc(sizeof(*letter) + head->size);
  letter->head = *head;
  letter->fd = fd >= 0 ? dup(fd) : -1;
  if (head->size > 0) memcpy(letter->payload, payload, head->size);
  wr_list_push(&m->waiting, &letter->link);
  m->waiting_count++;
  wr_io_want(&m->io, WR_IO_READ | WR_IO_WRITE);
  return true;
}

static void drop_first(struct wr_mailbox *m)
{
  struct letter *letter = WR_CONTAINER(wr_list_pop(&m->waiting), struct letter, link);
  m->waiting_count--;
  if (letter->fd >= 0) close(letter->fd);
  wr_free(letter);
}

bool wr_mailbox_send(struct wr_mailbox *m, const struct wr_message *head, const void *payload,
                     int fd)
{
  WR_CHECK(head->size <= WR_MAILBOX_PAYLOAD_MAX);
  if (!m->is_open) return false;
  int done = m->waiting_count > 0 ? 0 : put(m->io.fd, head, payload, fd);
  if (done == 0) return keep(m, head, payload, fd);
  return done > 0; // the hang-up itself is seen by reading
}

bool wr_mailbox_post(int socket, const struct wr_message *head, const void *payload, int fd)
{
  WR_CHECK(head->size <= WR_MAILBOX_PAYLOAD_MAX);
  int done;
  while ((done = put(socket, head, payload, fd)) == 0) {
    struct pollfd ready = {.fd = socket, .events = POLLOUT};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) return false;
  }
  return done > 0;
}

static void send_waiting(struct wr_mailbox *m)
{
  while (!wr_list_is_empty(&m->waiting)) {
    struct letter *letter = WR_CONTAINER(m->waiting.next, struct letter, link);
    if (put(m->io.fd, &letter->head, letter->payload, letter->fd) == 0) return;
    drop_first(m);
  }
  wr_io_want(&m->io, WR_IO_READ);
}

// --- receiving ----------------------------------------------------------------------------------

static int take_fd(struct msghdr *message)
{
  int fd = -1;
  struct cmsghdr *c = CMSG_FIRSTHDR(message);
  if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
    memcpy(&fd, CMSG_DATA(c), sizeof(int));
  }
  return fd;
}

// False when there is nothing more to read now.
static bool receive(struct wr_mailbox *m)
{
  struct wr_message head;
  union control control;
  struct iovec parts[2] = {{&head, sizeof(head)}, {m->buffer, WR_MAILBOX_PAYLOAD_MAX}};
  struct msghdr message = {.msg_iov = parts,
                           .msg_iovlen = 2,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
  ssize_t got = recvmsg(m->io.fd, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    got = 0;
  }
  int fd = take_fd(&message);
  if (got < (ssize_t)sizeof(head) || (size_t)got - sizeof(head) != head.size) {
    if (fd >= 0) close(fd);
    m->on_hangup(m);
    return false;
  }
  m->on_message(m, &head, m->buffer, fd);
  return m->is_open;
}

static void on_ready(struct wr_io *io, int events)
{
  struct wr_mailbox *m = WR_CONTAINER(io, struct wr_mailbox, io);
  if (events & WR_IO_WRITE) send_waiting(m);
  if (events & (WR_IO_READ | WR_IO_ERROR)) {
    while (receive(m)) continue;
  }
}

int wr_mailbox_open(struct wr_mailbox *m, struct wr_loop *l, int fd, const char *name)
{
  wr_list_init(&m->waiting);
  int rc = wr_io_open(&m->io, l, fd, name, on_ready);
  if (rc != 0) {
    close(fd);
    return rc;
  }
  m->buffer = wr_alloc(WR_MAILBOX_PAYLOAD_MAX);
  m->is_open = true;
  wr_io_want(&m->io, WR_IO_READ);
  return 0;
}

void wr_mailbox_close(struct wr_mailbox *m, void (*on_closed)(struct wr_io *io))
{
  if (!m->is_open) return;
  m->is_open = false;
  while (!wr_list_is_empty(&m->waiting)) drop_first(m);
  wr_free(m->buffer);
  m->buffer = NULL;
  int fd = m->io.fd;
  wr_io_close(&m->io, on_closed);
  close(fd);
}
