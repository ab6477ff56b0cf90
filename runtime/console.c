#include "console.h"

#include "base/alloc.h"
#include "demand.h"
#include "exports.h"
#include "fleet.h"
#include "generations.h"
#include "inspect.h"
#include "observe/explain.h"
#include "observe/openmetrics.h"
#include "probation.h"
#include "script/health_page.h"
#include "status.h"
#include "upgrade.h"

#include <fcntl.h>
#include <string.h>

static bool has_generation(struct wr_master *m)
{
  if (m->is_draining || m->live == 0) return false;
  uint32_t at = 0;
  for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) {
    if (w->live != 0) return true;
  }
  return false;
}

static bool is_ready(void *ctx)
{
  struct wr_master *m = ctx;
  return has_generation(m) &&
         wr_health_page_status(&m->registry, wr_loop_now(&m->loop)) != WR_HEALTH_FAIL;
}

static bool write_health(void *ctx, struct wr_json *j)
{
  struct wr_master *m = ctx;
  uint64_t now = wr_loop_now(&m->loop);
  return wr_health_page_write(&m->registry, now, wr_loop_wall(), j) != WR_HEALTH_FAIL;
}

static bool write_metrics(void *ctx, bool is_openmetrics, struct wr_buf *out)
{
  struct wr_master *m = ctx;
  struct wr_buf page;
  wr_buf_init(&page, out->max);
  bool ok = wr_exports_page(m, is_openmetrics, &page);
  if (ok && is_openmetrics) {
    ok = wr_openmetrics_write(wr_buf_str(&page), out);
  } else if (ok) {
    ok = wr_buf_append_str(out, wr_buf_str(&page));
  }
  wr_buf_fini(&page);
  return ok;
}

static void write_status(void *ctx, struct wr_json *j)
{
  struct wr_master *m = ctx;
  wr_status_write(m, is_ready(m), j);
}

static void on_reload(void *ctx, struct wr_admin_waiter *waiter,
                      const struct wr_admin_reload *asked)
{
  struct wr_demand_options options = {asked->is_forced,
                                      {asked->canary, asked->is_shadow, asked->for_ns}};
  wr_demand_load(ctx, waiter, &options);
}

static void on_rollback(void *ctx, struct wr_admin_waiter *waiter)
{
  wr_demand_abort(ctx, waiter);
}

static void on_upgrade(void *ctx, struct wr_admin_waiter *waiter)
{
  wr_upgrade_request(ctx, waiter);
}

static bool on_promote(void *ctx, struct wr_admin_waiter *waiter)
{
  return wr_probation_promote(ctx, waiter);
}

static void on_use(void *ctx, struct wr_admin_waiter *waiter, uint64_t number, bool force)
{
  wr_demand_use(ctx, waiter, number, force);
}

static void on_show(void *ctx, struct wr_admin_waiter *waiter, uint64_t subject)
{
  wr_inspect_show(ctx, waiter, subject);
}

static void on_compare(void *ctx, struct wr_admin_waiter *waiter, uint64_t base, uint64_t subject)
{
  wr_inspect_compare(ctx, waiter, base, subject);
}

static void write_generations(void *ctx, struct wr_json *j)
{
  wr_generations_write(ctx, j);
}

static void write_requests(void *ctx, bool failed_only, size_t count, struct wr_json *j)
{
  struct wr_master *m = ctx;
  wr_explain_list(&m->arena, failed_only, count, j);
}

static bool write_request(void *ctx, struct wr_str id, struct wr_json *j)
{
  struct wr_master *m = ctx;
  return wr_explain_show(&m->arena, id, j);
}

bool wr_console_open(struct wr_master *m, struct wr_error *error)
{
  const char *address = m->settings->admin;
  bool is_tcp = address[0] != '/' && strncmp(address, "unix:", 5) != 0;
  bool is_loopback = strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
  if (is_tcp && !is_loopback) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "the admin address %s is not a loopback one: use "
                 "127.0.0.1:PORT, [::1]:PORT or a socket path",
                 address);
    return false;
  }
  // One that was handed over is listened on already.
  if (m->admin_listener == NULL) m->admin_listener = wr_listener_open(address, 1, 0600, error);
  if (m->admin_listener == NULL) return false;
  int fd = wr_listener_take(m->admin_listener, 0);
  m->admin_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  struct wr_admin_ops ops = {.is_ready = is_ready,
                             .write_health = write_health,
                             .write_metrics = write_metrics,
                             .write_status = write_status,
                             .write_generations = write_generations,
                             .write_requests = write_requests,
                             .write_request = write_request,
                             .reload = on_reload,
                             .use = on_use,
                             .rollback = on_rollback,
                             .promote = on_promote,
                             .show = on_show,
                             .compare = on_compare,
                             .upgrade = on_upgrade,
                             .ctx = m,
                             .registry = &m->registry,
                             .log = &m->log,
                             .meter = &m->meter,
                             .log_level = m->settings->log_level};
  m->admin = wr_admin_new(&m->loop, fd, is_tcp, m->settings->admin_token, &ops);
  return true;
}
