#include "observe/spans.h"

#include "http/method.h"
#include "observe/spans_chain.h"

#include <stdio.h>

enum { NAME_SIZE = 256 };

// A status from which on the answer is the server's error.
enum { SERVER_ERROR = 500 };

static void put(struct wr_otlp_writer *w, const char *key, struct wr_str value)
{
  wr_span_put(w, key, value);
}

bool wr_spans_is_failure(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  if (s->error == WR_ERROR_CANCELLED) return false;
  return stats->status >= SERVER_ERROR || (stats->status > 0 && !stats->is_complete);
}

static void put_method(struct wr_otlp_writer *w, struct wr_str method)
{
  const char *name = wr_method_name(method);
  put(w, "http.request.method", wr_str_of(name));
  if (name[0] == '_') put(w, "http.request.method_original", method);
}

// The path without its query, as in the log: queries carry secrets.
static void put_asked(struct wr_otlp_writer *w, const struct wr_serving *s)
{
  const struct wr_exchange_info *info = s->request.info;
  put_method(w, info->head->method);
  put(w, "url.path", info->path);
  put(w, "url.scheme", info->scheme);
  put(w, "http.route", wr_str_of(s->request.trail.route));
  wr_span_put_server(w, info->head->host);
  put(w, "client.address", s->request.client);
  put(w, "network.peer.address", info->client);
  if (info->client_port > 0) {
    wr_otlp_writer_attribute_int(w, "network.peer.port", info->client_port);
  }
  put(w, "network.protocol.version", info->version);
  put(w, "user_agent.original", wr_headers_get(&info->head->headers, WR_STR("User-Agent")));
}

static void put_answered(struct wr_otlp_writer *w, const struct wr_serving *s,
                         const struct wr_exchange_stats *stats)
{
  const struct wr_trail *trail = &s->request.trail;
  if (stats->status > 0) {
    wr_otlp_writer_attribute_int(w, "http.response.status_code", stats->status);
  }
  const char *kind = s->error == WR_ERROR_NONE ? "" : wr_error_name(s->error);
  wr_span_put_error(w, kind, stats->status, SERVER_ERROR);
  put(w, "weir.why", wr_str_of(wr_serving_why(s, stats)));
  put(w, "weir.request_id", s->request.info->request_id);
  wr_otlp_writer_attribute_int(w, "weir.generation", (int64_t)s->generation_number);
  wr_otlp_writer_attribute_int(w, "weir.attempts", trail->attempts);
  put(w, "weir.refused_by", wr_str_of(trail->refused_by));
  if (trail->rung > 0) put(w, "weir.rung", wr_str_of(trail->rung_name));
  // Of a trace that was not chosen only this part is kept: upstreams were told that it is not.
  if (!wr_trace_is_sampled(trail->trace)) put(w, "weir.kept", WR_STR("failed"));
}

static struct wr_str name_of(const struct wr_serving *s, char out[NAME_SIZE])
{
  const char *method = wr_method_name(s->request.info->head->method);
  const char *route = s->request.trail.route;
  snprintf(out, NAME_SIZE, "%s%s%s", method[0] == '_' ? "HTTP" : method, route[0] ? " " : "",
           route);
  return wr_str_of(out);
}

static bool write_request(struct wr_otlp_batch *b, const struct wr_serving *s,
                          const struct wr_exchange_stats *stats, const struct wr_spans_clock *clock)
{
  char name[NAME_SIZE];
  const struct wr_trace *t = s->request.trail.trace;
  struct wr_span span = {.trace = t,
                         .id = t->context.span_id,
                         .parent = t->caller,
                         .is_remote = t->caller[0] != '\0',
                         .kind = WR_SPAN_SERVER,
                         .name = name_of(s, name),
                         .start_ns = s->request.info->start_ns + clock->offset_ns,
                         .end_ns = clock->now_ns + clock->offset_ns};
  struct wr_otlp_writer *w = wr_span_begin(b, &span);
  put_asked(w, s);
  put_answered(w, s, stats);
  wr_span_seal(w);
  wr_spans_chain_events(w, s, clock);
  return wr_span_end(b, wr_spans_is_failure(s, stats));
}

uint32_t wr_spans_write(struct wr_otlp_batch *b, const struct wr_serving *s,
                        const struct wr_exchange_stats *stats, uint64_t now_ns, uint64_t offset_ns)
{
  struct wr_spans_clock clock = {now_ns, offset_ns};
  uint32_t lost = write_request(b, s, stats, &clock) ? 0 : 1;
  return lost + wr_spans_chain_write(b, s, &clock);
}
