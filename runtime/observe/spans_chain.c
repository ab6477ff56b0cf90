#include "observe/spans_chain.h"

#include <stdio.h>

// Numbers of opentelemetry-proto's Span and its Event.
enum { EVENTS = 11, EVENT_TIME = 1, EVENT_NAME = 2, EVENT_ATTRIBUTES = 3 };

enum { NAME_SIZE = 256 };

// A response's status from which on the call is an error to its caller.
enum { CLIENT_ERROR = 400 };

static bool is_attempt(const struct wr_chain_link *l)
{
  return l->what == WR_DECISION_ATTEMPT && l->number > 0;
}

// What is still under way ends with the request; a wait that was decided upon is a part of it.
static uint64_t end_of(const struct wr_chain_link *l, uint64_t now_ns)
{
  uint64_t end = l->ended_ns ? l->ended_ns : now_ns;
  if (l->left_ns > end) end = l->left_ns;
  if (l->begun_ns + l->delay_ns > end) end = l->begun_ns + l->delay_ns;
  return end < now_ns ? end : now_ns;
}

static bool is_span(const struct wr_chain_link *l, uint64_t now_ns)
{
  return is_attempt(l) || l->left_ns > 0 || end_of(l, now_ns) > l->begun_ns;
}

// Of a link's span.
static void id_of(const struct wr_trace *t, const struct wr_chain *c, const struct wr_chain_link *l,
                  char out[WR_TRACE_SPAN_TEXT])
{
  uint64_t n = is_attempt(l) ? l->number : WR_TRACE_LINKS + (uint64_t)(l - c->links);
  wr_trace_child(t, n, out);
}

// Of the layer that it was decided in, as far as that has a span: else of the one around it.
static void parent_of(const struct wr_trace *t, const struct wr_chain *c,
                      const struct wr_chain_link *l, uint64_t now_ns, char out[WR_TRACE_SPAN_TEXT])
{
  int at = l->inside;
  while (at != WR_CHAIN_NONE && !is_span(&c->links[at], now_ns)) at = c->links[at].inside;
  if (at == WR_CHAIN_NONE) {
    memcpy(out, t->context.span_id, WR_TRACE_SPAN_TEXT);
  } else {
    id_of(t, c, &c->links[at], out);
  }
}

static struct wr_str word_of(const struct wr_chain_link *l)
{
  return l->kind.len > 0 ? l->kind : wr_str_of(wr_chain_decision((enum wr_decision)l->what));
}

static void put_decision(struct wr_otlp_writer *w, const struct wr_chain_link *l)
{
  wr_span_put(w, "weir.decision", wr_str_of(wr_chain_decision((enum wr_decision)l->what)));
  wr_span_put(w, "weir.kind", l->kind);
  wr_span_put(w, "weir.name", l->name);
  wr_span_put(w, "weir.policy", l->policy);
  wr_span_put(w, "weir.result", l->result);
  wr_span_put(w, "weir.reason", l->why);
  if (l->what == WR_DECISION_LAYER) wr_span_put(w, "weir.limit", l->detail);
  if (l->number > 0) wr_otlp_writer_attribute_int(w, "weir.number", l->number);
  if (l->left_ns > 0 && l->ended_ns > l->begun_ns) {
    wr_otlp_writer_attribute_int(w, "weir.waited_us",
                                 (int64_t)((l->ended_ns - l->begun_ns) / 1000));
  }
}

// --- attempts -----------------------------------------------------------------------------------

// A call that was broken off because nobody needed it any more is no error.
static const char *error_of(const struct wr_chain_link *l)
{
  bool is_fine = l->status > 0 || l->result.len == 0 || wr_str_eq(l->result, WR_STR("cancelled"));
  return is_fine ? "" : l->result.ptr;
}

