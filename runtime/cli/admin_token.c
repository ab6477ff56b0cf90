#include "cli/admin_token.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

const char *wr_admin_token_file(const char *option)
{
  if (option != NULL) return option;
  const char *variable = getenv("WEIR_ADMIN_TOKEN_FILE");
  return variable != NULL && variable[0] != '\0' ? variable : NULL;
}

static bool is_token(struct wr_str text)
{
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] <= ' ' || text.ptr[i] > '~') return false;
  }
  return text.len >= WR_ADMIN_TOKEN_MIN && text.len <= WR_ADMIN_TOKEN_MAX;
}

bool wr_admin_token_read(const char *path, char out[WR_ADMIN_TOKEN_MAX + 1], struct wr_error *error)
{
  char line[WR_ADMIN_TOKEN_MAX + 64] = "";
  struct stat facts;
  FILE *file = fopen(path, "re");
  if (file == NULL || fstat(fileno(file), &facts) != 0) {
    wr_error_set(error, WR_ERROR_INVALID, "the token's file %s: %s", path, strerror(errno));
    if (file) fclose(file);
    return false;
  }
  size_t len = fread(line, 1, sizeof(line) - 1, file);
  fclose(file);
  struct wr_str rest = {line, len};
  struct wr_str token = wr_str_split(&rest, '\n');
  if (token.len > 0 && token.ptr[token.len - 1] == '\r') token.len--;
  token = wr_str_trim(token);
  if (S_ISREG(facts.st_mode) && (facts.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    wr_error_set(error, WR_ERROR_INVALID, "others may read the token's file %s: chmod 600 it",
                 path);
  } else if (!is_token(token)) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "the first line of %s is no token: %d to %d visible characters, as of "
                 "'openssl rand -hex 32'",
                 path, WR_ADMIN_TOKEN_MIN, WR_ADMIN_TOKEN_MAX);
  } else {
    memcpy(out, token.ptr, token.len);
    out[token.len] = '\0';
    return true;
  }
  return false;
}
