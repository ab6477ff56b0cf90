#pragma once
/// One short exchange with a server to see whether it takes work: resolve, connect, say hello, read
/// until the answer can be judged (WR_PROBE_ANSWER_MAX bytes at most), leave.
///
/// Never blocks. The addresses of a name are tried in order until one connects. It knows no time:
/// who starts one cancels it when that takes too long. One loop's own.

#include "loop/io.h"
#include "upstream/probe_protocol.h"
#include "upstream/resolver.h"

enum { WR_PROBE_ANSWER_MAX = 1024 };

/// Embed or allocate it; it must stay put until `on_closed`.
struct wr_probe {
  struct wr_loop *loop;             // private
  struct wr_io io;                  // private
  struct wr_resolver_query query;   // private
  struct wr_dns_answer addresses;   // private
  size_t tried;                     // private: of the addresses
  struct wr_str unsent;             // private: of the hello
  uint16_t port;                    // private
  uint8_t type;                     // private: enum wr_health_type
  bool is_over;                     // private: judged or cancelled
  bool is_closing;                  // private: between two addresses
  int fd;                           // private: -1 when there is none
  size_t len;                       // private: of the answer
  char answer[WR_PROBE_ANSWER_MAX]; // private
  /// The judgement, once, never from inside `wr_probe_start`; `error` is NULL when it is good.
  /// Kinds: dns, connect, reset, protocol, refused.
  void (*on_done)(struct wr_probe *p, const struct wr_error *error);
  /// The memory may be given back. After `on_done` or `wr_probe_cancel`, maybe from inside them.
  void (*on_closed)(struct wr_probe *p);
};

/// What is asked, and whom. Borrowed during `wr_probe_start`.
struct wr_probe_target {
  enum wr_health_type type; ///< tcp, redis or postgres
  struct wr_str host;       ///< a name or a numeric address, without brackets
  uint16_t port;
};

/// Begins; `on_done` and `on_closed` must be set.
void wr_probe_start(struct wr_probe *p, struct wr_loop *l, struct wr_resolver *r,
                    const struct wr_probe_target *target);

/// Breaks it off: `on_done` will not run. Nothing happens when it is over.
void wr_probe_cancel(struct wr_probe *p);
