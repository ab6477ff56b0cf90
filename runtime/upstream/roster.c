#include "upstream/roster.h"

#include "base/check.h"
#include "base/duration.h"
#include "base/hash.h"

#include <stdatomic.h>
#include <string.h>

// Layout: the head, the members, the outlier's part.

static size_t outlier_at(uint32_t capacity)
{
  return sizeof(struct wr_roster) + capacity * sizeof(struct wr_roster_member);
}

size_t wr_roster_bytes(const struct wr_roster_config *config)
{
  return outlier_at(config->capacity) + wr_outlier_bytes(config->capacity);
}

struct wr_roster_member *wr_roster_member(const struct wr_roster *r, uint32_t at)
{
  WR_CHECK(at < r->capacity);
  return (struct wr_roster_member *)(r + 1) + at;
}

struct wr_outlier *wr_roster_outlier(const struct wr_roster *r)
{
  return (struct wr_outlier *)((char *)r + outlier_at(r->capacity));
}

static const struct wr_outlier_row *row_of(const struct wr_roster *r, uint32_t at)
{
  return &wr_roster_outlier(r)->rows[at];
}

uint64_t wr_roster_id(struct wr_str url)
{
  return wr_ring_mix(wr_hash_fnv(0, url));
}

uint64_t wr_roster_version(const struct wr_roster *r)
{
  return atomic_load_explicit(&r->version, memory_order_acquire);
}

static void bump(struct wr_roster *r)
{
  atomic_fetch_add_explicit(&r->version, 1, memory_order_release);
}

// Life

void wr_roster_init(struct wr_roster *r, const struct wr_roster_config *config, uint64_t seed)
{
  memset(r, 0, wr_roster_bytes(config));
  r->config = *config;
  r->capacity = config->capacity;
  wr_rng_init(&r->rng, seed);
  wr_outlier_init(wr_roster_outlier(r), &config->outlier, config->capacity, seed + 1);
  bump(r);
}

static void judge_panic(struct wr_roster *r);

// A row for a member that has none in a smaller roster: a free one, or that of a member of whom
// nothing is known, if something is known of this one. The roster's capacity: there is none.
static uint32_t place_for(const struct wr_roster *r, bool is_known)
{
  uint32_t unknown = r->capacity;
  for (uint32_t i = 0; i < r->capacity; i++) {
    if (!row_of(r, i)->is_used) return i;
    if (is_known && !wr_outlier_is_known(wr_roster_outlier(r), i)) unknown = i;
  }
  return unknown;
}

static void move_rest(struct wr_roster *to, const struct wr_roster *from)
{
  const struct wr_outlier *o = wr_roster_outlier(from);
  for (uint32_t i = to->capacity; i < from->capacity; i++) {
    if (!o->rows[i].is_used) continue;
    uint32_t at = place_for(to, wr_outlier_is_known(o, i));
    if (at == to->capacity) continue;
    *wr_roster_member(to, at) = *wr_roster_member(from, i);
    wr_outlier_move_row(wr_roster_outlier(to), at, o, i);
  }
}

// The configuration is applied afterwards, by wr_roster_reconfigure.
void wr_roster_move(struct wr_roster *to, const struct wr_roster *from,
                    const struct wr_roster_config *config)
{
  uint32_t rows = config->capacity < from->capacity ? config->capacity : from->capacity;
  memcpy(to, from, sizeof(*to));
  to->capacity = config->capacity;
  memcpy(to + 1, from + 1, rows * sizeof(struct wr_roster_member));
  wr_outlier_init(wr_roster_outlier(to), &from->config.outlier, config->capacity, 0);
  wr_outlier_move(wr_roster_outlier(to), wr_roster_outlier(from));
  move_rest(to, from);
  bump(to);
  to->list_version = wr_roster_version(to);
}

void wr_roster_reconfigure(struct wr_roster *r, const struct wr_roster_config *config,
                           uint64_t now_ns)
{
  r->config = *config;
  wr_outlier_reconfigure(wr_roster_outlier(r), &config->outlier, now_ns);
  for (uint32_t i = 0; i < r->capacity; i++) {
    struct wr_roster_member *m = wr_roster_member(r, i);
    if (!row_of(r, i)->is_used) continue;
    if (config->interval_ns == 0) {
      wr_outlier_mark(wr_roster_outlier(r), i, false); // nobody checks it any more
      m->good = m->bad = 0;
    } else if (m->due_ns > now_ns + config->interval_ns) {
      m->due_ns = now_ns;
    }
  }
  judge_panic(r);
  bump(r);
}

