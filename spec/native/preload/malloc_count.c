// Counts what each process takes from the heap: preload it (LD_PRELOAD) with WEIR_MALLOC_COUNT
// naming a folder, and read the number of calls of malloc, calloc, realloc and the aligned ones as
// a native uint64_t from the file FOLDER/PID, which is the process's own memory.
// spec/support/heap.lua does that. Frees are not counted: what was not taken need not be given
// back.

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// glibc's own, below the names that are interposed.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t nowhere; // before the file is there
static _Atomic uint64_t *calls = &nowhere;

static void note(void)
{
  atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
  note();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
  note();
  return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
  note();
  return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
  note();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
  note();
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : -1;
}

// Every process has a file of its own; a fork's child still shares its parent's here.
static void open_file(void)
{
  const char *folder = getenv("WEIR_MALLOC_COUNT");
  char path[4096];
  calls = &nowhere;
  if (folder == NULL) return;
  snprintf(path, sizeof(path), "%s/%d", folder, (int)getpid());
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(*calls)) != 0) abort();
  void *at = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) abort();
  close(fd);
  calls = at;
}

__attribute__((constructor)) static void begin(void)
{
  open_file();
  pthread_atfork(NULL, NULL, open_file);
}
