#include "policy/source.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMPILED_FROM = 10 * 1024 }; // bytes of a script, parsed at 25 us per KB

// --- files --------------------------------------------------------------------------------------

static struct wr_source_file *add_file(struct wr_source *s, const char *path, struct wr_str text,
                                       bool is_data)
{
  s->files = wr_realloc(s->files, (s->count + 1) * sizeof(*s->files));
  struct wr_source_file *file = &s->files[s->count++];
  *file = (struct wr_source_file){.path = wr_strdup(path),
                                  .is_data = is_data,
                                  .text = wr_strndup(text.ptr, text.len),
                                  .len = text.len};
  s->bytes += text.len;
  return file;
}

static struct wr_str text_of(const struct wr_source_file *file)
{
  return (struct wr_str){file->text, file->len};
}

// Reads all of a regular file; false with errno set (EFBIG past the limit).
static bool read_file(const char *path, struct wr_buf *out)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat info;
  bool ok = fstat(fd, &info) == 0;
  if (ok && !S_ISREG(info.st_mode)) {
    errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    ok = false;
  }
  while (ok) {
    char *room = wr_buf_reserve(out, 64 * 1024);
    if (room == NULL) {
      errno = EFBIG;
      ok = false;
      break;
    }
    ssize_t got = read(fd, room, 64 * 1024);
    if (got < 0) ok = false;
    if (got <= 0) break;
    wr_buf_grow(out, (size_t)got);
  }
  int kept = errno;
  close(fd);
  errno = kept;
  return ok;
}

static char *join(const char *root, const char *path)
{
  if (path[0] == '/') return wr_strdup(path);
  size_t size = strlen(root) + strlen(path) + 2;
  char *whole = wr_alloc(size);
  snprintf(whole, size, "%s/%s", root, path);
  return whole;
}

// Reads `path` below the root into the bundle; NULL with errno set.
static struct wr_source_file *read_into(struct wr_source *s, const char *path, bool is_data)
{
  struct wr_buf text;
  wr_buf_init(&text, WR_SOURCE_FILE_MAX + 64 * 1024);
  char *whole = join(s->root, path);
  struct wr_source_file *file = NULL;
  bool ok = read_file(whole, &text);
  if (ok && (s->count == WR_SOURCE_FILES_MAX || text.len > WR_SOURCE_FILE_MAX ||
             text.len > WR_SOURCE_BYTES_MAX - s->bytes)) {
    errno = EFBIG;
    ok = false;
  }
  if (ok) file = add_file(s, path, wr_buf_str(&text), is_data);
  int kept = errno;
  wr_free(whole);
  wr_buf_fini(&text);
  errno = kept;
  return file;
}

// The trial reads as the user that weir runs as, and even as root without root's privileges.
static void explain(const char *path, struct wr_error *error)
{
  const char *why = errno == EFBIG ? "a script has at most 4 MiB" : strerror(errno);
  if (errno == EACCES) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "cannot read '%s': %s: uid %u must be allowed to, by the file and its folders",
                 path, why, (unsigned)geteuid());
  } else {
    wr_error_set(error, WR_ERROR_INVALID, "cannot read '%s': %s", path, why);
  }
}

struct wr_source *wr_source_open(const char *path, struct wr_error *error)
{
  char real[PATH_MAX];
  if (realpath(path, real) == NULL) {
    explain(path, error);
    return NULL;
  }
  char *slash = strrchr(real, '/');
  struct wr_source *s = wr_alloc(sizeof(*s));
  s->root = slash == real ? wr_strdup("/") : wr_strndup(real, (size_t)(slash - real));
  s->is_reading = true;
  if (read_into(s, slash + 1, false) != NULL) return s;
  explain(path, error);
  wr_source_free(s);
  return NULL;
}

void wr_source_free(struct wr_source *s)
{
  if (s == NULL) return;
  for (size_t i = 0; i < s->count; i++) {
    // It may be a private key.
    if (s->files[i].is_data) explicit_bzero(s->files[i].text, s->files[i].len);
    wr_free(s->files[i].path);
    wr_free(s->files[i].text);
    wr_free((char *)s->files[i].compiled.ptr);
  }
  wr_free(s->files);
  wr_free(s->root);
  wr_free(s);
}

// --- modules ------------------------------------------------------------------------------------

static struct wr_source_file *known_file(const struct wr_source *s, const char *path, bool is_data)
{
  for (size_t i = 0; i < s->count; i++) {
    struct wr_source_file *file = &s->files[i];
    if (file->is_data == is_data && strcmp(file->path, path) == 0) return file;
  }
  return NULL;
}

