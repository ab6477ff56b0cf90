#include "script/library.h"

#include "base/alloc.h"
#include "loop/loop.h"
#include "script/code.h"

struct wr_library {
  struct wr_buf *codes; // beside wr_library_files
  size_t count;
  uint64_t stamp; // not 0
};

static size_t count_files(void)
{
  size_t count = 0;
  while (wr_library_files[count].module != NULL) count++;
  return count;
}

struct wr_library *wr_library_compile(void)
{
  struct wr_library *l = wr_alloc(sizeof(*l));
  l->stamp = wr_loop_entropy() | 1;
  l->count = count_files();
  l->codes = wr_alloc(l->count * sizeof(*l->codes));
  for (size_t i = 0; i < l->count; i++) {
    const struct wr_library_file *f = &wr_library_files[i];
    struct wr_code code = {.path = wr_str_of(f->path), .text = {f->text, f->len}};
    wr_buf_init(&l->codes[i], SIZE_MAX); // we have written it
    // Whoever loads one that does not compile is told why.
    if (!wr_code_compile(&code, &l->codes[i])) wr_buf_clear(&l->codes[i]);
  }
  return l;
}

void wr_library_free(struct wr_library *l)
{
  if (l == NULL) return;
  for (size_t i = 0; i < l->count; i++) wr_buf_fini(&l->codes[i]);
  wr_free(l->codes);
  wr_free(l);
}

uint64_t wr_library_stamp(const struct wr_library *l)
{
  return l ? l->stamp : 0;
}

const struct wr_library_file *wr_library_find(struct wr_str name)
{
  for (const struct wr_library_file *f = wr_library_files; f->module != NULL; f++) {
    if (wr_str_eq(wr_str_of(f->module), name)) return f;
  }
  return NULL;
}

struct wr_str wr_library_code(const struct wr_library *l, const struct wr_library_file *f)
{
  return l ? wr_buf_str(&l->codes[f - wr_library_files]) : (struct wr_str){NULL, 0};
}
