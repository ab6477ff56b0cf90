#include "listeners.h"

#include "base/alloc.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un local;
};

static bool parse_port(struct wr_str text, uint16_t *port)
{
  uint32_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || value > 65535) return false;
    value = value * 10 + (uint32_t)(text.ptr[i] - '0');
  }
  *port = (uint16_t)value;
  return text.len > 0 && value <= 65535;
}

static socklen_t parse_inet(struct wr_str text, union address *out)
{
  const char *colon = memrchr(text.ptr, ':', text.len);
  uint16_t port = 0;
  char host[64] = "";
  if (colon == NULL) return 0;
  size_t len = (size_t)(colon - text.ptr);
  if (!parse_port((struct wr_str){colon + 1, text.len - len - 1}, &port)) return 0;
  bool is_v6 = len > 2 && text.ptr[0] == '[' && text.ptr[len - 1] == ']';
  if (len >= sizeof(host)) return 0;
  memcpy(host, text.ptr + (is_v6 ? 1 : 0), len - (is_v6 ? 2 : 0));
  if (is_v6) {
    out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 ? sizeof(out->v6) : 0;
  }
  out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? sizeof(out->v4) : 0;
}

// A path ("unix:/x" or "/x"): a socket that nobody answers on any more is in the way and goes.
static socklen_t parse_local(struct wr_str path, union address *out)
{
  out->local = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (path.len == 0 || path.len >= sizeof(out->local.sun_path)) return 0;
  memcpy(out->local.sun_path, path.ptr, path.len);
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(probe, &out->any, sizeof(out->local)) != 0 && errno == ECONNREFUSED) {
    unlink(out->local.sun_path);
  }
  close(probe);
  return sizeof(out->local);
}

static socklen_t parse(const char *address, union address *out)
{
  struct wr_str text = wr_str_of(address);
  if (text.len > 5 && strncmp(address, "unix:", 5) == 0) {
    return parse_local((struct wr_str){text.ptr + 5, text.len - 5}, out);
  }
  if (address[0] == '/') return parse_local(text, out);
  return parse_inet(text, out);
}

static bool listen_on(int fd, const union address *address, socklen_t len, bool is_shared)
{
  int yes = 1;
  bool is_local = address->any.sa_family == AF_UNIX;
  if (!is_local && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0) return false;
  if (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) return false;
  if (address->any.sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
  }
  // A local socket is for its owner alone; the mask closes the moment before chmod.
  mode_t mask = is_local ? umask(0177) : 0;
  bool bound = bind(fd, &address->any, len) == 0;
  if (is_local) umask(mask);
  return bound && listen(fd, BACKLOG) == 0;
}

int wr_listener_bind(const char *address, bool is_shared, struct wr_error *error)
{
  union address parsed;
  socklen_t len = parse(address, &parsed);
  if (len == 0) {
    wr_error_set(error, WR_ERROR_INVALID, "'%s' is not an address to listen on", address);
    return -1;
  }
  int fd = socket(parsed.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && listen_on(fd, &parsed, len, is_shared)) return fd;
  wr_error_set(error, WR_ERROR_CONNECT, "cannot listen on %s: %s", address, strerror(errno));
  if (fd >= 0) close(fd);
  return -1;
}

// With SO_REUSEPORT a second weir of the same user could share the port unnoticed: the first socket
// is bound without it, which fails when somebody is there, and only then made one of the group.
static bool is_taken(const char *address, struct wr_error *error)
{
  int probe = wr_listener_bind(address, false, error);
  if (probe >= 0) close(probe);
  return probe < 0;
}

struct wr_listener *wr_listener_open(const char *address, uint32_t count, struct wr_error *error)
{
  if (is_taken(address, error)) return NULL;
  struct wr_listener *l = wr_alloc(sizeof(*l) + count * sizeof(int));
  l->address = wr_strdup(address);
  wr_list_init(&l->link);
  for (; l->count < count; l->count++) {
    l->fds[l->count] = wr_listener_bind(address, true, error);
    if (l->fds[l->count] >= 0) continue;
    wr_listener_close(l);
    return NULL;
  }
  return l;
}

void wr_listener_close(struct wr_listener *l)
{
  for (uint32_t i = 0; i < l->count; i++) close(l->fds[i]);
  wr_list_remove(&l->link);
  wr_free(l->address);
  wr_free(l);
}
