#include "observe/log_tap.h"

#include "arena/journal.h"

#include <string.h>

static bool is_many(const char *event)
{
  return strcmp(event, "access") == 0 || strcmp(event, "script.log") == 0;
}

static bool wants(void *ctx, enum wr_log_level level, const char *event)
{
  const struct wr_log_tapped *t = ctx;
  if (level < WR_LOG_INFO) return false;
  return !is_many(event) || wr_journal_is_followed(t->arena, wr_loop_now(t->loop));
}

static void take(void *ctx, const char *event, struct wr_str line)
{
  const struct wr_log_tapped *t = ctx;
  wr_journal_write(t->arena, t->slot, is_many(event) ? WR_JOURNAL_LINES : WR_JOURNAL_EVENTS, line);
}

void wr_log_tap_open(struct wr_log_tapped *t, struct wr_log *log, struct wr_arena *a, uint32_t slot,
                     const struct wr_loop *l)
{
  *t = (struct wr_log_tapped){{wants, take, t}, a, l, slot};
  log->tap = &t->tap;
}
