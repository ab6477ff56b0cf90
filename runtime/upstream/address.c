#include "upstream/address.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

void wr_address_of(struct wr_address *a, const struct wr_dns_address *from, uint16_t port)
{
  *a = (struct wr_address){.len = sizeof(struct sockaddr_in)};
  if (from->is_ipv6) {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->addr;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    WR_CHECK(inet_pton(AF_INET6, from->text, &v6->sin6_addr) == 1);
    a->len = sizeof(*v6);
  } else {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->addr;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    WR_CHECK(inet_pton(AF_INET, from->text, &v4->sin_addr) == 1);
  }
  snprintf(a->text, sizeof(a->text), from->is_ipv6 ? "[%.45s]:%u" : "%.45s:%u", from->text,
           (unsigned)port);
}

void wr_address_of_path(struct wr_address *a, struct wr_str path)
{
  struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
  _Static_assert(WR_TRANSFER_PATH_MAX + 1 == sizeof(un->sun_path), "unix(7)");
  WR_CHECK(path.len <= WR_TRANSFER_PATH_MAX);
  *a = (struct wr_address){.len = sizeof(*un)};
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path.ptr, path.len);
  snprintf(a->text, sizeof(a->text), "unix:%.*s", WR_STR_ARG(path));
}

int wr_address_connect(const struct wr_address *a)
{
  int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1;
  if (a->addr.ss_family != AF_UNIX) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (connect(fd, (const struct sockaddr *)&a->addr, a->len) == 0 || errno == EINPROGRESS) {
    return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}