static bool is_sound(const struct wr_roster_member *m)
{
  size_t len = strnlen(m->url, sizeof(m->url));
  return len > 0 && len < sizeof(m->url) && strnlen(m->zone, sizeof(m->zone)) < sizeof(m->zone) &&
         m->weight >= 1 && m->weight <= WR_BALANCE_WEIGHT_MAX &&
         m->id == wr_roster_id((struct wr_str){m->url, len});
}

void wr_roster_repair(struct wr_roster *r, const struct wr_roster_config *config, uint64_t now_ns)
{
  r->config = *config;
  r->capacity = config->capacity;
  struct wr_outlier *o = wr_roster_outlier(r);
  o->config = config->outlier;
  wr_outlier_repair(o, r->capacity, now_ns);
  for (uint32_t i = 0; i < r->capacity; i++) {
    struct wr_roster_member *m = wr_roster_member(r, i);
    if (o->rows[i].is_used && !is_sound(m)) {
      wr_outlier_part(o, i);
      r->seeded = 0;
    }
    m->is_far = *(const unsigned char *)&m->is_far == 1;
    m->is_drained = *(const unsigned char *)&m->is_drained == 1;
    if (m->declared_weight > WR_BALANCE_WEIGHT_MAX) m->declared_weight = 0;
    if (m->ramp_ns > now_ns) m->ramp_ns = now_ns;
    wr_standing_repair(&m->standing, now_ns);
    if (m->ordered.at_ns > now_ns) m->ordered.at_ns = now_ns;
    if (m->due_ns > now_ns + config->interval_ns) m->due_ns = now_ns;
  }
  if (o->count == 0) r->seeded = 0; // they are declared again
  r->event_first = r->event_count = 0;
  if (r->asked_ns > now_ns) r->asked_ns = now_ns;
  r->is_panic = false;
  judge_panic(r);
  bump(r);
  r->list_version = wr_roster_version(r);
}

// News

static struct wr_roster_event *tell(struct wr_roster *r, enum wr_roster_news news)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  if (r->event_count == WR_ROSTER_EVENTS) {
    r->event_first = (r->event_first + 1) % WR_ROSTER_EVENTS;
    r->event_count--;
  }
  uint32_t at = (r->event_first + r->event_count++) % WR_ROSTER_EVENTS;
  r->events[at] = (struct wr_roster_event){.news = news, .usable = o->usable, .count = o->count};
  return &r->events[at];
}

bool wr_roster_take_event(struct wr_roster *r, struct wr_roster_event *out)
{
  struct wr_outlier *o = wr_roster_outlier(r);
  struct wr_outlier_event event;
  if (wr_outlier_take_event(o, &event)) {
    *out = (struct wr_roster_event){
        .news = WR_ROSTER_OUTLIER, .outlier = event, .usable = o->usable, .count = o->count};
    memcpy(out->url, wr_roster_member(r, event.row)->url, sizeof(out->url));
    return true;
  }
  if (r->event_count == 0) return false;
  *out = r->events[r->event_first];
  r->event_first = (r->event_first + 1) % WR_ROSTER_EVENTS;
  r->event_count--;
  return true;
}

static void judge_panic(struct wr_roster *r)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  bool is_panic = (double)o->usable < r->config.panic * (double)o->count;
  if (is_panic == r->is_panic) return;
  r->is_panic = is_panic;
  r->panics += is_panic;
  tell(r, WR_ROSTER_PANIC)->is_on = is_panic;
  bump(r);
}

// Who

static void write_member(struct wr_roster *r, struct wr_roster_member *m,
                         const struct wr_roster_wanted *w)
{
  bool is_ordered = m->declared_weight > 0; // an operator's weight stays
  uint32_t weight = is_ordered ? m->weight : w->weight;
  bool changes =
      m->weight != weight || m->is_far != w->is_far || !wr_str_eq(wr_str_of(m->zone), w->zone);
  m->weight = weight;
  if (is_ordered) m->declared_weight = w->weight;
  m->is_far = w->is_far;
  memcpy(m->zone, w->zone.ptr, w->zone.len);
  m->zone[w->zone.len] = '\0';
  if (!changes) return;
  bump(r);
  r->list_version = wr_roster_version(r);
}

