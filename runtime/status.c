#include "status.h"

#include "admin/primitives.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

static double seconds(uint64_t ns)
{
  return floor((double)ns / 1e6) / 1e3;
}

static void put_generation(struct wr_master *m, struct wr_json *j)
{
  char hash[24];
  snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)m->live_hash);
  wr_json_key(j, "generation");
  wr_json_object(j);
  wr_json_field_uint(j, "number", m->live);
  wr_json_field_cstr(j, "hash", hash);
  wr_json_field_num(j, "age_s", seconds(wr_loop_now(&m->loop) - m->live_since_ns));
  wr_json_field_uint(j, "routes", m->live_routes);
  wr_json_field_cstr(j, "file", m->settings->file);
  wr_json_object_end(j);
}

static void put_load(const struct wr_slot *slot, struct wr_json *j)
{
  uint32_t shed = atomic_load_explicit(&slot->shed_permille, memory_order_relaxed);
  wr_json_field_uint(j, "active", atomic_load_explicit(&slot->in_flight, memory_order_relaxed));
  wr_json_field_num(j, "lag_s", seconds(atomic_load_explicit(&slot->lag_ns, memory_order_relaxed)));
  wr_json_field_num(j, "sheds", shed / 1000.0);
  wr_json_field_bool(j, "shadow", atomic_load_explicit(&slot->shed_shadow, memory_order_relaxed));
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
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_slot *slot = wr_slot_of(&m->arena, i);
    uint64_t beat = atomic_load_explicit(&slot->heartbeat_ns, memory_order_relaxed);
    wr_json_object(j);
    wr_json_field_uint(j, "slot", i);
    wr_json_field_uint(j, "pid", (uint64_t)(m->workers[i].pid > 0 ? m->workers[i].pid : 0));
    wr_json_field_uint(j, "restarts", atomic_load_explicit(&slot->restarts, memory_order_relaxed));
    wr_json_field_uint(j, "heartbeat_ms", now > beat ? (now - beat) / WR_MS : 0);
    wr_json_field_uint(j, "generation", m->workers[i].live);
    put_load(slot, j);
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
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

void wr_status_write(struct wr_master *m, bool is_ready, struct wr_json *j)
{
  wr_json_object(j);
  wr_json_field_cstr(j, "version", WEIR_VERSION);
  wr_json_field_uint(j, "pid", (uint64_t)getpid());
  wr_json_field_num(j, "uptime_s", seconds(wr_loop_now(&m->loop) - m->started_ns));
  wr_json_field_bool(j, "ready", is_ready);
  put_generation(m, j);
  put_memory(m, j);
  put_workers(m, j);
  put_listeners(m, j);
  wr_primitives_write(&m->registry, wr_loop_now(&m->loop), j);
  wr_json_key(j, "reloads");
  wr_json_object(j);
  wr_json_field_uint(j, "live", m->reload.counted[1]);
  wr_json_field_uint(j, "failed", m->reload.counted[0]);
  wr_json_object_end(j);
  wr_json_key(j, "last_reload");
  wr_json_object(j);
  wr_json_field_cstr(j, "result", m->reload.last[0] ? "failed" : "live");
  wr_json_field_cstr(j, "message", m->reload.last);
  wr_json_object_end(j);
  wr_json_object_end(j);
}
