#include "admin/audit.h"

#include "admin/page.h"
#include "http/server.h"

#include <stdio.h>
#include <sys/socket.h>

void wr_audit_name(struct wr_exchange *x, bool is_tcp, char out[WR_AUDIT_WHO])
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct ucred peer;
  socklen_t len = sizeof(peer);
  if (is_tcp) {
    snprintf(out, WR_AUDIT_WHO, "%.*s:%u", WR_STR_ARG(info->client), (unsigned)info->client_port);
  } else if (getsockopt(wr_server_descriptor(x), SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
    snprintf(out, WR_AUDIT_WHO, "uid %u, pid %d", (unsigned)peer.uid, (int)peer.pid);
  } else {
    snprintf(out, WR_AUDIT_WHO, "unknown");
  }
}

void wr_audit_write(struct wr_log *log, struct wr_exchange *x, bool is_tcp)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_str name = wr_page_query(info, WR_STR("name"));
  int status = wr_exchange_stats(x)->status;
  char who[WR_AUDIT_WHO];
  // What was done to a named primitive departs from what the policy says: that stands out.
  bool is_override = name.ptr && status == 200;
  struct wr_json *j = wr_log_begin(log, is_override ? WR_LOG_WARN : WR_LOG_INFO, "admin.action");
  if (j == NULL) return;
  wr_audit_name(x, is_tcp, who);
  wr_json_field_str(j, "action", info->path);
  if (name.ptr) {
    struct wr_str value = wr_page_query(info, WR_STR("value"));
    wr_json_field_str(j, "name", name);
    if (value.ptr) wr_json_field_str(j, "value", value);
  } else if (info->head->query.ptr) {
    wr_json_field_str(j, "query", info->head->query);
  }
  wr_json_field_cstr(j, "by", who);
  wr_json_field_uint(j, "status", (uint64_t)status);
  wr_json_field_cstr(j, "result", status == 200 ? "done" : status == 0 ? "left" : "refused");
  wr_log_end(log);
}
