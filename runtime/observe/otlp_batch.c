#include "observe/otlp_batch.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/gzip.h"

enum { RESOURCES = 1, RESOURCE = 1, SCOPES = 2, SCOPE = 1, RECORDS = 2 }; // alike in all signals
enum { ENVELOPE = 64 * 1024 }; // what a batch has around its records, the resource among it

static const struct {
  const char *resources, *scopes, *records;
} names[] = {
    [WR_OTLP_TRACES] = {"resourceSpans", "scopeSpans", "spans"},
    [WR_OTLP_METRICS] = {"resourceMetrics", "scopeMetrics", "metrics"},
    [WR_OTLP_LOGS] = {"resourceLogs", "scopeLogs", "logRecords"},
};

void wr_otlp_batch_init(struct wr_otlp_batch *b, const struct wr_otlp_settings *settings,
                        enum wr_otlp_signal signal,
                        void (*deliver)(void *ctx, struct wr_otlp_batch *b), void *ctx)
{
  *b = (struct wr_otlp_batch){
      .settings = settings, .signal = signal, .deliver = deliver, .ctx = ctx};
  wr_buf_init(&b->done, WR_OTLP_BATCH_MAX);
  wr_buf_init(&b->record, WR_OTLP_RECORD_MAX);
}

void wr_otlp_batch_fini(struct wr_otlp_batch *b)
{
  wr_buf_fini(&b->done);
  wr_buf_fini(&b->record);
}

struct wr_otlp_writer *wr_otlp_batch_begin(struct wr_otlp_batch *b)
{
  bool is_json = b->settings->targets[b->signal].is_json;
  wr_buf_clear(&b->record);
  if (is_json && b->records > 0) wr_buf_append(&b->record, ",", 1);
  wr_otlp_writer_init(&b->writer, &b->record, is_json);
  wr_otlp_writer_item(&b->writer, RECORDS);
  return &b->writer;
}

static uint64_t records_max(const struct wr_otlp_batch *b)
{
  return b->signal == WR_OTLP_TRACES ? b->settings->batch_max : UINT64_MAX;
}

bool wr_otlp_batch_end(struct wr_otlp_batch *b)
{
  wr_otlp_writer_item_end(&b->writer);
  if (!wr_otlp_writer_is_whole(&b->writer)) return false;
  if (!wr_buf_append_str(&b->done, wr_buf_str(&b->record))) return false;
  b->records++;
  if (b->done.len > WR_OTLP_BATCH_MAX / 2 || b->records >= records_max(b)) b->deliver(b->ctx, b);
  return true;
}

static void put_resource(struct wr_otlp_writer *w, const struct wr_otlp_pairs *pairs)
{
  wr_otlp_writer_message(w, RESOURCE, "resource");
  wr_otlp_writer_attributes(w, 1);
  for (size_t i = 0; i < pairs->count; i++) {
    wr_otlp_writer_attribute(w, pairs->items[i].name, pairs->items[i].value);
  }
  wr_otlp_writer_attributes_end(w);
  wr_otlp_writer_message_end(w);
}

static void put_scope(struct wr_otlp_writer *w)
{
  wr_otlp_writer_message(w, SCOPE, "scope");
  wr_otlp_writer_text(w, 1, "name", WR_STR("weir"));
  wr_otlp_writer_text(w, 2, "version", WR_STR(WEIR_VERSION));
  wr_otlp_writer_message_end(w);
}

static void wrap(const struct wr_otlp_batch *b, struct wr_buf *out)
{
  struct wr_otlp_writer w;
  wr_otlp_writer_init(&w, out, b->settings->targets[b->signal].is_json);
  if (w.is_json) wr_json_object(&w.json);
  wr_otlp_writer_list(&w, names[b->signal].resources);
  wr_otlp_writer_item(&w, RESOURCES);
  put_resource(&w, &b->settings->resource);
  wr_otlp_writer_list(&w, names[b->signal].scopes);
  wr_otlp_writer_item(&w, SCOPES);
  put_scope(&w);
  wr_otlp_writer_list(&w, names[b->signal].records);
  bool has_room = wr_buf_append_str(out, wr_buf_str(&b->done));
  wr_otlp_writer_list_end(&w);
  wr_otlp_writer_item_end(&w);
  wr_otlp_writer_list_end(&w);
  wr_otlp_writer_item_end(&w);
  wr_otlp_writer_list_end(&w);
  if (w.is_json) wr_json_object_end(&w.json);
  WR_CHECK(has_room && wr_otlp_writer_is_whole(&w));
}

struct wr_otlp_payload *wr_otlp_batch_payload(enum wr_otlp_signal signal, uint32_t records,
                                              struct wr_str data)
{
  struct wr_otlp_payload *p = wr_alloc(sizeof(*p) + data.len);
  wr_list_init(&p->link);
  p->signal = signal;
  p->records = records;
  p->len = data.len;
  memcpy(p->data, data.ptr, data.len);
  return p;
}

struct wr_otlp_payload *wr_otlp_batch_take(struct wr_otlp_batch *b)
{
  struct wr_buf whole, packed;
  if (b->records == 0) return NULL;
  wr_buf_init(&whole, WR_OTLP_BATCH_MAX + ENVELOPE);
  wr_buf_init(&packed, WR_OTLP_BATCH_MAX + 2 * ENVELOPE);
  wrap(b, &whole);
  struct wr_str data = wr_buf_str(&whole);
  if (b->settings->targets[b->signal].is_gzip) {
    WR_CHECK(wr_gzip_pack(data, &packed));
    data = wr_buf_str(&packed);
  }
  struct wr_otlp_payload *p = wr_otlp_batch_payload(b->signal, b->records, data);
  wr_buf_fini(&whole);
  wr_buf_fini(&packed);
  wr_buf_clear(&b->done);
  b->records = 0;
  return p;
}
