#include "base/alloc.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void *wr_alloc(size_t size)
{
  void *ptr = calloc(1, size ? size : 1);
  WR_CHECK(ptr != NULL);
  return ptr;
}

void *wr_realloc(void *ptr, size_t size)
{
  void *fresh = realloc(ptr, size ? size : 1);
  WR_CHECK(fresh != NULL);
  return fresh;
}

char *wr_strndup(const char *text, size_t len)
{
  char *copy = wr_realloc(NULL, len + 1);
  if (len > 0) memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

char *wr_strdup(const char *text)
{
  return wr_strndup(text, strlen(text));
}

void wr_free(void *ptr)
{
  free(ptr);
}
