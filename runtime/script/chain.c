#include "script/chain.h"

#include "base/buf.h"
#include "base/check.h"

enum { FIRST_ROOM = 8 };

// The old array stays where it is until the request is over: there is a copy of log n of them.
static bool make_room(struct wr_chain *c)
{
  if (c->count < c->room) return true;
  if (c->room >= WR_CHAIN_MAX) return false;
  uint32_t room = c->room ? c->room * 2 : FIRST_ROOM;
  struct wr_chain_link *links = wr_region_take(c->region, room * sizeof(*links));
  if (links == NULL) return false;
  if (c->count > 0) memcpy(links, c->links, c->count * sizeof(*links));
  c->links = links;
  c->room = room;
  return true;
}

struct wr_chain_link *wr_chain_add(struct wr_chain *c, enum wr_decision what, struct wr_str name,
                                   uint64_t now_ns)
{
  if (c->region == NULL) return NULL;
  if (!make_room(c)) {
    c->left_out++;
    return NULL;
  }
  struct wr_chain_link *link = &c->links[c->count++];
  *link = (struct wr_chain_link){.what = (uint8_t)what,
                                 .inside = WR_CHAIN_NONE,
                                 .method = "",
                                 .name = name,
                                 .begun_ns = now_ns,
                                 .ended_ns = now_ns};
  return link;
}

int wr_chain_index(const struct wr_chain *c, const struct wr_chain_link *link)
{
  return (int)(link - c->links);
}

struct wr_chain_link *wr_chain_at(struct wr_chain *c, int index)
{
  if (index == WR_CHAIN_NONE) return NULL;
  WR_CHECK((uint32_t)index < c->count);
  return &c->links[index];
}

struct wr_str wr_chain_text(struct wr_chain *c, struct wr_str text)
{
  if (text.len == 0) return (struct wr_str){"", 0};
  struct wr_str copy = wr_region_copy(c->region, text);
  return copy.ptr ? copy : (struct wr_str){"", 0};
}

const char *wr_chain_decision(enum wr_decision what)
{
  static const char *const names[] = {
#define WR_DECISION(ENUM, name, doc) name,
#include "tables/decisions.def"
#undef WR_DECISION
  };
  WR_CHECK(what < WR_DECISIONS);
  return names[what];
}

// "breaker recs: open", "attempt 2 recs 127.0.0.1:9101: 503", "retry recs: retry in 43 ms"
static void put_line(struct wr_buf *out, const struct wr_chain_link *l)
{
  struct wr_str what = l->kind;
  if (what.len == 0) what = wr_str_of(wr_chain_decision((enum wr_decision)l->what));
  wr_buf_printf(out, "%s%.*s", out->len > 0 ? ", " : "", WR_STR_ARG(what));
  if (l->number > 0) wr_buf_printf(out, " %u", l->number);
  if (l->name.len > 0) wr_buf_printf(out, " %.*s", WR_STR_ARG(l->name));
  if (l->detail.len > 0) wr_buf_printf(out, " %.*s", WR_STR_ARG(l->detail));
  if (l->status > 0) {
    wr_buf_printf(out, ": %u", l->status);
  } else {
    struct wr_str result = l->result.len > 0 ? l->result : WR_STR("under way");
    wr_buf_printf(out, ": %.*s", WR_STR_ARG(result));
  }
  uint64_t took_ns = l->ended_ns ? l->ended_ns - l->begun_ns : 0;
  if (took_ns > 0) wr_buf_printf(out, " after %.1f ms", (double)took_ns / 1e6);
  if (l->delay_ns > 0) wr_buf_printf(out, " in %.1f ms", (double)l->delay_ns / 1e6);
}

struct wr_str wr_chain_line(struct wr_chain *c)
{
  struct wr_buf out;
  wr_buf_init(&out, WR_CHAIN_LINE_MAX);
  for (uint32_t i = 0; i < c->count; i++) put_line(&out, &c->links[i]);
  if (out.len == 0) wr_buf_printf(&out, "nothing was asked");
  struct wr_str line = wr_region_copy(c->region, wr_buf_str(&out));
  wr_buf_fini(&out);
  return line;
}
