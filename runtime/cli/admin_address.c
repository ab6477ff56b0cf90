#include "cli/admin_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_FOLDER "/run/weir"

static bool is_set(const char *text)
{
  return text != NULL && text[0] != '\0';
}

const char *wr_admin_address_default(const char *option, char out[WR_ADMIN_ADDRESS_MAX])
{
  if (option != NULL) return option;
  const char *variable = getenv("WEIR_ADMIN");
  if (is_set(variable)) return variable;
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  if (access(SYSTEM_FOLDER, W_OK) == 0) {
    snprintf(out, WR_ADMIN_ADDRESS_MAX, SYSTEM_FOLDER "/admin.sock");
  } else if (is_set(runtime)) {
    snprintf(out, WR_ADMIN_ADDRESS_MAX, "%s/weir.sock", runtime);
  } else {
    snprintf(out, WR_ADMIN_ADDRESS_MAX, "/tmp/weir-%u.sock", (unsigned)getuid());
  }
  return out;
}

static bool parse_path(struct wr_admin_address *a, const char *path, const char **reason)
{
  size_t len = strlen(path);
  if (len == 0) {
    *reason = "the path of the socket is missing";
  } else if (len >= sizeof(a->path)) {
    *reason = "the path of a socket has at most 107 bytes";
  } else {
    memcpy(a->path, path, len + 1);
    return true;
  }
  return false;
}

static bool parse_port(const char *text, uint16_t *out)
{
  uint32_t port = 0;
  size_t len = strlen(text);
  if (len == 0 || len > 5) return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    port = port * 10 + (uint32_t)(text[i] - '0');
  }
  *out = (uint16_t)port;
  return port > 0 && port <= UINT16_MAX;
}

bool wr_admin_address_parse(struct wr_admin_address *a, const char *text, const char **reason)
{
  *a = (struct wr_admin_address){.port = 0};
  if (strncmp(text, "unix:", 5) == 0) return parse_path(a, text + 5, reason);
  if (text[0] == '/') return parse_path(a, text, reason);
  const char *colon = strrchr(text, ':');
  if (colon == NULL || !parse_port(colon + 1, &a->port)) {
    *reason = "an address is a path that starts with '/', or HOST:PORT";
    return false;
  }
  bool has_brackets = text[0] == '[' && colon[-1] == ']';
  const char *host = text + has_brackets;
  size_t len = (size_t)(colon - host) - has_brackets;
  bool is_bare = memchr(host, ':', len) == NULL && strpbrk(text, "[]/") == NULL;
  if (len == 0 || len >= sizeof(a->host) || !(has_brackets || is_bare)) {
    *reason = "the host of an address is a name, an IPv4 address or [an IPv6 address]";
    return false;
  }
  memcpy(a->host, host, len);
  return true;
}
