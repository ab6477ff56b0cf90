#pragma once
/// libcurl's multi handle on the loop: its sockets on `wr_io`, its clock on one `wr_timer`, nothing
/// else.
///
/// It also knows the sockets behind pooled connections, because libcurl 7.88 does not look at what
/// an idle connection has received: a connection with bytes or an end waiting must not be used
/// again. One loop's own; private to transport_curl.c and its parts.

#include "loop/loop.h"
#include "loop/timer.h"

#include <curl/curl.h>

struct wr_curl_socket {
  uint32_t ports; // local << 16 | remote; 0: closed or not connected yet
  bool is_h2;
};

struct wr_curl_multi {
  CURLM *curl;
  struct wr_loop *loop;
  struct wr_timer timer;
  struct wr_curl_socket *sockets; // private: by descriptor
  size_t sockets_cap;
  size_t open;    // read-only: sockets
  size_t watched; // private: watches whose close callback is still due
  bool is_closing;
  void (*on_done)(CURL *easy, CURLcode result); // set by the owner; never inside a curl callback
  void (*on_closed)(struct wr_curl_multi *m);
};

/// Connections per endpoint (0: no limit) and in all.
void wr_curl_multi_init(struct wr_curl_multi *m, struct wr_loop *l, long endpoint_connections_max,
                        long connections_max);

/// All easy handles must be out. Closes pooled connections; `on_closed` when the loop has let go.
void wr_curl_multi_close(struct wr_curl_multi *m, void (*on_closed)(struct wr_curl_multi *m));

/// Puts the socket callbacks on an easy handle; `on_open` tells each new descriptor.
void wr_curl_multi_attach(struct wr_curl_multi *m, CURL *easy, curl_opensocket_callback on_open,
                          void *ctx);

/// Opens a socket for `on_open`, closed on exec. -1 (CURL_SOCKET_BAD) when the system refuses.
curl_socket_t wr_curl_multi_open(struct wr_curl_multi *m, const struct curl_sockaddr *address);

/// Remembers the ports by which `fd` will be found again.
void wr_curl_multi_connected(struct wr_curl_multi *m, curl_socket_t fd, int local_port,
                             int remote_port);

/// The connection of `fd` speaks HTTP/2: data between two requests is normal.
void wr_curl_multi_is_h2(struct wr_curl_multi *m, curl_socket_t fd);

/// Is there something to read on the idle connection of these ports, so that it cannot be trusted?
bool wr_curl_multi_is_spent(const struct wr_curl_multi *m, int local_port, int remote_port);