// The row becomes a member's when everything else of it is written. `now_ns` is 0 when all are new:
// of nobody anything is known, so they are checked at once; others when their turn comes.
static bool join(struct wr_roster *r, uint32_t at, const struct wr_roster_wanted *w,
                 uint64_t now_ns)
{
  if (at == r->capacity || w->url.len == 0 || w->url.len >= WR_ROSTER_URL_MAX ||
      w->zone.len >= WR_ROSTER_ZONE_MAX) {
    return false;
  }
  struct wr_roster_member *m = wr_roster_member(r, at);
  *m = (struct wr_roster_member){.id = wr_roster_id(w->url), .ramp_ns = now_ns};
  if (now_ns > 0) {
    m->due_ns = now_ns + (uint64_t)((double)r->config.interval_ns * wr_rng_unit(&r->rng));
  }
  memcpy(m->url, w->url.ptr, w->url.len);
  write_member(r, m, w);
  wr_outlier_join(wr_roster_outlier(r), at, now_ns);
  return true;
}

static size_t find(const uint64_t *ids, size_t count, uint64_t id)
{
  for (size_t i = 0; i < count; i++) {
    if (ids[i] == id) return i;
  }
  return count;
}

// What a change is made of.
struct change {
  uint64_t rows[WR_BALANCE_PLACES_MAX]; // ids of members, 0 for free rows and those that leave
  uint64_t ids[WR_BALANCE_PLACES_MAX];  // of those who are wanted; 0: nothing more to do
  uint32_t stay, added, removed;
};

static void keep(struct wr_roster *r, struct change *c, const struct wr_roster_wanted *wanted,
                 size_t count)
{
  bool kept[WR_BALANCE_PLACES_MAX] = {false};
  for (uint32_t i = 0; i < r->capacity; i++) {
    c->rows[i] = row_of(r, i)->is_used ? wr_roster_member(r, i)->id : 0;
  }
  for (size_t i = 0; i < count; i++) {
    uint64_t id = wr_roster_id(wanted[i].url);
    size_t at = find(c->rows, r->capacity, id);
    bool is_double = find(c->ids, i, id) < i || (at < r->capacity && kept[at]);
    c->ids[i] = is_double || at < r->capacity ? 0 : id;
    if (is_double || at == r->capacity) continue;
    kept[at] = true;
    c->stay++;
    write_member(r, wr_roster_member(r, (uint32_t)at), &wanted[i]);
  }
  for (uint32_t i = 0; i < r->capacity; i++) {
    if (c->rows[i] == 0 || kept[i]) continue;
    wr_outlier_part(wr_roster_outlier(r), i);
    c->rows[i] = 0;
    c->removed++;
  }
}

// With nobody to carry the load meanwhile a slow start would only slow all down.
static void add_new(struct wr_roster *r, struct change *c, const struct wr_roster_wanted *wanted,
                    size_t count, uint64_t now_ns)
{
  uint32_t at = 0;
  r->was_full = false;
  for (size_t i = 0; i < count; i++) {
    if (c->ids[i] == 0) continue;
    while (at < r->capacity && c->rows[at] != 0) at++;
    if (!join(r, at, &wanted[i], c->stay > 0 ? now_ns : 0)) {
      r->was_full = true;
      continue;
    }
    c->rows[at] = c->ids[i];
    c->added++;
  }
}

void wr_roster_set(struct wr_roster *r, const struct wr_roster_wanted *wanted, size_t count,
                   uint64_t declared, uint64_t now_ns)
{
  struct change c = {0}; // 64 KiB
  keep(r, &c, wanted, count);
  add_new(r, &c, wanted, count, now_ns);
  if (declared) r->seeded = declared;
  if (c.added + c.removed == 0) return;
  r->last_set_ns = now_ns;
  bump(r);
  r->list_version = wr_roster_version(r);
  struct wr_roster_event *event = tell(r, WR_ROSTER_CHANGED);
  event->added = c.added;
  event->removed = c.removed;
  judge_panic(r);
}

// Orders

uint32_t wr_roster_find(const struct wr_roster *r, struct wr_str url)
{
  for (uint32_t i = 0; i < r->capacity; i++) {
    if (row_of(r, i)->is_used && wr_str_eq(wr_str_of(wr_roster_member(r, i)->url), url)) return i;
  }
  return UINT32_MAX;
}

void wr_roster_obey(struct wr_roster *r, uint32_t at, const struct wr_roster_order *order,
                    uint64_t now_ns)
{
  struct wr_roster_member *m = wr_roster_member(r, at);
  uint32_t declared = m->declared_weight > 0 ? m->declared_weight : m->weight;
  wr_order_note_set(&m->ordered, order->by ? order->by : "", now_ns);
  m->is_drained = order->is_drained;
  m->declared_weight = order->weight > 0 ? declared : 0;
  m->weight = order->weight > 0 ? order->weight : declared;
  bump(r);
  r->list_version = wr_roster_version(r);
}

