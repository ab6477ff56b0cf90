#include "cli/snapshot.h"

#include "base/check.h"
#include "cli/client.h"

#include <math.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200 };

#define ERRORS_DEGRADED 0.05 // of the requests of the last ten seconds

static double number_of(const json_t *object, const char *key)
{
  return json_number_value(json_object_get(object, key));
}

// What is null is not known.
static double known_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static double sum_of(const json_t *list, const char *key)
{
  double sum = 0;
  for (size_t i = 0; i < json_array_size(list); i++) sum += number_of(json_array_get(list, i), key);
  return sum;
}

static int count_of(const json_t *list, bool (*is_counted)(const json_t *element))
{
  int count = 0;
  for (size_t i = 0; i < json_array_size(list); i++) count += is_counted(json_array_get(list, i));
  return count;
}

static bool is_breaker_out(const json_t *b)
{
  const char *state = json_string_value(json_object_get(b, "state"));
  return state && strcmp(state, "closed") != 0 && strcmp(state, "disabled") != 0;
}

static bool is_check_down(const json_t *h)
{
  const char *state = json_string_value(json_object_get(h, "state"));
  return state && strcmp(state, "down") == 0;
}

static bool is_worker_live(const json_t *w)
{
  return number_of(w, "pid") > 0;
}

static enum wr_snapshot_word word_of(const struct wr_snapshot *s, const json_t *status)
{
  int down = count_of(json_object_get(status, "checks"), is_check_down);
  if (!json_is_true(json_object_get(status, "ready"))) {
    bool is_draining = json_is_true(json_object_get(status, "draining"));
    return is_draining ? WR_SNAPSHOT_DRAINING : WR_SNAPSHOT_NOT_READY;
  }
  if (json_is_true(json_object_get(status, "draining"))) return WR_SNAPSHOT_DRAINING;
  if (s->sheds > 0) return WR_SNAPSHOT_SHEDDING;
  bool is_degraded = s->breakers_out || s->endpoints_out || down ||
                     s->error_ratio >= ERRORS_DEGRADED || s->workers_live < s->workers;
  return is_degraded ? WR_SNAPSHOT_DEGRADED : WR_SNAPSHOT_OK;
}

void wr_snapshot_read(struct wr_snapshot *s, const json_t *status)
{
  const json_t *all = json_object_get(json_object_get(status, "traffic"), "requests");
  const json_t *now = json_object_get(status, "now");
  const json_t *breakers = json_object_get(status, "breakers");
  const json_t *upstreams = json_object_get(status, "upstreams");
  const json_t *workers = json_object_get(status, "workers");
  *s = (struct wr_snapshot){
      .at_s = number_of(status, "uptime_s"),
      .requests = number_of(all, "total"),
      .errors = number_of(all, "errors"),
      .per_s = number_of(all, "per_s"),
      .error_ratio = number_of(all, "error_ratio"),
      .p50_s = known_of(all, "p50_s"),
      .p95_s = known_of(all, "p95_s"),
      .p99_s = known_of(all, "p99_s"),
      .active = number_of(now, "active"),
      .lag_s = number_of(now, "lag_s"),
      .sheds = number_of(now, "sheds"),
      .queued = sum_of(json_object_get(status, "bulkheads"), "queued") +
                sum_of(json_object_get(status, "shedders"), "queued") +
                sum_of(json_object_get(status, "limiters"), "waiting"),
      .memory = number_of(json_object_get(status, "memory"), "bytes"),
      .breakers = (int)json_array_size(breakers),
      .breakers_out = count_of(breakers, is_breaker_out),
      .endpoints = (int)sum_of(upstreams, "count"),
      .endpoints_out = (int)(sum_of(upstreams, "count") - sum_of(upstreams, "usable")),
      .workers = (int)json_array_size(workers),
      .workers_live = count_of(workers, is_worker_live),
      .generation = (int)number_of(json_object_get(status, "generation"), "number"),
  };
  s->word = word_of(s, status);
}

void wr_snapshot_since(struct wr_snapshot *s, const struct wr_snapshot *before)
{
  double span = s->at_s - before->at_s;
  double requests = s->requests - before->requests;
  if (span <= 0 || requests < 0) return;
  s->per_s = requests / span;
  s->error_ratio = requests > 0 ? (s->errors - before->errors) / requests : 0;
}

const char *wr_snapshot_word_name(enum wr_snapshot_word word)
{
  static const char *const names[] = {"ok", "degraded", "shedding", "draining", "not ready"};
  return names[word];
}

json_t *wr_snapshot_fetch(const struct wr_options *o, int *code)
{
  struct wr_client_request request = {.method = "GET", .path = "/status", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  *code = wr_client_ask(o, &request, &reply);
  if (*code) return NULL;
  json_t *status = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  wr_buf_fini(&reply.body);
  if (reply.status == STATUS_OK && json_is_object(status)) return status;
  wr_options_refuse(o, "weir answered with status %ld and no status page", reply.status);
  json_decref(status);
  *code = WR_EXIT_FAILED;
  return NULL;
}