static struct wr_source_file *find_path(struct wr_source *s, const char *path, bool is_data)
{
  struct wr_source_file *file = known_file(s, path, is_data);
  if (file != NULL) return file;
  errno = ENOENT;
  return s->is_reading ? read_into(s, path, is_data) : NULL;
}

static struct wr_code code_of(const struct wr_source_file *file)
{
  return (struct wr_code){
      .path = wr_str_of(file->path), .text = text_of(file), .compiled = file->compiled};
}

struct wr_code wr_source_main(const struct wr_source *s)
{
  return code_of(&s->files[0]);
}

bool wr_source_find(void *source, struct wr_str name, struct wr_code *out)
{
  static const char *const endings[] = {".lua", "/init.lua"};
  struct wr_source *s = source;
  for (size_t i = 0; i < WR_COUNT(endings); i++) {
    char wanted[256];
    if (name.len + 16 > sizeof(wanted)) return false;
    snprintf(wanted, sizeof(wanted), "%.*s%s", WR_STR_ARG(name), endings[i]);
    for (size_t at = 0; at < name.len; at++) {
      if (wanted[at] == '.') wanted[at] = '/';
    }
    struct wr_source_file *file = find_path(s, wanted, false);
    if (file == NULL) continue;
    *out = code_of(file);
    return true;
  }
  return false;
}

bool wr_source_data(void *source, const char *path, struct wr_str *text, struct wr_error *error)
{
  struct wr_source_file *file = find_path(source, path, true);
  if (file == NULL) {
    wr_error_set(error, WR_ERROR_INVALID, "cannot read '%s': %s", path,
                 errno == EFBIG ? "a file of a bundle has at most 4 MiB" : strerror(errno));
    return false;
  }
  *text = text_of(file);
  return true;
}

// Only what is too long to be parsed within a slice of a load: LuaJIT's bytecode leaves out the
// room for what a table's constructor adds at run time, so { "fresh", function … } grows each time
// it is run, which takes longer than all else that it does.
static bool is_compiled(const struct wr_source_file *file)
{
  return !file->is_data && file->len > COMPILED_FROM;
}

void wr_source_compile(struct wr_source *s, uint64_t stamp)
{
  size_t room = WR_SOURCE_BYTES_MAX;
  s->stamp = stamp;
  for (size_t i = 0; i < s->count; i++) {
    struct wr_source_file *file = &s->files[i];
    struct wr_code code = {.path = wr_str_of(file->path), .text = text_of(file)};
    struct wr_buf out;
    wr_buf_init(&out, room);
    if (is_compiled(file) && wr_code_compile(&code, &out)) {
      struct wr_str all = wr_buf_str(&out);
      file->compiled = (struct wr_str){wr_strndup(all.ptr, all.len), all.len};
      room -= all.len;
    }
    wr_buf_fini(&out);
  }
}

uint64_t wr_source_hash(const struct wr_source *s)
{
  uint64_t hash = 0;
  for (size_t i = 0; i < s->count; i++) {
    hash = wr_hash_fnv(hash, (struct wr_str){s->files[i].path, strlen(s->files[i].path) + 1});
    hash = wr_hash_fnv(hash, (struct wr_str){s->files[i].text, s->files[i].len + 1});
  }
  return hash;
}

char *wr_source_place(const struct wr_source *s, size_t i)
{
  return join(s->root, s->files[i].path);
}

static bool is_same_file(const struct wr_source *s, const struct wr_source_file *file)
{
  struct wr_buf text;
  wr_buf_init(&text, WR_SOURCE_FILE_MAX + 64 * 1024);
  char *whole = join(s->root, file->path);
  bool same = read_file(whole, &text) && wr_str_eq(wr_buf_str(&text), text_of(file));
  wr_free(whole);
  wr_buf_fini(&text);
  return same;
}

bool wr_source_is_current(const struct wr_source *s)
{
  for (size_t i = 0; i < s->count; i++) {
    if (!is_same_file(s, &s->files[i])) return false;
  }
  return true;
}

// --- across processes ---------------------------------------------------------------------------

// The root, then path, kind and text of each file, each as length and bytes. What a script was
// compiled to is behind it: path, kind, stamp and code.
static bool put(struct wr_buf *out, const char *text, size_t len)
{
  uint64_t size = len;
  return wr_buf_append(out, &size, sizeof(size)) && wr_buf_append(out, text, len);
}

