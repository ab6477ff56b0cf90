#include "observe/explain.h"

#include "arena/journal.h"
#include "base/duration.h"
#include "base/hash.h"
#include "observe/explain_record.h"

#define REPEAT_NS (5 * WR_SECOND)

void wr_explain_init(struct wr_explain *e)
{
  *e = (struct wr_explain){0};
  wr_buf_init(&e->record, WR_JOURNAL_RECORD_MAX);
}

void wr_explain_fini(struct wr_explain *e)
{
  wr_buf_fini(&e->record);
}

// What a record is written into: room for the longest, taken at once.
struct room {
  char *at;
  const char *end;
};

static size_t cut(struct wr_str text)
{
  return text.len < WR_EXPLAIN_TEXT_MAX ? text.len : WR_EXPLAIN_TEXT_MAX;
}

static bool put(struct room *r, const void *head, size_t size, const struct wr_str *texts,
                size_t count)
{
  size_t all = size + count * sizeof(uint16_t);
  for (size_t i = 0; i < count; i++) all += cut(texts[i]);
  if (all > (size_t)(r->end - r->at)) return false;
  char *at = r->at;
  memcpy(at, head, size);
  at += size;
  for (size_t i = 0; i < count; i++) {
    uint16_t len = (uint16_t)cut(texts[i]);
    memcpy(at, &len, sizeof(len));
    at = wr_str_put(at + sizeof(len), (struct wr_str){texts[i].ptr, len});
  }
  r->at = at;
  return true;
}

static bool put_link(struct room *r, const struct wr_chain_link *l, uint64_t start_ns)
{
  struct wr_explain_link link = {
      .at_ns = l->begun_ns - start_ns,
      .took_ns = l->ended_ns ? l->ended_ns - l->begun_ns : UINT64_MAX,
      .delay_ns = l->delay_ns,
      .number = l->number,
      .status = l->status,
      .what = l->what,
  };
  const struct wr_str texts[WR_EXPLAIN_LINK_TEXTS] = {
      [WR_EXPLAIN_KIND] = l->kind,     [WR_EXPLAIN_RESULT] = l->result,
      [WR_EXPLAIN_NAME] = l->name,     [WR_EXPLAIN_POLICY] = l->policy,
      [WR_EXPLAIN_DETAIL] = l->detail, [WR_EXPLAIN_REASON] = l->why,
  };
  return put(r, &link, sizeof(link), texts, WR_EXPLAIN_LINK_TEXTS);
}

// Requests are told apart by milliseconds, and clocks cost more than all else here.
static uint64_t wall_of(struct wr_explain *e, uint64_t now_ns)
{
  if (now_ns >= e->due_ns) {
    e->wall_ns = wr_loop_wall() - now_ns;
    e->due_ns = now_ns + WR_SECOND;
  }
  return e->wall_ns + now_ns;
}

// Whom the answer disappointed: what `weir explain` is asked about.
static bool has_failed(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  return stats->status >= 500 || s->error != WR_ERROR_NONE || !stats->is_complete;
}

// Under a siege the same refusal comes again and again: one each few seconds tells as much, and
// does not push out what else has failed. The others are among the newest.
static bool is_repeat(struct wr_explain *e, const struct wr_trail *trail, uint64_t now_ns)
{
  if (trail->refused_by[0] == '\0') return false;
  uint64_t cause =
      wr_hash_fnv(wr_hash_fnv(0, wr_str_of(trail->route)), wr_str_of(trail->refused_by));
  size_t at = cause % WR_EXPLAIN_CAUSES;
  if (e->repeats[at].cause == cause && now_ns < e->repeats[at].until_ns) return true;
  e->repeats[at].cause = cause;
  e->repeats[at].until_ns = now_ns + REPEAT_NS;
  return false;
}

void wr_explain_keep(struct wr_explain *e, const struct wr_serving *s,
                     const struct wr_exchange_stats *stats, const char *why)
{
  const struct wr_exchange_info *info = s->request.info;
  const struct wr_trail *trail = &s->request.trail;
  const struct wr_chain *chain = &trail->chain;
  bool failed = has_failed(s, stats);
  const struct wr_str texts[WR_EXPLAIN_TEXTS] = {
      [WR_EXPLAIN_ID] = info->request_id,
      [WR_EXPLAIN_TRACE] = wr_str_of(trail->trace ? trail->trace->context.trace_id : ""),
      [WR_EXPLAIN_METHOD] = info->head->method,
      [WR_EXPLAIN_PATH] = info->path,
      [WR_EXPLAIN_ROUTE] = wr_str_of(trail->route),
      [WR_EXPLAIN_CLIENT] = s->request.client,
      [WR_EXPLAIN_WHY] = wr_str_of(why),
      [WR_EXPLAIN_ERROR] = wr_str_of(failed && trail->error ? wr_error_name(trail->error) : ""),
      [WR_EXPLAIN_MESSAGE] = failed ? trail->message : (struct wr_str){"", 0},
  };
  uint64_t now_ns = wr_loop_now(s->serve->env->loop);
  uint64_t took_ns = now_ns - info->start_ns;
  struct wr_explain_head head = {.wall_ns = wall_of(e, now_ns) - took_ns,
                                 .took_ns = took_ns,
                                 .generation = s->generation_number,
                                 .status = (uint16_t)stats->status};
  wr_buf_clear(&e->record);
  char *from = wr_buf_reserve(&e->record, WR_JOURNAL_RECORD_MAX);
  struct room room = {from, from + WR_JOURNAL_RECORD_MAX};
  put(&room, &head, sizeof(head), texts, WR_EXPLAIN_TEXTS);
  while (head.links < chain->count && put_link(&room, &chain->links[head.links], info->start_ns)) {
    head.links++;
  }
  head.left_out = chain->left_out + chain->count - head.links;
  memcpy(from, &head, sizeof(head));
  struct wr_script_env *env = s->serve->env;
  bool stands_apart = failed && !is_repeat(e, trail, now_ns);
  wr_journal_write(env->arena, env->shard, stands_apart ? WR_JOURNAL_FAILED : WR_JOURNAL_CHAINS,
                   (struct wr_str){from, (size_t)(room.at - from)});
}
