#include "upstream/srv.h"

#include <ares.h>
#include <string.h>

enum { HEADER = 12, QUESTION_TAIL = 4, RECORD_HEAD = 10, SRV_HEAD = 6, CLASS_IN = 1 };

struct reader {
  const unsigned char *all, *at, *end;
};

static uint16_t u16(const unsigned char *p)
{
  return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t u32(const unsigned char *p)
{
  return (uint32_t)u16(p) << 16 | u16(p + 2);
}

// Reads a name; `text` may be NULL.
static bool read_name(struct reader *r, char *text, size_t room)
{
  char *name = NULL;
  long used = 0;
  if (r->at >= r->end ||
      ares_expand_name(r->at, r->all, (int)(r->end - r->all), &name, &used) != ARES_SUCCESS) {
    return false;
  }
  size_t len = strlen(name);
  bool fits = text == NULL || len < room;
  if (text && fits) memcpy(text, name, len + 1);
  ares_free_string(name);
  r->at += used;
  return fits && r->at <= r->end;
}

static bool has(const struct reader *r, size_t bytes)
{
  return (size_t)(r->end - r->at) >= bytes;
}

static bool read_srv(struct reader r, uint32_t ttl_s, struct wr_srv_answer *out)
{
  struct wr_srv_record record = {0};
  if (!has(&r, SRV_HEAD)) return false;
  record.priority = u16(r.at);
  record.weight = u16(r.at + 2);
  record.port = u16(r.at + 4);
  r.at += SRV_HEAD;
  if (!read_name(&r, record.target, sizeof(record.target))) return false;
  if (out->count == WR_SRV_RECORDS_MAX) return true;
  if (out->count == 0 || ttl_s < out->ttl_s) out->ttl_s = ttl_s;
  out->records[out->count++] = record;
  return true;
}

static bool read_record(struct reader *r, struct wr_srv_answer *out)
{
  if (!read_name(r, NULL, 0) || !has(r, RECORD_HEAD)) return false;
  bool is_srv = u16(r->at) == WR_SRV_TYPE && u16(r->at + 2) == CLASS_IN;
  uint32_t ttl_s = u32(r->at + 4);
  size_t size = u16(r->at + 8);
  r->at += RECORD_HEAD;
  if (!has(r, size)) return false;
  bool ok = !is_srv || read_srv(*r, ttl_s, out);
  r->at += size;
  return ok;
}

bool wr_srv_read(const unsigned char *reply, size_t len, struct wr_srv_answer *out)
{
  struct reader r = {reply, reply + HEADER, reply + len};
  out->count = 0;
  out->ttl_s = 0;
  if (len < HEADER) return false;
  for (unsigned i = u16(reply + 4); i > 0; i--) {
    if (!read_name(&r, NULL, 0) || !has(&r, QUESTION_TAIL)) return false;
    r.at += QUESTION_TAIL;
  }
  for (unsigned i = u16(reply + 6); i > 0; i--) {
    if (!read_record(&r, out)) return false;
  }
  return true;
}