// What becomes of them

// Whoever comes back begins slowly; the checks of who is out count from now on.
static void begin_ramps(struct wr_roster *r, uint64_t now_ns)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  for (uint32_t i = 0; i < r->capacity; i++) {
    const struct wr_outlier_row *row = &o->rows[i];
    if (!row->is_used || row->ejections == 0 || row->since_ns != now_ns) continue;
    if (row->is_ejected) {
      wr_roster_member(r, i)->good = 0;
    } else {
      wr_roster_member(r, i)->ramp_ns = now_ns;
    }
  }
}

static void changed(struct wr_roster *r, uint64_t now_ns)
{
  begin_ramps(r, now_ns);
  bump(r);
  judge_panic(r);
}

static bool is_row(const struct wr_roster *r, uint32_t at, uint64_t id)
{
  return at < r->capacity && row_of(r, at)->is_used && wr_roster_member(r, at)->id == id;
}

void wr_roster_report(struct wr_roster *r, uint32_t at, uint64_t id,
                      const struct wr_roster_seen *seen, uint64_t now_ns)
{
  struct wr_outlier *o = wr_roster_outlier(r);
  if (!is_row(r, at, id)) return;
  uint32_t ejected = o->ejected;
  struct wr_standing *standing = &wr_roster_member(r, at)->standing;
  wr_standing_add(standing, seen->batch.successes, seen->latency_ns, now_ns);
  if (seen->batch.failures > 0) wr_standing_fail(standing, &seen->last, now_ns);
  if (wr_outlier_add(o, at, &seen->batch, now_ns) || o->ejected != ejected) changed(r, now_ns);
}

void wr_roster_advance(struct wr_roster *r, uint64_t now_ns)
{
  if (wr_outlier_advance(wr_roster_outlier(r), now_ns)) changed(r, now_ns);
}

uint64_t wr_roster_next(const struct wr_roster *r)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  if (r->event_count > 0 || o->event_count > 0) return 0;
  return wr_outlier_next(o);
}

// Health checks

uint32_t wr_roster_claim_check(struct wr_roster *r, uint64_t now_ns, uint64_t *after_ns)
{
  const struct wr_roster_config *c = &r->config;
  uint64_t next_ns = now_ns + c->interval_ns;
  for (uint32_t i = 0; i < r->capacity; i++) {
    struct wr_roster_member *m = wr_roster_member(r, i);
    if (!row_of(r, i)->is_used) continue;
    if (m->due_ns <= now_ns) {
      double spread = 1 + c->check_jitter * (2 * wr_rng_unit(&r->rng) - 1);
      m->due_ns = now_ns + (uint64_t)((double)c->interval_ns * spread);
      return i;
    }
    if (m->due_ns < next_ns) next_ns = m->due_ns;
  }
  *after_ns = next_ns - now_ns;
  return UINT32_MAX;
}

void wr_roster_check(struct wr_roster *r, uint32_t at, uint64_t id, uint8_t error, uint64_t now_ns)
{
  if (!is_row(r, at, id)) return;
  struct wr_roster_member *m = wr_roster_member(r, at);
  struct wr_outlier *o = wr_roster_outlier(r);
  bool ok = error == 0;
  m->good = ok ? m->good + 1 : 0;
  m->bad = ok ? 0 : m->bad + 1;
  const struct wr_standing_failure failure = {.error = error, .is_check = true};
  if (!ok) wr_standing_fail(&m->standing, &failure, now_ns);
  bool was_unhealthy = row_of(r, at)->is_unhealthy;
  bool is_unhealthy = was_unhealthy ? m->good < r->config.rise : m->bad >= r->config.fall;
  bool is_back = m->good >= r->config.rise && wr_outlier_absolve(o, at, now_ns);
  if (is_unhealthy != was_unhealthy) {
    wr_outlier_mark(o, at, is_unhealthy);
    if (!is_unhealthy) m->ramp_ns = now_ns;
    struct wr_roster_event *event = tell(r, WR_ROSTER_HEALTH);
    event->is_on = !is_unhealthy;
    event->error = error;
    memcpy(event->url, m->url, sizeof(event->url));
  }
  if (is_back || is_unhealthy != was_unhealthy) changed(r, now_ns);
}

bool wr_roster_claim(struct wr_roster *r, uint64_t now_ns, uint64_t until_ns)
{
  if (now_ns < r->asked_ns) return false;
  r->asked_ns = until_ns;
  return true;
}
