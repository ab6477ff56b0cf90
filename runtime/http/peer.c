#include "http/peer.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V6_OWNER = 8 };

void wr_peer_from_address(struct wr_peer *p, const unsigned char address[16], uint16_t port)
{
  wr_network_text(address, p->text);
  p->port = port;
}

void wr_peer_from_unix(struct wr_peer *p)
{
  *p = (struct wr_peer){.text = "unix"};
}

void wr_peer_from_socket(struct wr_peer *p, const struct sockaddr_storage *address)
{
  if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    wr_peer_from_address(p, v6->sin6_addr.s6_addr, ntohs(v6->sin6_port));
    return;
  }
  if (address->ss_family != AF_INET) {
    wr_peer_from_unix(p);
    return;
  }
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
  inet_ntop(AF_INET, &v4->sin_addr, p->text, sizeof(p->text));
  p->port = ntohs(v4->sin_port);
}

bool wr_peer_owner(const struct wr_peer *p, unsigned char out[16])
{
  struct wr_str text = {p->text, strlen(p->text)};
  if (!wr_network_address(text, out)) return false;
  if (memchr(text.ptr, ':', text.len) != NULL) memset(out + V6_OWNER, 0, 16 - V6_OWNER);
  return true;
}
