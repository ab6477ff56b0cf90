// Records of the journal that tell whether they are whole, and who reads them while they are
// written and their writers killed. For kill_stress.c.
#pragma once

#include "arena/journal.h"
#include "stress.h"

enum { JOURNAL_RECORD_LONGEST = 6000 };

static inline unsigned char stress_journal_byte(uint32_t salt, uint32_t at)
{
  return (unsigned char)(salt * 31 + at * 7 + (at >> 8));
}

static inline void stress_journal_write(struct stress_worker *me)
{
  char text[8 + JOURNAL_RECORD_LONGEST];
  uint32_t len = (uint32_t)wr_rng_below(&me->rng, JOURNAL_RECORD_LONGEST);
  uint32_t salt = (uint32_t)wr_rng_next(&me->rng);
  memcpy(text, &len, sizeof(len));
  memcpy(text + 4, &salt, sizeof(salt));
  for (uint32_t i = 0; i < len; i++) text[8 + i] = (char)stress_journal_byte(salt, i);
  wr_journal_write(me->world->arena, me->slot, WR_JOURNAL_EVENTS, (struct wr_str){text, 8 + len});
}

struct stress_reader {
  struct wr_journal_cursor cursors[WORKERS];
  struct wr_buf record;
  uint64_t read;
};

static inline void stress_reader_init(struct stress_reader *r)
{
  *r = (struct stress_reader){.read = 0};
  wr_buf_init(&r->record, WR_JOURNAL_RECORD_MAX);
  for (uint32_t i = 0; i < WORKERS; i++) {
    r->cursors[i] = (struct wr_journal_cursor){.slot = i, .ring = WR_JOURNAL_EVENTS};
  }
}

static inline void stress_reader_check(struct wr_str record)
{
  uint32_t len = 0;
  uint32_t salt = 0;
  WR_CHECK(record.len >= 8);
  memcpy(&len, record.ptr, sizeof(len));
  memcpy(&salt, record.ptr + 4, sizeof(salt));
  WR_CHECK(record.len == 8 + (size_t)len);
  for (uint32_t i = 0; i < len; i++) {
    WR_CHECK((unsigned char)record.ptr[8 + i] == stress_journal_byte(salt, i));
  }
}

/// Reads what there is by now: whole records only, whatever became of who wrote them.
static inline void stress_reader_read(struct stress_reader *r, const struct wr_arena *a)
{
  for (uint32_t i = 0; i < WORKERS; i++) {
    uint64_t before = r->cursors[i].next;
    for (int n = 0; n < 64 && wr_journal_next(a, &r->cursors[i], &r->record); n++) {
      stress_reader_check(wr_buf_str(&r->record));
      WR_CHECK(r->cursors[i].next > before);
      before = r->cursors[i].next;
      r->read++;
    }
  }
}
