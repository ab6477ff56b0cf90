#include "arena/journal.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "base/stamp.h"
#include "observe/explain.h"
#include "observe/explain_record.h"

#include <math.h>
#include <stdlib.h>

// --- reading a record ---------------------------------------------------------------------------

static bool take_texts(struct wr_str *from, struct wr_str *texts, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    uint16_t len = 0;
    if (!wr_str_take_copy(from, sizeof(len), &len) || !wr_str_take(from, len, &texts[i])) {
      return false;
    }
  }
  return true;
}

struct found {
  struct wr_str record;
  struct wr_explain_head head;
  struct wr_str texts[WR_EXPLAIN_TEXTS];
  struct wr_str links; // the rest of the record
  uint32_t slot;
};

static bool open_record(struct wr_str record, struct found *f)
{
  f->record = f->links = record;
  return wr_str_take_copy(&f->links, sizeof(f->head), &f->head) &&
         take_texts(&f->links, f->texts, WR_EXPLAIN_TEXTS);
}

// --- as JSON ------------------------------------------------------------------------------------

static void put_text(struct wr_json *j, const char *key, struct wr_str text)
{
  if (text.len > 0) wr_json_field_str(j, key, text);
}

static void put_request(struct wr_json *j, const struct found *f)
{
  char stamp[WR_STAMP_TEXT];
  wr_json_field_cstr(j, "timestamp", wr_stamp_text(f->head.wall_ns, stamp));
  wr_json_field_str(j, "request_id", f->texts[WR_EXPLAIN_ID]);
  put_text(j, "trace_id", f->texts[WR_EXPLAIN_TRACE]);
  wr_json_field_str(j, "method", f->texts[WR_EXPLAIN_METHOD]);
  wr_json_field_str(j, "path", f->texts[WR_EXPLAIN_PATH]);
  wr_json_field_str(j, "route", f->texts[WR_EXPLAIN_ROUTE]);
  wr_json_field_str(j, "client", f->texts[WR_EXPLAIN_CLIENT]);
  wr_json_field_uint(j, "worker", f->slot);
  wr_json_field_uint(j, "generation", f->head.generation);
  wr_json_field_uint(j, "status", f->head.status);
  wr_json_field_str(j, "why", f->texts[WR_EXPLAIN_WHY]);
  put_text(j, "error", f->texts[WR_EXPLAIN_ERROR]);
  put_text(j, "message", f->texts[WR_EXPLAIN_MESSAGE]);
  wr_json_field_num(j, "duration_ms", wr_duration_ms(f->head.took_ns));
}

static void put_link(struct wr_json *j, const struct wr_explain_link *l, const struct wr_str *texts)
{
  wr_json_object(j);
  wr_json_field_num(j, "at_ms", wr_duration_ms(l->at_ns));
  wr_json_field_cstr(j, "what", wr_chain_decision((enum wr_decision)l->what));
  put_text(j, "kind", texts[WR_EXPLAIN_KIND]);
  put_text(j, "name", texts[WR_EXPLAIN_NAME]);
  put_text(j, "policy", texts[WR_EXPLAIN_POLICY]);
  if (l->number > 0) wr_json_field_uint(j, "number", l->number);
  put_text(j, l->what == WR_DECISION_LAYER ? "limit" : "endpoint", texts[WR_EXPLAIN_DETAIL]);
  put_text(j, "result", texts[WR_EXPLAIN_RESULT]);
  if (l->status > 0) wr_json_field_uint(j, "status", l->status);
  wr_json_field_num(j, "took_ms", l->took_ns == UINT64_MAX ? NAN : wr_duration_ms(l->took_ns));
  if (l->delay_ns > 0) wr_json_field_num(j, "delay_ms", wr_duration_ms(l->delay_ns));
  put_text(j, "message", texts[WR_EXPLAIN_REASON]);
  wr_json_object_end(j);
}

static void put_chain(struct wr_json *j, const struct found *f)
{
  struct wr_str rest = f->links;
  wr_json_key(j, "chain");
  wr_json_array(j);
  for (int i = 0; i < f->head.links; i++) {
    struct wr_explain_link link;
    struct wr_str texts[WR_EXPLAIN_LINK_TEXTS];
    if (!wr_str_take_copy(&rest, sizeof(link), &link) || link.what >= WR_DECISIONS ||
        !take_texts(&rest, texts, WR_EXPLAIN_LINK_TEXTS)) {
      break;
    }
    put_link(j, &link, texts);
  }
  wr_json_array_end(j);
  if (f->head.left_out > 0) wr_json_field_uint(j, "left_out", f->head.left_out);
}

