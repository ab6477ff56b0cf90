#include "observe/traffic.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"

enum { OWNERS_AT_ONCE = 256 };

struct wr_traffic_owner {
  struct wr_traffic_group *group;
  struct wr_traffic_counter *counter; // either of both, or neither: a series of no interest
  bool is_known;
  bool is_error;
};

// Which families are watched: histograms by one label, and in them what an error is; counters and
// gauges by two labels.
static const struct {
  uint32_t family;
  const char *name, *word; // labels; without a word: histograms
} watched[] = {
    {WR_METRIC_HTTP_SERVER_DURATION, "http_route", NULL},
    {WR_METRIC_HTTP_CLIENT_DURATION, "upstream", NULL},
    {WR_METRIC_BULKHEAD_WAIT, "name", NULL},
    {WR_METRIC_LIMITER_WAIT, "name", NULL},
    {WR_METRIC_SHEDDER_WAIT, "name", NULL},
    {WR_METRIC_RESPONSES, "route", "why"},
    {WR_METRIC_RETRY_CALLS, "name", "kind"},
    {WR_METRIC_RETRY_ATTEMPTS, "name", "reason"},
    {WR_METRIC_FALLBACK, "name", "step"},
    {WR_METRIC_ENDPOINT_IN_FLIGHT, "upstream", "endpoint"},
};

// The value of a label, in `name="value",…`, with its escapes.
static struct wr_str label_of(struct wr_str labels, const char *name)
{
  size_t len = strlen(name);
  for (size_t at = 0; at < labels.len;) {
    size_t from = at;
    while (at < labels.len && labels.ptr[at] != '=') at++;
    bool is_it = at - from == len && memcmp(labels.ptr + from, name, len) == 0;
    size_t value = at += 2; // ="
    while (at < labels.len && labels.ptr[at] != '"') at += labels.ptr[at] == '\\' ? 2 : 1;
    if (is_it && at < labels.len) return (struct wr_str){labels.ptr + value, at - value};
    at += 2; // ",
  }
  return (struct wr_str){"", 0};
}

static bool is_error(struct wr_str labels)
{
  struct wr_str status = label_of(labels, "http_response_status_code");
  return label_of(labels, "error_type").len > 0 || (status.len > 0 && status.ptr[0] == '5');
}

static struct wr_traffic_group *group_of(struct wr_traffic *t, const struct wr_series_view *view,
                                         struct wr_str name)
{
  WR_LIST_EACH(&t->groups, node) {
    struct wr_traffic_group *known = WR_CONTAINER(node, struct wr_traffic_group, link);
    if (known->family == view->family && wr_str_eq(known->name, name)) return known;
  }
  struct wr_traffic_group *group = wr_alloc(sizeof(*group));
  group->family = view->family;
  group->family_number = view->family_number;
  group->name = name;
  wr_list_push(&t->groups, &group->link);
  return group;
}

static struct wr_traffic_counter *counter_of(struct wr_traffic *t,
                                             const struct wr_series_view *view, struct wr_str name,
                                             struct wr_str word)
{
  struct wr_traffic_counter *counter = wr_alloc(sizeof(*counter));
  counter->family_number = view->family_number;
  counter->is_gauge = view->family->type == WR_SERIES_GAUGE;
  counter->name = name;
  counter->word = word;
  wr_list_push(&t->counters, &counter->link);
  return counter;
}

static void find_owner(struct wr_traffic *t, const struct wr_series_view *view,
                       struct wr_traffic_owner *owner)
{
  owner->is_known = true;
  for (size_t i = 0; i < WR_COUNT(watched); i++) {
    if (watched[i].family != view->family_number) continue;
    struct wr_str name = label_of(view->labels, watched[i].name);
    if (watched[i].word) {
      owner->counter = counter_of(t, view, name, label_of(view->labels, watched[i].word));
    } else {
      owner->group = group_of(t, view, name);
      owner->is_error = is_error(view->labels);
    }
  }
}

static struct wr_traffic_owner *owner_of(struct wr_traffic *t, const struct wr_series_view *view)
{
  if (view->series >= t->owner_count) {
    uint32_t count = view->series + OWNERS_AT_ONCE;
    t->owners = wr_realloc(t->owners, count * sizeof(*t->owners));
    memset(t->owners + t->owner_count, 0, (count - t->owner_count) * sizeof(*t->owners));
    t->owner_count = count;
  }
  struct wr_traffic_owner *owner = &t->owners[view->series];
  if (!owner->is_known) find_owner(t, view, owner);
  return owner;
}

static void add_histogram(struct wr_traffic_sample *s, const struct wr_series_histogram *h,
                          bool is_error)
{
  s->requests += h->count;
  if (is_error) s->errors += h->count;
  s->sum += h->sum;
  for (int i = 0; i < WR_SERIES_FINE; i++) s->fine[i] += h->fine[i];
}

static void clear_sample(struct wr_traffic *t, uint32_t at)
{
  WR_LIST_EACH(&t->groups, node) {
    struct wr_traffic_group *group = WR_CONTAINER(node, struct wr_traffic_group, link);
    group->samples[at] = (struct wr_traffic_sample){0};
  }
}

static void take_sample(struct wr_traffic *t, uint64_t now_ns)
{
  uint32_t at = (uint32_t)(t->taken % WR_TRAFFIC_SAMPLES);
  struct wr_series_view view = {0};
  clear_sample(t, at);
  while (wr_series_next(t->arena, &view)) {
    struct wr_traffic_owner *owner = owner_of(t, &view);
    if (owner->counter) owner->counter->values[at] = wr_series_value(t->arena, view.series);
    if (owner->group == NULL) continue;
    struct wr_series_histogram h;
    wr_series_read(t->arena, view.series, &h);
    add_histogram(&owner->group->samples[at], &h, owner->is_error);
  }
  t->at_ns[at] = now_ns;
  t->taken++;
}

void wr_traffic_tick(struct wr_traffic *t, uint64_t now_ns)
{
  bool is_due = t->taken == 0 || now_ns - t->at_ns[wr_traffic_newest(t)] >= WR_SECOND;
  if (is_due) take_sample(t, now_ns);
}

uint32_t wr_traffic_newest(const struct wr_traffic *t)
{
  return (uint32_t)((t->taken + WR_TRAFFIC_SAMPLES - 1) % WR_TRAFFIC_SAMPLES);
}

uint32_t wr_traffic_oldest(const struct wr_traffic *t)
{
  return t->taken < WR_TRAFFIC_SAMPLES ? 0 : (uint32_t)(t->taken % WR_TRAFFIC_SAMPLES);
}

double wr_traffic_window(const struct wr_traffic *t)
{
  uint64_t from_ns = t->at_ns[wr_traffic_oldest(t)];
  return (double)(t->at_ns[wr_traffic_newest(t)] - from_ns) / (double)WR_SECOND;
}

void wr_traffic_init(struct wr_traffic *t, const struct wr_arena *a)
{
  *t = (struct wr_traffic){.arena = a};
  wr_list_init(&t->groups);
  wr_list_init(&t->counters);
}

void wr_traffic_fini(struct wr_traffic *t)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&t->groups)) != NULL) {
    wr_free(WR_CONTAINER(node, struct wr_traffic_group, link));
  }
  while ((node = wr_list_pop(&t->counters)) != NULL) {
    wr_free(WR_CONTAINER(node, struct wr_traffic_counter, link));
  }
  wr_free(t->owners);
}
