#include "http/ends.h"

#include "base/alloc.h"
#include "http/connection.h"

#include <netinet/in.h>
#include <sys/un.h>

void wr_ends_tell(struct wr_connection *c, const struct wr_proxy_protocol *told)
{
  if (told == NULL || !told->has_client) return;
  c->ends = wr_alloc(sizeof(*c->ends));
  *c->ends = *told;
}

static void take_v4(const struct sockaddr_in *from, struct wr_proxy_protocol *out)
{
  memset(out->to + 10, 0xff, 2);
  memcpy(out->to + 12, &from->sin_addr, 4);
  out->to_port = ntohs(from->sin_port);
}

static void take_v6(const struct sockaddr_in6 *from, struct wr_proxy_protocol *out)
{
  memcpy(out->to, &from->sin6_addr, 16);
  out->to_port = ntohs(from->sin6_port);
}

static void take_unix(const struct sockaddr_un *from, socklen_t len, struct wr_proxy_protocol *out)
{
  _Static_assert(sizeof(from->sun_path) == WR_PROXY_PROTOCOL_PATH, "unix(7)");
  out->is_unix = true;
  memcpy(out->to_path, from->sun_path, len - offsetof(struct sockaddr_un, sun_path));
}

static struct wr_proxy_protocol *ask_socket(const struct wr_connection *c)
{
  struct wr_proxy_protocol *ends = wr_alloc(sizeof(*ends));
  struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
  socklen_t len = sizeof(address);
  // After the socket has closed nobody can say any more: then there is no client.
  if (getsockname(c->io.fd, (struct sockaddr *)&address, &len) != 0) return ends;
  ends->has_client = true;
  ends->port = c->peer.port;
  switch (address.ss_family) {
  case AF_INET: take_v4((struct sockaddr_in *)&address, ends); break;
  case AF_INET6: take_v6((struct sockaddr_in6 *)&address, ends); break;
  default: take_unix((struct sockaddr_un *)&address, len, ends); return ends;
  }
  ends->has_client = wr_network_address(wr_str_of(c->peer.text), ends->address);
  return ends;
}

const struct wr_proxy_protocol *wr_ends_of(struct wr_connection *c)
{
  if (c->ends == NULL) c->ends = ask_socket(c);
  return c->ends;
}