static void put_attempt(struct wr_otlp_writer *w, const struct wr_chain_link *l)
{
  wr_span_put(w, "http.request.method", wr_str_of(l->method));
  wr_span_put(w, "url.full", l->url);
  wr_span_put_server(w, l->detail);
  if (l->number > 1) wr_otlp_writer_attribute_int(w, "http.request.resend_count", l->number - 1);
  if (l->status > 0) wr_otlp_writer_attribute_int(w, "http.response.status_code", l->status);
  wr_span_put_error(w, error_of(l), l->status, CLIENT_ERROR);
  wr_span_put(w, "weir.upstream", l->name);
  wr_span_put(w, "weir.result", l->result.len > 0 ? l->result : WR_STR("under way"));
  wr_span_put(w, "weir.reason", l->why);
}

// --- spans --------------------------------------------------------------------------------------

static void name_of(const struct wr_chain_link *l, char out[NAME_SIZE])
{
  struct wr_str word = word_of(l);
  if (is_attempt(l)) word = wr_str_of(l->method[0] == '_' ? "HTTP" : l->method);
  snprintf(out, NAME_SIZE, "%.*s%s%.*s", WR_STR_ARG(word), l->name.len > 0 ? " " : "",
           WR_STR_ARG(l->name));
}

static bool write_link(struct wr_otlp_batch *b, const struct wr_trace *t, const struct wr_chain *c,
                       const struct wr_chain_link *l, const struct wr_spans_clock *clock)
{
  char name[NAME_SIZE], id[WR_TRACE_SPAN_TEXT], parent[WR_TRACE_SPAN_TEXT];
  bool is_call = is_attempt(l);
  name_of(l, name);
  id_of(t, c, l, id);
  parent_of(t, c, l, clock->now_ns, parent);
  struct wr_span span = {.trace = t,
                         .id = id,
                         .parent = parent,
                         .kind = is_call ? WR_SPAN_CLIENT : WR_SPAN_INTERNAL,
                         .name = wr_str_of(name),
                         .start_ns = l->begun_ns + clock->offset_ns,
                         .end_ns = end_of(l, clock->now_ns) + clock->offset_ns};
  struct wr_otlp_writer *w = wr_span_begin(b, &span);
  if (is_call) {
    put_attempt(w, l);
  } else {
    put_decision(w, l);
  }
  wr_span_seal(w);
  return wr_span_end(b, is_call && (error_of(l)[0] || l->status >= CLIENT_ERROR));
}

uint32_t wr_spans_chain_write(struct wr_otlp_batch *b, const struct wr_serving *s,
                              const struct wr_spans_clock *clock)
{
  const struct wr_chain *c = &s->request.trail.chain;
  uint32_t lost = 0;
  for (uint32_t i = 0; i < c->count; i++) {
    const struct wr_chain_link *l = &c->links[i];
    if (!is_span(l, clock->now_ns)) continue;
    if (!write_link(b, s->request.trail.trace, c, l, clock)) lost++;
  }
  return lost;
}

static void write_event(struct wr_otlp_writer *w, const struct wr_chain_link *l, uint64_t offset_ns)
{
  char name[NAME_SIZE];
  snprintf(name, sizeof(name), "weir.%.*s", WR_STR_ARG(word_of(l)));
  wr_otlp_writer_item(w, EVENTS);
  wr_otlp_writer_fixed64(w, EVENT_TIME, "timeUnixNano", l->begun_ns + offset_ns);
  wr_otlp_writer_text(w, EVENT_NAME, "name", wr_str_of(name));
  wr_otlp_writer_attributes(w, EVENT_ATTRIBUTES);
  put_decision(w, l);
  wr_otlp_writer_attributes_end(w);
  wr_otlp_writer_item_end(w);
}

void wr_spans_chain_events(struct wr_otlp_writer *w, const struct wr_serving *s,
                           const struct wr_spans_clock *clock)
{
  const struct wr_chain *c = &s->request.trail.chain;
  wr_otlp_writer_list(w, "events");
  for (uint32_t i = 0; i < c->count; i++) {
    if (!is_span(&c->links[i], clock->now_ns)) write_event(w, &c->links[i], clock->offset_ns);
  }
  wr_otlp_writer_list_end(w);
}
