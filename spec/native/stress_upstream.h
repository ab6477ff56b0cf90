#pragma once
/// What a stress run tries on upstreams: their members change, are reported on, checked, ejected.
/// Included by stress_kinds.h alone.

#include "stress.h"
#include "upstream/roster.h"

enum { STRESS_UPSTREAM_URLS = 12, STRESS_UPSTREAM_PLACES = 8 };

static inline void stress_upstream_config(void *config, uint32_t variant)
{
  struct wr_roster_config *c = config;
  wr_outlier_config_init(&c->outlier);
  c->panic = 0.5;
  c->interval_ns = variant % 2 ? 1000000 : 0;
  c->check_jitter = 0.2;
  c->rise = c->fall = 1 + variant % 3;
  c->capacity = STRESS_UPSTREAM_PLACES;
}

static inline void stress_upstream_set(struct stress_worker *me, struct wr_roster *r, uint64_t now)
{
  struct wr_roster_wanted wanted[STRESS_UPSTREAM_URLS];
  char urls[STRESS_UPSTREAM_URLS][32];
  size_t count = wr_rng_below(&me->rng, STRESS_UPSTREAM_URLS + 1);
  for (size_t i = 0; i < count; i++) {
    unsigned number = (unsigned)wr_rng_below(&me->rng, STRESS_UPSTREAM_URLS);
    int len = snprintf(urls[i], sizeof(urls[i]), "http://10.0.0.%u:80", number);
    wanted[i] = (struct wr_roster_wanted){{urls[i], (size_t)len}, WR_STR(""), 1 + number, false};
  }
  wr_roster_set(r, wanted, count, 0, now);
}

static inline void stress_upstream_report(struct stress_worker *me, struct wr_roster *r,
                                          uint64_t now)
{
  struct wr_roster_seen seen = {.batch.failures = (uint32_t)wr_rng_below(&me->rng, 8)};
  uint32_t at = (uint32_t)wr_rng_below(&me->rng, r->capacity);
  if (wr_rng_below(&me->rng, 2) == 0) {
    wr_outlier_batch_success(&seen.batch, wr_rng_below(&me->rng, now));
  }
  wr_roster_report(r, at, wr_roster_member(r, at)->id, &seen, now);
}

static inline bool stress_upstream_act(struct stress_worker *me, struct wr_entry *entry,
                                       uint64_t now)
{
  uint64_t dice = wr_rng_below(&me->rng, 100);
  uint64_t after = 0;
  struct wr_roster_event event;
  WR_CHECK(wr_registry_lock(&me->registry, entry, entry->generation, now));
  struct wr_roster *r = entry->state;
  uint32_t at = (uint32_t)wr_rng_below(&me->rng, r->capacity);
  if (dice < 10) {
    stress_upstream_set(me, r, now);
  } else if (dice < 70) {
    stress_upstream_report(me, r, now);
  } else if (dice < 85) {
    wr_roster_check(r, at, wr_roster_member(r, at)->id, dice % 2 ? 0 : WR_ERROR_CONNECT, now);
  } else if (dice < 92) {
    wr_roster_claim_check(r, now, &after);
  } else {
    wr_roster_advance(r, now);
  }
  while (wr_roster_take_event(r, &event)) {
  }
  wr_registry_unlock(&me->registry, entry);
  return true;
}

static inline void stress_upstream_check(struct wr_registry *r, struct wr_entry *entry,
                                         const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_roster *roster = entry->state;
  const struct wr_outlier *o = wr_roster_outlier(roster);
  uint32_t used = 0, ejected = 0;
  WR_CHECK(rows->live == 0 && rows->waiting == 0);
  for (uint32_t i = 0; i < roster->capacity; i++) {
    used += o->rows[i].is_used;
    ejected += o->rows[i].is_used && o->rows[i].is_ejected;
    WR_CHECK(!o->rows[i].is_used || wr_roster_member(roster, i)->weight >= 1);
  }
  WR_CHECK(used == o->count && ejected == o->ejected && o->usable <= used);
}

static const struct stress_kind stress_upstream = {
    .configure = stress_upstream_config,
    .act = stress_upstream_act,
    .check = stress_upstream_check,
};
