#include "script/health_page.h"

#include "base/stamp.h"
#include "resilience/health.h"

#include <stdatomic.h>
#include <stdio.h>

struct page {
  struct wr_registry *registry;
  uint64_t now_ns;
  uint64_t wall_ns;
  struct wr_json *j;
};

static const char *const words[] = {"pass", "warn", "fail"};

static enum wr_health_page_status judge(const struct wr_health *h, uint64_t now_ns)
{
  bool is_down = wr_health_verdict(h) == WR_HEALTH_DOWN;
  if (is_down && h->config.is_critical) return WR_HEALTH_FAIL;
  return is_down || wr_health_is_stale(h, now_ns) ? WR_HEALTH_WARN : WR_HEALTH_PASS;
}

// The next check that a live policy declares, copied; NULL at the end.
static const struct wr_entry *next(const struct page *page, uint32_t *at, struct wr_health *out)
{
  struct wr_registry *r = page->registry;
  struct wr_entry *entry;
  while ((entry = wr_registry_each(r, at)) != NULL) {
    if (entry->kind != WR_KIND_HEALTH || !wr_registry_is_held(r->arena, entry)) continue;
    if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, page->now_ns)) continue;
    memcpy(out, entry->state, sizeof(*out));
    wr_registry_unlock(r, entry);
    return entry;
  }
  return NULL;
}

static enum wr_health_page_status worst_of(const struct page *page)
{
  enum wr_health_page_status worst = WR_HEALTH_PASS;
  struct wr_health h;
  uint32_t at = 0;
  while (next(page, &at, &h)) {
    enum wr_health_page_status status = judge(&h, page->now_ns);
    if (status > worst) worst = status;
  }
  return worst;
}

enum wr_health_page_status wr_health_page_status(struct wr_registry *r, uint64_t now_ns)
{
  return worst_of(&(struct page){.registry = r, .now_ns = now_ns});
}

static void put_time(const struct page *page, uint64_t at_ns)
{
  char stamp[WR_STAMP_TEXT];
  uint64_t age = page->now_ns > at_ns ? page->now_ns - at_ns : 0;
  wr_json_field_cstr(page->j, "time", wr_stamp_text(page->wall_ns - age, stamp));
}

static void put_history(const struct page *page, const struct wr_health *h)
{
  const struct wr_health_result *result;
  wr_json_key(page->j, "history");
  wr_json_array(page->j);
  for (uint32_t i = 0; (result = wr_health_at(h, i)) != NULL; i++) {
    wr_json_object(page->j);
    put_time(page, result->at_ns);
    wr_json_field_num(page->j, "ms", result->latency_us / 1e3);
    wr_json_field_bool(page->j, "ok", result->error == WR_ERROR_NONE);
    if (result->error != WR_ERROR_NONE) {
      wr_json_field_cstr(page->j, "error", wr_error_name((enum wr_error_kind)result->error));
    }
    wr_json_object_end(page->j);
  }
  wr_json_array_end(page->j);
}

static void put_check(const struct page *page, const struct wr_entry *entry,
                      const struct wr_health *h)
{
  struct wr_json *j = page->j;
  char key[WR_ENTRY_NAME_MAX + 16];
  const struct wr_health_result *newest = wr_health_at(h, 0);
  snprintf(key, sizeof(key), "%s:responseTime", entry->name);
  wr_json_key(j, key);
  wr_json_array(j);
  wr_json_object(j);
  wr_json_field_cstr(j, "componentType",
                     wr_health_type_component((enum wr_health_type)h->config.type));
  if (newest) {
    wr_json_field_num(j, "observedValue", newest->latency_us / 1e3);
    wr_json_field_cstr(j, "observedUnit", "ms");
    put_time(page, newest->at_ns);
  }
  // A part fails when it is down; whether all fails with it is told by `critical`.
  enum wr_health_page_status status = judge(h, page->now_ns);
  if (wr_health_verdict(h) == WR_HEALTH_DOWN) status = WR_HEALTH_FAIL;
  wr_json_field_cstr(j, "status", words[status]);
  if (h->output[0]) wr_json_field_cstr(j, "output", h->output);
  wr_json_field_cstr(j, "verdict", wr_health_verdict_name(wr_health_verdict(h)));
  wr_json_field_bool(j, "critical", h->config.is_critical);
  wr_json_field_bool(j, "stale", wr_health_is_stale(h, page->now_ns));
  put_history(page, h);
  wr_json_object_end(j);
  wr_json_array_end(j);
}

enum wr_health_page_status wr_health_page_write(struct wr_registry *r, uint64_t now_ns,
                                                uint64_t wall_ns, struct wr_json *j)
{
  struct page page = {.registry = r, .now_ns = now_ns, .wall_ns = wall_ns, .j = j};
  enum wr_health_page_status status = worst_of(&page);
  const struct wr_entry *entry;
  struct wr_health h;
  uint32_t at = 0;
  wr_json_object(j);
  wr_json_field_cstr(j, "status", words[status]);
  wr_json_field_cstr(j, "serviceId", "weir");
  wr_json_field_cstr(j, "releaseId", WEIR_VERSION);
  wr_json_key(j, "checks");
  wr_json_object(j);
  while ((entry = next(&page, &at, &h)) != NULL) put_check(&page, entry, &h);
  wr_json_object_end(j);
  wr_json_object_end(j);
  return status;
}
