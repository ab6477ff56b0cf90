#include "observe/explain.h"

#include "arena/journal.h"
#include "observe/explain_record.h"

void wr_explain_init(struct wr_explain *e)
{
  wr_buf_init(&e->record, WR_JOURNAL_RECORD_MAX);
}

void wr_explain_fini(struct wr_explain *e)
{
  wr_buf_fini(&e->record);
}

static bool put_texts(struct wr_buf *out, const struct wr_str *texts, size_t count)
{
  bool fits = true;
  for (size_t i = 0; i < count; i++) {
    size_t len = texts[i].len < WR_EXPLAIN_TEXT_MAX ? texts[i].len : WR_EXPLAIN_TEXT_MAX;
    uint16_t size = (uint16_t)len;
    fits &= wr_buf_append(out, &size, sizeof(size)) && wr_buf_append(out, texts[i].ptr, len);
  }
  return fits;
}

static void put_head(struct wr_buf *out, const struct wr_serving *s, const struct wr_str *texts,
                     struct wr_explain_head head)
{
  const struct wr_trail *trail = &s->request.trail;
  uint64_t age_ns = wr_loop_now(s->serve->env->loop) - s->request.info->start_ns;
  head.took_ns = age_ns;
  head.wall_ns = wr_loop_wall() - age_ns;
  head.generation = s->generation_number;
  head.left_out = trail->chain.left_out;
  wr_buf_append(out, &head, sizeof(head));
  put_texts(out, texts, WR_EXPLAIN_TEXTS);
}

static bool put_link(struct wr_buf *out, const struct wr_chain_link *l, uint64_t start_ns)
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
      [WR_EXPLAIN_KIND] = wr_str_of(l->kind),
      [WR_EXPLAIN_RESULT] = wr_str_of(l->result),
      [WR_EXPLAIN_NAME] = l->name,
      [WR_EXPLAIN_POLICY] = l->policy,
      [WR_EXPLAIN_DETAIL] = l->detail,
      [WR_EXPLAIN_REASON] = l->why,
  };
  size_t before = out->len;
  if (wr_buf_append(out, &link, sizeof(link)) && put_texts(out, texts, WR_EXPLAIN_LINK_TEXTS)) {
    return true;
  }
  out->len = before;
  return false;
}

// Whom the answer disappointed: what `weir explain` is asked about.
static bool has_failed(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  return stats->status >= 500 || s->error != WR_ERROR_NONE || !stats->is_complete;
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
  wr_buf_clear(&e->record);
  put_head(&e->record, s, texts, (struct wr_explain_head){.status = (uint16_t)stats->status});
  uint16_t kept = 0;
  while (kept < chain->count && put_link(&e->record, &chain->links[kept], info->start_ns)) kept++;
  struct wr_explain_head *head = (struct wr_explain_head *)wr_buf_head(&e->record);
  head->links = kept;
  head->left_out += chain->count - kept;
  struct wr_script_env *env = s->serve->env;
  wr_journal_write(env->arena, env->shard, failed ? WR_JOURNAL_FAILED : WR_JOURNAL_CHAINS,
                   wr_buf_str(&e->record));
}
