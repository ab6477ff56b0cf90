#pragma once
/// The PROXY protocol, versions 1 and 2: what a proxy says of its client before the client's first
/// byte (HAProxy's doc/proxy-protocol.txt, sections 2.1 and 2.2). Read from those in front, written
/// for those behind.
///
/// Strict: what the document does not name is refused, for whoever is misread here is somebody
/// else. Extensions (TLVs) are checked for their bounds and skipped. Pure.

#include "base/network.h"

enum {
  /// A header may be as long as this; one of version 1 has 107 bytes at most.
  WR_PROXY_PROTOCOL_MAX = 4096,
  WR_PROXY_PROTOCOL_LINE = 107,
  WR_PROXY_PROTOCOL_WRITTEN = 232, ///< the longest that is written
  WR_PROXY_PROTOCOL_PATH = 108,    ///< bytes of a Unix socket's path
};

enum wr_proxy_protocol_status {
  WR_PROXY_PROTOCOL_MORE, ///< all that came is header, and more of it has to come
  WR_PROXY_PROTOCOL_DONE,
  WR_PROXY_PROTOCOL_BAD,
};

struct wr_proxy_protocol {
  bool has_client; ///< false (LOCAL, UNKNOWN): the client is the peer itself
  bool is_unix;    ///< the client came over a Unix socket, and has no address
  unsigned char address[16];
  uint16_t port;
  unsigned char to[16]; ///< where it connected to
  uint16_t to_port;
  char to_path[WR_PROXY_PROTOCOL_PATH]; ///< the same with is_unix; zeros behind its end, if any
  size_t used;                          ///< bytes of the header, when read
  const char *reason;                   ///< constant text, when bad
};

/// Reads the header at the start of `bytes`, which may go on beyond it.
enum wr_proxy_protocol_status wr_proxy_protocol_read(struct wr_str bytes,
                                                     struct wr_proxy_protocol *out);

/// Writes a header of version 1 or 2; returns its length. Version 1 has no words for Unix sockets:
/// UNKNOWN stands for them. Addresses of both families are written as IPv6.
size_t wr_proxy_protocol_write(int version, const struct wr_proxy_protocol *from,
                               char out[WR_PROXY_PROTOCOL_WRITTEN]);
