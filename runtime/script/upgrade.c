#include "script/upgrade.h"

static bool is_allowed(const char *list, struct wr_str protocol)
{
  struct wr_str rest = wr_str_of(list);
  while (rest.ptr != NULL) {
    if (wr_str_eq_nocase(wr_str_split(&rest, ','), protocol)) return true;
  }
  return false;
}

// RFC 9110 7.8 lets a client list protocols, and RFC 9112 lets it send a body before the switch. No
// client does, and what comes behind such a request would be read as one thing by us and as another
// by an upstream that is less strict.
static const char *refuse(const struct wr_request *q, const struct wr_headers *headers)
{
  size_t at = 0;
  struct wr_str first = wr_headers_each(headers, WR_STR("Upgrade"), &at);
  if (!wr_headers_is_token(first) || wr_headers_each(headers, WR_STR("Upgrade"), &at).ptr != NULL) {
    return "Upgrade must name one protocol";
  }
  if (!wr_str_eq(q->info->head->method, WR_STR("GET"))) return "Upgrade is for GET only";
  if (q->info->head->framing != WR_FRAMING_NONE) return "Upgrade does not go with a body";
  return NULL;
}

bool wr_upgrade_choose(const struct wr_upstream *u, const struct wr_request *q,
                       struct wr_str *protocol, struct wr_error *error)
{
  const struct wr_head *head = q->info->head;
  struct wr_str asked = wr_headers_value(&head->headers, WR_FIELD_UPGRADE);
  if (u->upgrade == NULL || asked.ptr == NULL || head->minor != 1 || q->is_copy) return true;
  if (!wr_headers_has_token(&head->headers, WR_STR("Connection"), WR_STR("upgrade"))) return true;
  const char *reason = refuse(q, &head->headers);
  if (reason != NULL) {
    wr_error_set(error, WR_ERROR_INVALID, "%s", reason);
    return false;
  }
  if (is_allowed(u->upgrade, asked)) *protocol = asked;
  return true;
}
