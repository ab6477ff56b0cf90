#include "status.h"

#include "admin/log_page.h"
#include "admin/overrides.h"
#include "admin/primitives.h"
#include "base/duration.h"
#include "confine/capabilities.h"
#include "confine/facts.h"
#include "fleet.h"
#include "observe/traffic_page.h"

#include <stdio.h>
#include <unistd.h>

static void put_hash(struct wr_json *j, uint64_t hash)
{
  char text[24];
  snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
  wr_json_field_cstr(j, "hash", text);
}

static void put_generation(struct wr_master *m, struct wr_json *j)
{
  wr_json_key(j, "generation");
  wr_json_object(j);
  wr_json_field_uint(j, "number", m->live);
  put_hash(j, m->live_report.hash);
  wr_json_field_num(j, "age_s", wr_duration_s(wr_loop_now(&m->loop) - m->live_since_ns));
  wr_json_field_uint(j, "routes", m->live_report.routes);
  wr_json_field_cstr(j, "file", m->settings->file);
  wr_json_field_uint(j, "strikes", wr_history_strikes(&m->history, wr_loop_now(&m->loop)));
  wr_json_field_bool(j, "quarantined", wr_history_find(&m->history, m->live_report.hash) != NULL);
  wr_json_object_end(j);
}

static void put_quarantined(struct wr_master *m, struct wr_json *j)
{
  wr_json_key(j, "quarantined");
  wr_json_array(j);
  WR_LIST_EACH(&m->history.quarantined, node) {
    const struct wr_quarantine *q = WR_CONTAINER(node, struct wr_quarantine, link);
    wr_json_object(j);
    put_hash(j, q->hash);
    wr_json_field_uint(j, "number", q->number);
    wr_json_field_num(j, "since_s", wr_duration_s(wr_loop_now(&m->loop) - q->since_ns));
    wr_json_field_cstr(j, "why", q->why);
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

static void put_load(const struct wr_slot *slot, struct wr_json *j)
{
  uint32_t shed = atomic_load_explicit(&slot->shed_permille, memory_order_relaxed);
  wr_json_field_uint(j, "active", atomic_load_explicit(&slot->in_flight, memory_order_relaxed));
  wr_json_field_num(j, "lag_s",
                    wr_duration_s(atomic_load_explicit(&slot->lag_ns, memory_order_relaxed)));
  wr_json_field_num(j, "sheds", shed / 1000.0);
  wr_json_field_bool(j, "shadow", atomic_load_explicit(&slot->shed_shadow, memory_order_relaxed));
}

// What it is at just now, when that is scripts.
static void put_script(const struct wr_slot *slot, struct wr_json *j)
{
  uint64_t script = atomic_load_explicit(&slot->script, memory_order_relaxed);
  wr_json_field_uint(j, "script", script);
  if (script == 0) return;
  wr_json_field_cstr(j, "request", slot->request);
  wr_json_field_cstr(j, "route", slot->route);
}

static void put_memory(struct wr_master *m, struct wr_json *j)
{
  const struct wr_slot *slot = wr_slot_of(&m->arena, wr_slot_master(&m->arena));
  wr_json_key(j, "memory");
  wr_json_object(j);
  wr_json_field_uint(j, "bytes", atomic_load_explicit(&slot->memory_bytes, memory_order_relaxed));
  wr_json_field_uint(j, "limit", atomic_load_explicit(&slot->memory_limit, memory_order_relaxed));
  wr_json_object_end(j);
}

static void put_workers(struct wr_master *m, struct wr_json *j)
{
  wr_json_key(j, "workers");
  wr_json_array(j);
  uint64_t now = wr_loop_now(&m->loop);
  struct wr_master_worker *workers = wr_fleet_serving(m);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_slot *slot = wr_slot_of(&m->arena, workers[i].slot);
    uint64_t beat = atomic_load_explicit(&slot->heartbeat_ns, memory_order_relaxed);
    wr_json_object(j);
    wr_json_field_uint(j, "slot", workers[i].slot);
    wr_json_field_uint(j, "pid", (uint64_t)(workers[i].pid > 0 ? workers[i].pid : 0));
    wr_json_field_uint(j, "restarts", atomic_load_explicit(&slot->restarts, memory_order_relaxed));
    wr_json_field_uint(j, "heartbeat_ms", now > beat ? (now - beat) / WR_MS : 0);
    wr_json_field_uint(j, "generation", workers[i].live);
    put_load(slot, j);
    put_script(slot, j);
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

// What all workers do at this moment.
static void put_now(struct wr_master *m, struct wr_json *j)
{
  uint64_t active = 0;
  uint64_t lag_ns = 0;
  uint32_t sheds = 0;
  for (uint32_t i = 0; i < wr_slot_master(&m->arena); i++) {
    const struct wr_slot *slot = wr_slot_of(&m->arena, i);
    uint64_t lag = atomic_load_explicit(&slot->lag_ns, memory_order_relaxed);
    uint32_t shed = atomic_load_explicit(&slot->shed_permille, memory_order_relaxed);
    active += atomic_load_explicit(&slot->in_flight, memory_order_relaxed);
    if (lag > lag_ns) lag_ns = lag;
    if (shed > sheds) sheds = shed;
  }
  wr_json_key(j, "now");
  wr_json_object(j);
  wr_json_field_uint(j, "active", active);
  wr_json_field_num(j, "lag_s", wr_duration_s(lag_ns));
  wr_json_field_num(j, "sheds", sheds / 1000.0);
  wr_json_object_end(j);
}

static void put_traffic(struct wr_master *m, struct wr_json *j)
{
  wr_json_key(j, "traffic");
  wr_json_object(j);
  wr_traffic_page_write(&m->traffic, j);
  wr_json_object_end(j);
}

static void put_listeners(struct wr_master *m, struct wr_json *j)
{
  wr_json_key(j, "listeners");
  wr_json_array(j);
  WR_LIST_EACH(&m->listeners, node) {
    wr_json_cstr(j, WR_CONTAINER(node, struct wr_listener, link)->address);
  }
  wr_json_array_end(j);
}

// What the kernel says, not what was asked for.
static void put_confinement(struct wr_master *m, struct wr_json *j)
{
  struct wr_facts facts;
  char names[WR_CAPABILITIES_TEXT_SIZE];
  uint32_t confined = 0;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    pid_t pid = wr_fleet_serving(m)[i].pid;
    confined += pid > 0 && wr_facts_read(pid, &facts) && wr_facts_is_confined(&facts);
  }
  wr_facts_read(getpid(), &facts);
  wr_capabilities_text(facts.capabilities, names);
  wr_json_key(j, "confinement");
  wr_json_object(j);
  wr_json_field_bool(j, "on", !m->settings->confine.is_off);
  wr_json_field_uint(j, "uid", facts.uid);
  wr_json_field_cstr(j, "master_capabilities", names);
  wr_json_field_bool(j, "master_no_new_privileges", facts.no_new_privileges);
  wr_json_field_uint(j, "workers", confined);
  wr_json_object_end(j);
}

static void put_upgrade(struct wr_master *m, struct wr_json *j)
{
  static const char *const stages[] = {"none", "rehearsal", "going", "renewal", "draining"};
  const struct wr_upgrade *u = &m->upgrade;
  uint32_t leaving = 0;
  for (uint32_t i = 0; u->stage == WR_UPGRADE_DRAINING && i < m->settings->workers; i++) {
    leaving += m->leaving[i].pid > 0;
  }
  wr_json_key(j, "upgrades");
  wr_json_object(j);
  wr_json_field_cstr(j, "stage", stages[u->stage]);
  wr_json_field_uint(j, "leaving", leaving);
  wr_json_field_uint(j, "done", u->counted[1]);
  wr_json_field_uint(j, "failed", u->counted[0]);
  wr_json_field_cstr(j, "message", u->last);
  wr_json_object_end(j);
}

void wr_status_write(struct wr_master *m, bool is_ready, struct wr_json *j)
{
  wr_json_object(j);
  wr_json_field_cstr(j, "version", WEIR_VERSION);
  wr_json_field_uint(j, "pid", (uint64_t)getpid());
  wr_json_field_num(j, "uptime_s", wr_duration_s(wr_loop_now(&m->loop) - m->started_ns));
  wr_json_field_bool(j, "ready", is_ready);
  wr_json_field_bool(j, "draining", m->is_draining);
  put_generation(m, j);
  put_quarantined(m, j);
  put_memory(m, j);
  put_confinement(m, j);
  put_workers(m, j);
  put_listeners(m, j);
  put_now(m, j);
  put_traffic(m, j);
  wr_log_page_write(&m->arena, m->settings->log_level, j);
  wr_json_key(j, "overrides");
  wr_overrides_write(&m->registry, wr_loop_now(&m->loop), j);
  wr_primitives_write(&m->registry, wr_loop_now(&m->loop), j);
  wr_json_key(j, "reloads");
  wr_json_object(j);
  wr_json_field_uint(j, "live", m->reload.counted[1]);
  wr_json_field_uint(j, "failed", m->reload.counted[0]);
  wr_json_field_uint(j, "joined", m->reload.joined);
  wr_json_object_end(j);
  put_upgrade(m, j);
  wr_json_key(j, "last_reload");
  wr_json_object(j);
  wr_json_field_cstr(j, "result", m->reload.last[0] ? "failed" : "live");
  wr_json_field_cstr(j, "message", m->reload.last);
  wr_json_object_end(j);
  wr_json_object_end(j);
}
