#include "observe/otlp_tls.h"

#include "base/buf.h"
#include "base/check.h"
#include "http/tls_certificate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES = 1 << 20 };

// Room for all of it at once: no piece of a key stays behind in memory that was given back.
static bool read_file(const char *path, struct wr_buf *out, struct wr_error *error)
{
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: %s", path, strerror(errno));
    return false;
  }
  setvbuf(file, NULL, _IONBF, 0);
  wr_buf_grow(out, fread(wr_buf_reserve(out, FILE_BYTES), 1, FILE_BYTES, file));
  bool fits = fgetc(file) == EOF;
  bool is_read = fits && !ferror(file);
  fclose(file);
  if (is_read) return true;
  wr_error_set(error, WR_ERROR_INVALID, fits ? "%s: cannot be read" : "%s: longer than 1 MiB",
               path);
  return false;
}

struct wr_client_tls *wr_otlp_tls_read(const struct wr_otlp_tls_files *files,
                                       struct wr_error *error)
{
  const char *const paths[] = {files->ca, files->cert, files->key};
  struct wr_buf texts[WR_COUNT(paths)];
  struct wr_tls_file read[WR_COUNT(paths)] = {{NULL, {NULL, 0}}};
  bool ok = (files->cert == NULL) == (files->key == NULL);
  if (!ok) wr_error_set(error, WR_ERROR_INVALID, "a client's certificate and its key go together");
  for (size_t i = 0; i < WR_COUNT(paths); i++) {
    wr_buf_init(&texts[i], FILE_BYTES);
    if (!ok || paths[i] == NULL) continue;
    ok = read_file(paths[i], &texts[i], error);
    read[i] = (struct wr_tls_file){paths[i], wr_buf_str(&texts[i])};
  }
  const struct wr_client_tls_options o = {.ca = &read[0], .cert = &read[1], .key = &read[2]};
  struct wr_client_tls *tls = ok ? wr_client_tls_new(&o, error) : NULL;
  for (size_t i = 0; i < WR_COUNT(paths); i++) {
    if (texts[i].data) explicit_bzero(texts[i].data, texts[i].start + texts[i].len);
    wr_buf_fini(&texts[i]);
  }
  return tls;
}
