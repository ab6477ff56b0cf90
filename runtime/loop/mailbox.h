#pragma once
/// Typed messages between two processes (or a helper thread and a loop), with descriptors along.
///
/// One end of a SOCK_SEQPACKET socket pair: messages arrive whole, in order, at most
/// `WR_MAILBOX_PAYLOAD_MAX` bytes each. Sending never blocks: what the other side does not take now
/// waits here, bounded; past the bound the other side counts as dead. One loop's own.

#include "loop/io.h"

enum {
  WR_MAILBOX_PAYLOAD_MAX = 24 * 1024,
  WR_MAILBOX_WAITING_MAX = 1024, ///< messages
};

struct wr_message {
  uint32_t type;
  uint32_t size;   ///< of the payload
  uint64_t number; ///< the sender's: a generation, mostly
};

struct wr_mailbox {
  struct wr_io io;        // private
  struct wr_list waiting; // private
  size_t waiting_count;   // private
  bool is_open;           ///< read-only
  char *buffer;           // private
  /// A message; `fd` is -1, or a descriptor that is the receiver's now.
  void (*on_message)(struct wr_mailbox *m, const struct wr_message *head, const void *payload,
                     int fd);
  /// The other side is gone, or does not read. Once; the mailbox is to be closed.
  void (*on_hangup)(struct wr_mailbox *m);
};

/// Two connected, non-blocking, close-on-exec descriptors. 0, or a negative errno.
int wr_mailbox_pair(int fds[2]);

/// Opens on one of them, which the mailbox owns from now on. Set the callbacks before. 0, or a
/// negative libuv error; the descriptor is closed then.
int wr_mailbox_open(struct wr_mailbox *m, struct wr_loop *l, int fd, const char *name);

/// Sends; `fd` (-1: none) is duplicated on the way and stays the caller's. Never blocks. False when
/// the mailbox is closed or the other side has stopped reading (`on_hangup` follows).
bool wr_mailbox_send(struct wr_mailbox *m, const struct wr_message *head, const void *payload,
                     int fd);

/// Sends on a bare end of a pair, without a loop; for a process that has one message to give.
/// Blocks while the other side's buffer is full. False when it never will go.
bool wr_mailbox_post(int socket, const struct wr_message *head, const void *payload, int fd);

/// Closes the descriptor; the memory may go in `on_closed` (may be NULL).
void wr_mailbox_close(struct wr_mailbox *m, void (*on_closed)(struct wr_io *io));
