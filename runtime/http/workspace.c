#include "http/workspace.h"

#include "base/alloc.h"
#include "http/connection.h"

enum {
  OUT_MAX = 1 << 30,       // a piece is the memory of the layer above first, and bounded there
  REGION_MAX = 512 * 1024, // one exchange's strings
};

static struct wr_workspace *make(const struct wr_server *s)
{
  struct wr_workspace *ws = wr_alloc(sizeof(*ws));
  wr_buf_init(&ws->in, s->options.limits.head_max + WR_CONNECTION_AHEAD + WR_SERVER_READ_MAX);
  wr_buf_init(&ws->out, OUT_MAX);
  wr_region_init(&ws->region, REGION_MAX);
  return ws;
}

static void destroy(struct wr_workspace *ws)
{
  wr_buf_fini(&ws->in);
  wr_buf_fini(&ws->out);
  wr_region_fini(&ws->region);
  wr_free(ws);
}

struct wr_workspace *wr_workspace_take(struct wr_connection *c)
{
  struct wr_server *s = c->server;
  struct wr_workspace *ws = s->spare;
  if (ws == NULL) {
    ws = make(s);
  } else {
    s->spare = ws->next;
    s->stats.spare_bytes -= ws->bytes;
  }
  ws->c = c;
  ws->sent_ns = wr_loop_now(s->loop);
  s->stats.workspaces++;
  return ws;
}

static void empty(struct wr_buf *b)
{
  wr_buf_clear(b);
  if (b->cap > WR_WORKSPACE_KEEP) wr_buf_fini(b);
}

void wr_workspace_give(struct wr_connection *c)
{
  struct wr_workspace *ws = c->ws;
  struct wr_server *s = c->server;
  c->ws = NULL;
  s->stats.workspaces--;
  empty(&ws->in);
  empty(&ws->out);
  wr_region_clear(&ws->region);
  ws->scanned = 0;
  ws->bytes = sizeof(*ws) + ws->in.cap + ws->out.cap + WR_REGION_KEEP;
  if (s->stats.spare_bytes + ws->bytes > WR_WORKSPACE_SPARE_MAX) {
    destroy(ws);
    return;
  }
  ws->next = s->spare;
  s->spare = ws;
  s->stats.spare_bytes += ws->bytes;
}

void wr_workspace_clear(struct wr_server *s)
{
  while (s->spare != NULL) {
    struct wr_workspace *ws = s->spare;
    s->spare = ws->next;
    destroy(ws);
  }
  s->stats.spare_bytes = 0;
}
