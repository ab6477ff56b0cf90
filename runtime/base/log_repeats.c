#include "base/log_repeats.h"

#include "base/hash.h"

#include <stdio.h>

static void tell(struct wr_log_repeat *row, struct wr_log *log)
{
  struct wr_json *j = row->hidden > 0 ? wr_log_begin(log, WR_LOG_ERROR, "log.repeats") : NULL;
  row->hash = 0;
  if (j == NULL) return;
  wr_json_field_cstr(j, "of", row->event);
  wr_json_field_cstr(j, "message", row->message);
  wr_json_field_uint(j, "count", row->hidden);
  wr_log_end(log);
}

static struct wr_log_repeat *row_of(struct wr_log_repeats *r, struct wr_log *log, uint64_t hash,
                                    uint64_t now_ns)
{
  struct wr_log_repeat *row = &r->rows[hash % WR_LOG_REPEATS_ROWS];
  if (row->hash != 0 && (row->hash != hash || row->until_ns <= now_ns)) tell(row, log);
  return row;
}

struct wr_json *wr_log_repeats_begin(struct wr_log_repeats *r, struct wr_log *log,
                                     const char *event, struct wr_str message, uint64_t now_ns)
{
  uint64_t hash = wr_hash_fnv(wr_hash_fnv(0, wr_str_of(event)), message) | 1;
  struct wr_log_repeat *row = row_of(r, log, hash, now_ns);
  if (row->hash == 0) {
    *row = (struct wr_log_repeat){
        .hash = hash, .until_ns = now_ns + WR_LOG_REPEATS_NS, .event = event};
    snprintf(row->message, sizeof(row->message), "%.*s", WR_STR_ARG(message));
  }
  if (row->shown == WR_LOG_REPEATS_SHOWN) {
    row->hidden++;
    return NULL;
  }
  row->shown++;
  struct wr_json *j = wr_log_begin(log, WR_LOG_ERROR, event);
  if (j) wr_json_field_str(j, "message", message);
  return j;
}

void wr_log_repeats_settle(struct wr_log_repeats *r, struct wr_log *log, uint64_t now_ns)
{
  for (size_t i = 0; i < WR_LOG_REPEATS_ROWS; i++) {
    struct wr_log_repeat *row = &r->rows[i];
    if (row->hash != 0 && row->until_ns <= now_ns) tell(row, log);
  }
}
