#include "store/state_file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

static bool fail(struct wr_error *error, const char *what)
{
  wr_error_set(error, WR_ERROR_INVALID, "%s: %s", what, strerror(errno));
  return false;
}

// --- reading ------------------------------------------------------------------------------------

static bool read_all(int fd, struct wr_buf *out, struct wr_error *error)
{
  char *chunk = wr_alloc(CHUNK);
  ssize_t got;
  bool fits = true;
  while (fits && (got = read(fd, chunk, CHUNK)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    fits = wr_buf_append(out, chunk, (size_t)got);
  }
  wr_free(chunk);
  if (!fits) wr_error_set(error, WR_ERROR_TOO_LARGE, "it is too large");
  return fits && (got == 0 || fail(error, "cannot read it"));
}

bool wr_state_file_read(const char *path, struct wr_buf *out, struct wr_error *error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT || fail(error, "cannot open it");
  bool ok = read_all(fd, out, error);
  close(fd);
  return ok;
}

// --- writing ------------------------------------------------------------------------------------

static bool write_all(int fd, struct wr_str text)
{
  while (text.len > 0) {
    ssize_t sent = write(fd, text.ptr, text.len);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    text.ptr += sent;
    text.len -= (size_t)sent;
  }
  return true;
}

// The new name must be on the disk, too.
static void sync_folder(const char *path)
{
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  int len = slash ? (int)(slash - path) + 1 : 0;
  snprintf(folder, sizeof(folder), "%.*s", len, path);
  int fd = open(len > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool wr_state_file_write(const char *path, struct wr_str text, struct wr_error *error)
{
  char beside[PATH_MAX];
  if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
    errno = ENAMETOOLONG;
    return fail(error, "cannot write it");
  }
  int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail(error, "cannot write beside it");
  bool ok = write_all(fd, text) && fsync(fd) == 0;
  ok = close(fd) == 0 && ok && rename(beside, path) == 0;
  if (!ok) {
    fail(error, "cannot write it");
    unlink(beside);
    return false;
  }
  sync_folder(path);
  return true;
}
