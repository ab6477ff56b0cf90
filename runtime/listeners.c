#include "listeners.h"

#include "base/alloc.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

// Addresses

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

// The path of a Unix socket, or NULL.
static const char *path_of(const char *address)
{
  if (strncmp(address, "unix:", 5) == 0) return address + 5;
  return address[0] == '/' ? address : NULL;
}

static socklen_t parse(const char *address, union address *out)
{
  const char *path = path_of(address);
  if (path == NULL) return parse_inet(wr_str_of(address), out);
  size_t len = strlen(path);
  out->local = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (len == 0 || len >= sizeof(out->local.sun_path)) return 0;
  memcpy(out->local.sun_path, path, len);
  return sizeof(out->local);
}

// Sockets

// The socket of a weir that was killed lies in the way: it goes, if it is a socket and nobody
// answers.
static void remove_stale(const union address *address, socklen_t len)
{
  struct stat file;
  const char *path = address->local.sun_path;
  if (lstat(path, &file) != 0 || !S_ISSOCK(file.st_mode)) return;
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  // A full queue (EAGAIN) is somebody's.
  if (connect(probe, &address->any, len) != 0 && errno == ECONNREFUSED) unlink(path);
  close(probe);
}

// Nobody may connect before the file has its mode: the mask takes all, and chmod gives.
static bool bind_local(int fd, const union address *address, socklen_t len, uint32_t mode)
{
  remove_stale(address, len);
  mode_t mask = umask(0777);
  bool ok = bind(fd, &address->any, len) == 0;
  umask(mask);
  return ok && chmod(address->local.sun_path, mode) == 0;
}

static bool bind_inet(int fd, const union address *address, socklen_t len, bool is_shared)
{
  int yes = 1;
  int no = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0) return false;
  if (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) return false;
  if (address->any.sa_family == AF_INET6) {
    // "[::]" is for everybody, whatever the machine's default is (ipv6(7), bindv6only).
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  return bind(fd, &address->any, len) == 0;
}

// What is to be done about a "Permission denied".
static const char *hint_of(const union address *address)
{
  if (address->any.sa_family == AF_UNIX) return ": weir's user must be able to write to its folder";
  return ": a port below 1024 takes a start as root with --user, or CAP_NET_BIND_SERVICE";
}

static int open_socket(const char *address, bool is_shared, uint32_t mode, struct wr_error *error)
{
  union address parsed;
  socklen_t len = parse(address, &parsed);
  if (len == 0) {
    wr_error_set(error, WR_ERROR_INVALID, "'%s' is not an address to listen on", address);
    return -1;
  }
  int fd = socket(parsed.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool ok = fd >= 0 && (parsed.any.sa_family == AF_UNIX ? bind_local(fd, &parsed, len, mode)
                                                        : bind_inet(fd, &parsed, len, is_shared));
  if (ok && listen(fd, BACKLOG) == 0) return fd;
  wr_error_set(error, WR_ERROR_CONNECT, "cannot listen on %s: %s%s", address, strerror(errno),
               errno == EACCES ? hint_of(&parsed) : "");
  if (fd >= 0) close(fd);
  return -1;
}

// With SO_REUSEPORT a second weir of the same user could share the port unnoticed: the first socket
// is bound without it, which fails when somebody is there, and only then made one of the group.
static bool is_taken(const char *address, struct wr_error *error)
{
  int probe = open_socket(address, false, 0, error);
  if (probe >= 0) close(probe);
  return probe < 0;
}

static bool open_inet(struct wr_listener *l, uint32_t count, struct wr_error *error)
{
  if (is_taken(l->address, error)) return false;
  for (; l->count < count; l->count++) {
    l->fds[l->count] = open_socket(l->address, true, 0, error);
    if (l->fds[l->count] < 0) return false;
  }
  return true;
}

static bool open_local(struct wr_listener *l, uint32_t count, struct wr_error *error)
{
  struct stat file;
  l->fds[0] = open_socket(l->address, false, l->mode, error);
  if (l->fds[0] < 0) return false;
  l->count = 1;
  if (stat(path_of(l->address), &file) == 0) {
    l->file[0] = file.st_dev;
    l->file[1] = file.st_ino;
  }
  for (; l->count < count; l->count++) {
    l->fds[l->count] = fcntl(l->fds[0], F_DUPFD_CLOEXEC, 0);
    if (l->fds[l->count] >= 0) continue;
    wr_error_set(error, WR_ERROR_CONNECT, "cannot listen on %s: %s", l->address, strerror(errno));
    return false;
  }
  return true;
}

// Listeners

struct wr_listener *wr_listener_open(const char *address, uint32_t count, uint32_t mode,
                                     struct wr_error *error)
{
  struct wr_listener *l = wr_alloc(sizeof(*l) + count * sizeof(int));
  l->address = wr_strdup(address);
  l->mode = mode;
  wr_list_init(&l->link);
  if (path_of(address) ? open_local(l, count, error) : open_inet(l, count, error)) return l;
  wr_listener_close(l);
  return NULL;
}

struct wr_listener *wr_listener_adopt(const char *address, uint32_t count)
{
  struct wr_listener *l = wr_alloc(sizeof(*l) + count * sizeof(int));
  l->address = wr_strdup(address);
  l->count = count;
  wr_list_init(&l->link);
  for (uint32_t i = 0; i < count; i++) l->fds[i] = -1;
  return l;
}

int wr_listener_take(struct wr_listener *l, uint32_t slot)
{
  int fd = l->fds[slot];
  l->fds[slot] = -1;
  return fd;
}

static bool is_file_ours(const struct wr_listener *l)
{
  struct stat file;
  const char *path = path_of(l->address);
  return path != NULL && l->count > 0 && lstat(path, &file) == 0 && file.st_dev == l->file[0] &&
         file.st_ino == l->file[1];
}

void wr_listener_keep_mode(const struct wr_listener *l)
{
  if (is_file_ours(l)) chmod(path_of(l->address), l->mode);
}

void wr_listener_close(struct wr_listener *l)
{
  if (is_file_ours(l)) unlink(path_of(l->address));
  for (uint32_t i = 0; i < l->count; i++) {
    if (l->fds[i] >= 0) close(l->fds[i]);
  }
  wr_list_remove(&l->link);
  wr_free(l->address);
  wr_free(l);
}