static bool put_compiled(struct wr_buf *out, const struct wr_source *s,
                         const struct wr_source_file *file)
{
  uint64_t size = sizeof(s->stamp) + file->compiled.len;
  return put(out, file->path, strlen(file->path)) && put(out, "c", 1) &&
         wr_buf_append(out, &size, sizeof(size)) &&
         wr_buf_append(out, &s->stamp, sizeof(s->stamp)) && wr_buf_append_str(out, file->compiled);
}

int wr_source_pack(const struct wr_source *s, struct wr_error *error)
{
  struct wr_buf out;
  wr_buf_init(&out, 3 * (size_t)WR_SOURCE_BYTES_MAX);
  bool ok = put(&out, s->root, strlen(s->root));
  for (size_t i = 0; ok && i < s->count; i++) {
    const struct wr_source_file *file = &s->files[i];
    ok = put(&out, file->path, strlen(file->path)) && put(&out, file->is_data ? "d" : "s", 1) &&
         put(&out, file->text, file->len);
    if (ok && file->compiled.len > 0) ok = put_compiled(&out, s, file);
  }
  int fd = ok ? wr_memfd_new("weir-bundle", wr_buf_str(&out)) : -1;
  if (fd < 0) {
    wr_error_set(error, WR_ERROR_INVALID, "cannot pack the bundle: %s",
                 ok ? strerror(errno) : "it is too large");
  }
  wr_buf_fini(&out);
  return fd;
}

static bool take(struct wr_str *from, struct wr_str *out)
{
  uint64_t size = 0;
  if (from->len < sizeof(size)) return false;
  memcpy(&size, from->ptr, sizeof(size));
  from->ptr += sizeof(size);
  from->len -= sizeof(size);
  if (size > from->len) return false;
  *out = (struct wr_str){from->ptr, (size_t)size};
  from->ptr += size;
  from->len -= (size_t)size;
  return true;
}

static void take_compiled(struct wr_source *s, struct wr_str code)
{
  uint64_t stamp = 0;
  if (s->stamp == 0 || s->count == 0 || code.len <= sizeof(stamp)) return;
  memcpy(&stamp, code.ptr, sizeof(stamp));
  if (stamp != s->stamp) return; // LuaJIT would believe it, and may be another one
  size_t len = code.len - sizeof(stamp);
  s->files[s->count - 1].compiled = (struct wr_str){wr_strndup(code.ptr + sizeof(stamp), len), len};
}

static bool unpack_files(struct wr_source *s, struct wr_str from)
{
  struct wr_str root;
  if (!take(&from, &root)) return false;
  s->root = wr_strndup(root.ptr, root.len);
  while (from.len > 0 && s->count <= WR_SOURCE_FILES_MAX) {
    struct wr_str path;
    struct wr_str kind;
    struct wr_str text;
    if (!take(&from, &path) || !take(&from, &kind) || !take(&from, &text)) return false;
    if (wr_str_eq(kind, WR_STR("c"))) {
      take_compiled(s, text);
      continue;
    }
    char *name = wr_strndup(path.ptr, path.len);
    add_file(s, name, text, wr_str_eq(kind, WR_STR("d")));
    wr_free(name);
  }
  return s->count > 0 && from.len == 0;
}

struct wr_source *wr_source_unpack(int fd, uint64_t stamp, struct wr_error *error)
{
  struct wr_source *s = wr_alloc(sizeof(*s));
  s->stamp = stamp;
  struct wr_str packed = wr_memfd_map(fd);
  bool ok = packed.ptr != NULL && unpack_files(s, packed);
  wr_memfd_unmap(packed);
  if (ok) return s;
  wr_error_set(error, WR_ERROR_INVALID, "the packed bundle is damaged");
  wr_source_free(s);
  return NULL;
}

void wr_source_differ(const struct wr_source *a, const struct wr_source *b, struct wr_buf *out)
{
  for (size_t i = 0; i < a->count; i++) {
    const struct wr_source_file *file = &a->files[i];
    const struct wr_source_file *other = known_file(b, file->path, file->is_data);
    if (other != NULL && wr_str_eq(text_of(file), text_of(other))) continue;
    wr_buf_printf(out, "%s\n", file->path);
  }
  for (size_t i = 0; i < b->count; i++) {
    const struct wr_source_file *file = &b->files[i];
    if (known_file(a, file->path, file->is_data) == NULL) wr_buf_printf(out, "%s\n", file->path);
  }
}
