#include "services.h"

#include "script/request.h"
#include "upstream/outbound_tls.h"
#include "upstream/transport_curl.h"
#include "upstream/transport_h1.h"
#include "upstream/transport_h2.h"
#include "upstream/transport_scheme.h"

#include <unistd.h>

#define CERTAIN_SEED UINT64_C(0x77656972) // of what has to go the same way each time

static struct wr_hash_key random_key(struct wr_rng *rng)
{
  return (struct wr_hash_key){wr_rng_next(rng), wr_rng_next(rng)};
}

static void on_lookup(void *ctx, const struct wr_resolver_lookup *lookup)
{
  static const char *const errors[] = {
      [WR_DNS_FOUND] = "", [WR_DNS_NONE] = "not_found", [WR_DNS_FAILED] = "failed"};
  struct wr_services *s = ctx;
  wr_meter_observe(&s->meter, WR_METRIC_DNS_LOOKUP, (double)lookup->took_ns / 1e9, "error_type",
                   errors[lookup->status], NULL);
}

static bool open_outbound(struct wr_services *s, const struct wr_settings *settings,
                          struct wr_error *error)
{
  struct wr_resolver_options resolver = {
      .dns = {.servers = settings->dns}, .on_lookup = on_lookup, .ctx = s};
  struct wr_transport_curl_options curl = {.ca_file = settings->ca_file};
  s->resolver = wr_resolver_new(&s->loop, &resolver, error);
  if (s->resolver == NULL) return false;
  s->outbound_tls = wr_outbound_tls_new(settings->ca_file);
  struct wr_transport_h1_options h1 = {.tls = s->outbound_tls};
  struct wr_transport_h2_options h2 = {.tls = s->outbound_tls};
  s->transport = wr_transport_scheme_new(wr_transport_h1_new(&s->loop, s->resolver, &h1),
                                         wr_transport_h2_new(&s->loop, s->resolver, &h2),
                                         wr_transport_curl_new(&s->loop, s->resolver, &curl));
  return true;
}

bool wr_services_init(struct wr_services *s, const struct wr_services_owner *owner,
                      struct wr_error *error)
{
  struct wr_arena *a = owner->arena;
  uint32_t slot = owner->slot;
  int rc = wr_loop_init(&s->loop);
  if (rc != 0) {
    wr_error_set(error, WR_ERROR_CLOSED, "no event loop: %s", uv_strerror(rc));
    return false;
  }
  if (owner->clock) wr_virtual_init(owner->clock, &s->loop);
  enum wr_log_level level = owner->clock ? WR_LOG_NOTHING : owner->settings->log_level;
  wr_log_init(&s->log, STDOUT_FILENO, level, wr_loop_wall);
  s->log.worker = (int)slot;
  s->log.format = owner->settings->log_format;
  wr_rng_init(&s->rng, owner->clock ? CERTAIN_SEED : wr_loop_entropy());
  wr_guard_registry(&s->registry, a);
  wr_guard_init(&s->guard, &s->registry, slot, owner->callbacks);
  wr_endpoints_init(&s->endpoints, random_key(&s->rng));
  wr_meter_init(&s->meter, a, slot, random_key(&s->rng));
  if (!open_outbound(s, owner->settings, error)) return false;
  s->env = (struct wr_script_env){.loop = &s->loop,
                                  .log = &s->log,
                                  .repeats = &s->repeats,
                                  .rng = &s->rng,
                                  .arena = a,
                                  .registry = &s->registry,
                                  .guard = &s->guard,
                                  .transport = s->transport,
                                  .resolver = s->resolver,
                                  .endpoints = &s->endpoints,
                                  .meter = &s->meter,
                                  .library = owner->settings->library,
                                  .allow_chaos = owner->settings->allow_chaos,
                                  .shard = slot};
  wr_list_init(&s->env.spare_responses);
  return true;
}

static void on_transport_closed(void *ctx)
{
  struct wr_services *s = ctx;
  wr_resolver_close(s->resolver, NULL, NULL);
}

size_t wr_services_fini(struct wr_services *s)
{
  wr_transport_close(s->transport, on_transport_closed, s);
  wr_loop_run(&s->loop);
  wr_outbound_tls_free(s->outbound_tls);
  wr_response_free_spare(&s->env);
  wr_request_free_spare(&s->env);
  wr_guard_fini(&s->guard, wr_loop_now(&s->loop));
  wr_meter_fini(&s->meter);
  wr_endpoints_fini(&s->endpoints);
  char names[256];
  size_t open = wr_loop_fini(&s->loop, names, sizeof(names));
  if (open > 0) wr_log_text(&s->log, WR_LOG_ERROR, "loop.leak", "%zu left open: %s", open, names);
  wr_log_repeats_settle(&s->repeats, &s->log, UINT64_MAX);
  wr_log_fini(&s->log);
  return open;
}
