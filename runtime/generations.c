#include "generations.h"

#include "base/alloc.h"
#include "fleet.h"
#include "policy/generation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// What all workers and the history say of one generation.
struct row {
  uint64_t number; ///< 0: it did not get that far
  enum wr_generation_state state;
  uint64_t hash; ///< 0: unknown
  uint32_t files, routes;
  uint64_t since_ns; ///< when it came to its state; 0: unknown
  uint64_t requests, bytes, served;
  uint32_t workers; ///< that hold it
  const char *why;  ///< it failed; else NULL
};

struct rows {
  struct row *items;
  size_t count;
};

static struct row *row_of(struct rows *rows, uint64_t number)
{
  for (size_t i = 0; i < rows->count; i++) {
    if (rows->items[i].number == number && number != 0) return &rows->items[i];
  }
  struct row *r = &rows->items[rows->count++];
  *r = (struct row){.number = number, .state = WR_GENERATION_STATES};
  return r;
}

static void put_report(struct row *r, const struct wr_candidate_report *report)
{
  r->hash = report->hash;
  r->files = report->files;
  r->routes = report->routes;
}

// --- who knows of them --------------------------------------------------------------------------

static void read_tally(struct rows *rows, const struct wr_tally *t)
{
  uint64_t number = atomic_load_explicit(&t->number, memory_order_acquire);
  uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
  if (number == 0 || state >= WR_GENERATION_STATES) return;
  struct row *r = row_of(rows, number);
  // Workers swap one after the other: the one that is furthest says how far it is.
  if (r->state == WR_GENERATION_STATES || state > r->state) r->state = state;
  r->workers++;
  r->requests += atomic_load_explicit(&t->requests, memory_order_relaxed);
  r->bytes += atomic_load_explicit(&t->bytes, memory_order_relaxed);
  for (size_t i = 0; i < WR_TALLY_ENDS; i++) {
    r->served += atomic_load_explicit(&t->ends[i], memory_order_relaxed);
  }
}

static void read_workers(const struct wr_master *m, struct rows *rows)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    const struct wr_slot *slot = wr_slot_of(&m->arena, wr_fleet_serving(m)[i].slot);
    for (size_t k = 0; k < WR_TALLY_ROWS; k++) read_tally(rows, &slot->tallies[k]);
  }
}

static void read_history(const struct wr_master *m, struct rows *rows)
{
  WR_LIST_EACH(&m->history.past, node) {
    const struct wr_past *p = WR_CONTAINER(node, struct wr_past, link);
    struct row *r = row_of(rows, p->number);
    put_report(r, &p->report);
    r->since_ns = p->since_ns;
    bool is_warm = r->state == WR_GENERATION_COOLING && r->workers == m->settings->workers;
    bool is_busy = r->state != WR_GENERATION_STATES && r->state != WR_GENERATION_COOLING;
    if (!is_warm && !is_busy) r->state = WR_GENERATION_COLD;
  }
}

static void read_quarantined(const struct wr_master *m, struct rows *rows)
{
  WR_LIST_EACH(&m->history.quarantined, node) {
    const struct wr_quarantine *q = WR_CONTAINER(node, struct wr_quarantine, link);
    struct row *r = row_of(rows, q->number);
    r->hash = q->hash;
    r->why = q->why;
    r->since_ns = q->since_ns;
    // It serves on, if there was none to go back to.
    if (q->number != m->live) r->state = WR_GENERATION_FAILED;
  }
}

static void read_master(const struct wr_master *m, struct rows *rows)
{
  const struct wr_reload *reload = &m->reload;
  if (m->live != 0) {
    struct row *r = row_of(rows, m->live);
    put_report(r, &m->live_report);
    r->state = WR_GENERATION_LIVE;
    r->since_ns = m->live_since_ns;
  }
  bool is_canary = reload->stage == WR_RELOAD_CANARY;
  if (is_canary || reload->stage == WR_RELOAD_PREPARE) {
    struct row *r = row_of(rows, reload->number);
    put_report(r, &reload->report);
    bool is_shadow = reload->order->probation.is_shadow;
    r->state = !is_canary  ? WR_GENERATION_WARMING
               : is_shadow ? WR_GENERATION_SHADOW
                           : WR_GENERATION_CANARY;
    r->since_ns = reload->started_ns;
  }
  if (reload->last[0] != '\0') {
    struct row *r = row_of(rows, 0);
    r->state = WR_GENERATION_FAILED;
    r->why = reload->last;
    r->since_ns = reload->failed_ns;
  }
}

// --- writing ------------------------------------------------------------------------------------

static int newest_first(const void *a, const void *b)
{
  const struct row *x = a;
  const struct row *y = b;
  if (x->number == 0 || y->number == 0) return x->number == 0 ? -1 : 1;
  return x->number < y->number ? 1 : -1;
}

static void write_row(const struct wr_master *m, const struct row *r, struct wr_json *j)
{
  if (r->state == WR_GENERATION_STATES) return; // gone while it was read
  uint64_t now = wr_loop_now(&m->loop);
  char hash[24];
  snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)r->hash);
  wr_json_object(j);
  if (r->number != 0) wr_json_field_uint(j, "number", r->number);
  wr_json_field_cstr(j, "state", wr_generation_state_name(r->state));
  if (r->hash != 0) wr_json_field_cstr(j, "hash", hash);
  if (r->files != 0) wr_json_field_uint(j, "files", r->files);
  if (r->files != 0) wr_json_field_uint(j, "routes", r->routes);
  wr_json_field_uint(j, "requests", r->requests);
  wr_json_field_uint(j, "served", r->served);
  wr_json_field_uint(j, "bytes", r->bytes);
  if (r->since_ns != 0)
    wr_json_field_num(j, "age_s", floor((double)(now - r->since_ns) / 1e6) / 1e3);
  if (r->why != NULL) wr_json_field_cstr(j, "why", r->why);
  wr_json_object_end(j);
}

// How many rows there can be at most.
static size_t rows_max(const struct wr_master *m)
{
  size_t told = (size_t)m->settings->workers * WR_TALLY_ROWS;
  return told + m->history.past_count + m->history.quarantined_count + 3;
}

void wr_generations_write(struct wr_master *m, struct wr_json *j)
{
  struct rows rows = {wr_alloc(rows_max(m) * sizeof(struct row)), 0};
  read_workers(m, &rows);
  read_history(m, &rows);
  read_master(m, &rows);
  read_quarantined(m, &rows);
  qsort(rows.items, rows.count, sizeof(struct row), newest_first);
  wr_json_array(j);
  for (size_t i = 0; i < rows.count; i++) write_row(m, &rows.items[i], j);
  wr_json_array_end(j);
  wr_free(rows.items);
}
