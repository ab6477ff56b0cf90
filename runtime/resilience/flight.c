#include "resilience/flight.h"

static struct wr_flight_member *member_of(struct wr_list *node)
{
  return WR_CONTAINER(node, struct wr_flight_member, link);
}

static struct wr_list *bucket_of(struct wr_flight *f, uint64_t key)
{
  return &f->buckets[key % WR_FLIGHT_BUCKETS];
}

static void clear(struct wr_flight *f)
{
  f->leaders = 0;
  f->followers = 0;
  for (int i = 0; i < WR_FLIGHT_BUCKETS; i++) wr_list_init(&f->buckets[i]);
  wr_list_init(&f->told);
}

void wr_flight_init(struct wr_flight *f, uint32_t max)
{
  WR_CHECK(max <= WR_FLIGHT_WAITERS_MAX);
  *f = (struct wr_flight){.max = max};
  clear(f);
}

// Leaders stand first, so that the search for one ends at the first follower.
static bool is_led(const struct wr_list *bucket, uint64_t key)
{
  for (struct wr_list *at = bucket->next; at != bucket; at = at->next) {
    const struct wr_flight_member *m = member_of(at);
    if (m->role != WR_FLIGHT_LEADER) return false;
    if (m->key == key) return true;
  }
  return false;
}

bool wr_flight_is_led(const struct wr_flight *f, uint64_t key)
{
  return is_led(&f->buckets[key % WR_FLIGHT_BUCKETS], key);
}

static void lead(struct wr_flight *f, struct wr_flight_member *m)
{
  m->role = WR_FLIGHT_LEADER;
  wr_list_push(bucket_of(f, m->key)->next, &m->link);
  f->leaders++;
  f->counters.led++;
}

static void follow(struct wr_flight *f, struct wr_flight_member *m)
{
  m->role = WR_FLIGHT_FOLLOWER;
  wr_list_push(bucket_of(f, m->key), &m->link);
  f->followers++;
}

enum wr_flight_role wr_flight_join(struct wr_flight *f, struct wr_flight_member *m, bool waits)
{
  m->role = WR_FLIGHT_NOBODY;
  if (!wr_flight_is_led(f, m->key)) {
    lead(f, m);
  } else if (waits && f->followers < f->max) {
    follow(f, m);
    f->counters.followed++;
  } else {
    f->counters.full += waits;
  }
  return (enum wr_flight_role)m->role;
}

// Leaving

static void tell(struct wr_flight *f, struct wr_flight_member *m, enum wr_flight_role role)
{
  wr_list_remove(&m->link);
  f->followers--;
  m->role = (uint8_t)role;
  wr_list_push(&f->told, &m->link);
}

// All followers of the key look, or the oldest of them succeeds.
static void tell_followers(struct wr_flight *f, uint64_t key, bool is_done)
{
  WR_LIST_EACH(bucket_of(f, key), node) {
    struct wr_flight_member *m = member_of(node);
    if (m->role != WR_FLIGHT_FOLLOWER || m->key != key) continue;
    tell(f, m, is_done ? WR_FLIGHT_LOOKING : WR_FLIGHT_LEADER);
    if (!is_done) return;
  }
}

void wr_flight_leave(struct wr_flight *f, struct wr_flight_member *m, bool is_done)
{
  enum wr_flight_role role = (enum wr_flight_role)m->role;
  m->role = WR_FLIGHT_NOBODY;
  if (role == WR_FLIGHT_LEADER) {
    wr_list_remove(&m->link);
    f->leaders--;
    tell_followers(f, m->key, is_done);
  } else if (role == WR_FLIGHT_FOLLOWER) {
    wr_list_remove(&m->link);
    f->followers--;
    f->counters.left++;
  }
}

// Repair

void wr_flight_repair(struct wr_flight *f)
{
  if (f->max > WR_FLIGHT_WAITERS_MAX) f->max = WR_FLIGHT_WAITERS_MAX;
  clear(f);
  f->is_repaired = true;
}

void wr_flight_restore(struct wr_flight *f, struct wr_flight_member *m, bool is_leader)
{
  if (!is_leader) {
    follow(f, m);
    return;
  }
  m->role = WR_FLIGHT_LEADER;
  wr_list_push(bucket_of(f, m->key)->next, &m->link);
  f->leaders++;
}

static bool is_promoted(struct wr_flight *f, uint64_t key)
{
  WR_LIST_EACH(&f->told, node) {
    if (member_of(node)->key == key) return true;
  }
  return false;
}

static void mend(struct wr_flight *f)
{
  for (int i = 0; i < WR_FLIGHT_BUCKETS; i++) {
    WR_LIST_EACH(&f->buckets[i], node) {
      struct wr_flight_member *m = member_of(node);
      if (m->role != WR_FLIGHT_FOLLOWER || is_led(&f->buckets[i], m->key)) continue;
      if (!is_promoted(f, m->key)) tell(f, m, WR_FLIGHT_LEADER);
    }
  }
}

struct wr_flight_member *wr_flight_told(struct wr_flight *f)
{
  if (f->is_repaired) mend(f);
  f->is_repaired = false;
  struct wr_list *node = wr_list_pop(&f->told);
  if (node == NULL) return NULL;
  struct wr_flight_member *m = member_of(node);
  if (m->role == WR_FLIGHT_LEADER) {
    lead(f, m);
    f->counters.succeeded++;
  } else {
    f->counters.told++;
  }
  return m;
}

static const char *const roles[WR_FLIGHT_ROLES] = {
#define WR_FLIGHT_ROLE(ENUM, name, meaning) [WR_FLIGHT_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_flight_role_name(enum wr_flight_role role)
{
  WR_CHECK(role < WR_FLIGHT_ROLES);
  return roles[role];
}