// --- looking for records ------------------------------------------------------------------------

// What is done with each record; false: enough.
typedef bool (*visit_fn)(void *ctx, const struct found *f);

static bool walk_ring(const struct wr_arena *a, struct wr_journal_cursor cursor, visit_fn each,
                      void *ctx)
{
  struct wr_buf record;
  bool goes_on = true;
  wr_buf_init(&record, WR_JOURNAL_RECORD_MAX);
  while (goes_on && wr_journal_next(a, &cursor, &record)) {
    struct found f = {.slot = cursor.slot};
    if (open_record(wr_buf_str(&record), &f)) goes_on = each(ctx, &f);
  }
  wr_buf_fini(&record);
  return goes_on;
}

static void walk(const struct wr_arena *a, bool failed_only, visit_fn each, void *ctx)
{
  for (uint32_t slot = 0; slot < a->header->slot_count; slot++) {
    struct wr_journal_cursor failed = {.slot = slot, .ring = WR_JOURNAL_FAILED};
    struct wr_journal_cursor others = {.slot = slot, .ring = WR_JOURNAL_CHAINS};
    if (!walk_ring(a, failed, each, ctx)) return;
    if (!failed_only && !walk_ring(a, others, each, ctx)) return;
  }
}

// The newest requests, a heap with the oldest of them on top.
struct one {
  uint64_t wall_ns;
  uint32_t slot;
  struct wr_buf record;
};

struct newest {
  struct one *items;
  size_t count, room;
};

static void sift(struct newest *n, size_t at)
{
  for (;;) {
    size_t least = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n->count; child++) {
      if (n->items[child].wall_ns < n->items[least].wall_ns) least = child;
    }
    if (least == at) return;
    struct one swap = n->items[at];
    n->items[at] = n->items[least];
    n->items[least] = swap;
    at = least;
  }
}

static void fill(struct one *one, const struct found *f)
{
  one->wall_ns = f->head.wall_ns;
  one->slot = f->slot;
  wr_buf_clear(&one->record);
  wr_buf_append_str(&one->record, f->record);
}

static bool keep_newest(void *ctx, const struct found *f)
{
  struct newest *n = ctx;
  if (n->count < n->room) {
    struct one *one = &n->items[n->count++];
    wr_buf_init(&one->record, WR_JOURNAL_RECORD_MAX);
    fill(one, f);
    for (size_t i = n->count == n->room ? n->room / 2 + 1 : 0; i-- > 0;) sift(n, i);
  } else if (f->head.wall_ns > n->items[0].wall_ns) {
    fill(&n->items[0], f);
    sift(n, 0);
  }
  return true;
}

static int by_age(const void *a, const void *b)
{
  uint64_t x = ((const struct one *)a)->wall_ns;
  uint64_t y = ((const struct one *)b)->wall_ns;
  return x < y ? 1 : x > y ? -1 : 0;
}

void wr_explain_list(const struct wr_arena *a, bool failed_only, size_t count, struct wr_json *j)
{
  struct newest n = {.items = wr_alloc(count * sizeof(*n.items)), .room = count};
  if (count > 0) walk(a, failed_only, keep_newest, &n);
  qsort(n.items, n.count, sizeof(*n.items), by_age);
  wr_json_array(j);
  for (size_t i = 0; i < n.count; i++) {
    struct found f = {.slot = n.items[i].slot};
    if (open_record(wr_buf_str(&n.items[i].record), &f)) {
      wr_json_object(j);
      put_request(j, &f);
      wr_json_object_end(j);
    }
    wr_buf_fini(&n.items[i].record);
  }
  wr_json_array_end(j);
  wr_free(n.items);
}

struct search {
  struct wr_str id;
  struct wr_json *j;
  bool is_found;
};

static bool show_wanted(void *ctx, const struct found *f)
{
  struct search *search = ctx;
  if (!wr_str_eq(f->texts[WR_EXPLAIN_ID], search->id)) return true;
  search->is_found = true;
  wr_json_object(search->j);
  put_request(search->j, f);
  put_chain(search->j, f);
  wr_json_object_end(search->j);
  return false;
}

bool wr_explain_show(const struct wr_arena *a, struct wr_str id, struct wr_json *j)
{
  struct search search = {id, j, false};
  walk(a, false, show_wanted, &search);
  return search.is_found;
}
