#include "base/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, struct wr_str data)
{
  while (data.len > 0) {
    ssize_t wrote = write(fd, data.ptr, data.len);
    if (wrote <= 0) return false;
    data.ptr += wrote;
    data.len -= (size_t)wrote;
  }
  return true;
}

int wr_memfd_new(const char *name, struct wr_str text)
{
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -1;
  if (write_all(fd, text) && lseek(fd, 0, SEEK_SET) == 0 &&
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) {
    return fd;
  }
  int kept = errno;
  close(fd);
  errno = kept;
  return -1;
}

struct wr_str wr_memfd_map(int fd)
{
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_size <= 0) return (struct wr_str){NULL, 0};
  void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED) return (struct wr_str){NULL, 0};
  return (struct wr_str){map, (size_t)info.st_size};
}

void wr_memfd_unmap(struct wr_str text)
{
  if (text.ptr != NULL) munmap((void *)text.ptr, text.len);
}
