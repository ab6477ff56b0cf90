#include "resilience/flag.h"

#include "base/archive.h"
#include "base/check.h"

#include <stdatomic.h>

const char *wr_flag_config_check(const struct wr_flag_config *c)
{
  return c->share <= WR_FLAG_WHOLE ? NULL : "the share must be 0 to 1000000 millionths";
}

// Changes

static void say_why(struct wr_flag *f, struct wr_str why)
{
  size_t len = why.len < sizeof(f->why) ? why.len : sizeof(f->why) - 1;
  memset(f->why, 0, sizeof(f->why));
  if (len > 0) memcpy(f->why, why.ptr, len);
}

static void change(struct wr_flag *f, uint32_t share, enum wr_flag_actor actor, struct wr_str why,
                   uint64_t now_ns)
{
  atomic_store_explicit(&f->share, share, memory_order_release);
  f->actor = (uint8_t)actor;
  f->since_ns = now_ns;
  f->is_untold = 1;
  say_why(f, why);
}

void wr_flag_init(struct wr_flag *f, const struct wr_flag_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_flag_config_check(config) == NULL);
  *f = (struct wr_flag){
      .config = *config, .share = config->share, .told = config->share, .since_ns = now_ns};
}

void wr_flag_reconfigure(struct wr_flag *f, const struct wr_flag_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_flag_config_check(config) == NULL);
  f->config = *config;
  if (f->is_overridden || wr_flag_share(f) == config->share) return;
  change(f, config->share, WR_FLAG_ACTOR_POLICY, (struct wr_str){NULL, 0}, now_ns);
}

void wr_flag_set(struct wr_flag *f, uint32_t share, enum wr_flag_actor actor, struct wr_str why,
                 uint64_t now_ns)
{
  WR_CHECK(share <= WR_FLAG_WHOLE);
  f->is_overridden = 1;
  change(f, share, actor, why, now_ns);
}

void wr_flag_reset(struct wr_flag *f, struct wr_str why, uint64_t now_ns)
{
  if (!f->is_overridden) return;
  f->is_overridden = 0;
  change(f, f->config.share, WR_FLAG_ACTOR_POLICY, why, now_ns);
}

bool wr_flag_take_event(struct wr_flag *f, struct wr_flag_event *event)
{
  if (!f->is_untold) return false;
  uint32_t share = wr_flag_share(f);
  *event =
      (struct wr_flag_event){.at_ns = f->since_ns, .from = f->told, .to = share, .actor = f->actor};
  memcpy(event->why, f->why, sizeof(event->why));
  f->told = share;
  f->is_untold = 0;
  return true;
}

// Evaluation

uint32_t wr_flag_share(const struct wr_flag *f)
{
  return atomic_load_explicit(&f->share, memory_order_acquire);
}

struct wr_hash_key wr_flag_seed(struct wr_str name)
{
  return (struct wr_hash_key){wr_hash_fnv(0, name), 0};
}

uint32_t wr_flag_place(const struct wr_hash_key *seed, struct wr_str key)
{
  return (uint32_t)((wr_hash_sip(seed, key) >> 32) * WR_FLAG_WHOLE >> 32);
}

enum wr_flag_result wr_flag_evaluate(struct wr_flag *f, uint32_t place, bool is_down)
{
  uint32_t share = wr_flag_share(f);
  enum wr_flag_result result = place < share ? WR_FLAG_ON : WR_FLAG_OFF;
  if (share > 0 && is_down) result = WR_FLAG_FALLBACK;
  atomic_fetch_add_explicit(&f->counts[result], 1, memory_order_relaxed);
  return result;
}

// Repair

void wr_flag_repair(struct wr_flag *f, uint64_t now_ns)
{
  if (wr_flag_config_check(&f->config) != NULL) f->config.share = 0;
  f->is_overridden = f->is_overridden != 0;
  f->is_untold = f->is_untold != 0;
  if (f->actor >= WR_FLAG_ACTORS) f->actor = WR_FLAG_ACTOR_POLICY;
  if (f->told > WR_FLAG_WHOLE) f->told = WR_FLAG_WHOLE;
  if (f->since_ns > now_ns) f->since_ns = now_ns;
  f->why[sizeof(f->why) - 1] = '\0';
  bool is_torn =
      f->is_overridden ? wr_flag_share(f) > WR_FLAG_WHOLE : wr_flag_share(f) != f->config.share;
  if (!is_torn) return;
  f->is_overridden = 0;
  change(f, f->config.share, WR_FLAG_ACTOR_POLICY, WR_STR("repaired"), now_ns);
}

// Words

static const char *const results[WR_FLAG_RESULTS] = {
#define WR_FLAG_RESULT(ENUM, name, meaning) [WR_FLAG_##ENUM] = name,
#include "tables/states.def"
};

static const char *const actors[WR_FLAG_ACTORS] = {
#define WR_FLAG_ACTOR(ENUM, name, meaning) [WR_FLAG_ACTOR_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_flag_result_name(enum wr_flag_result result)
{
  WR_CHECK(result < WR_FLAG_RESULTS);
  return results[result];
}

const char *wr_flag_actor_name(enum wr_flag_actor actor)
{
  WR_CHECK(actor < WR_FLAG_ACTORS);
  return actors[actor];
}

// An override only: what the policy says, it says again.
void wr_flag_archive(struct wr_flag *f, struct wr_archive *a)
{
  uint32_t share = wr_flag_share(f);
  wr_archive_flag(a, "overridden", &f->is_overridden);
  wr_archive_u32(a, "share", &share);
  wr_archive_word(a, "actor", &f->actor, actors, WR_FLAG_ACTORS);
  wr_archive_time(a, "since", &f->since_ns);
  wr_archive_text(a, "why", f->why, sizeof(f->why));
  if (!wr_archive_is_reading(a) || !f->is_overridden) return;
  if (share > WR_FLAG_WHOLE) share = WR_FLAG_WHOLE;
  atomic_store_explicit(&f->share, share, memory_order_release);
  f->told = share;
}
