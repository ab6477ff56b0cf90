// Drives a transport and a resolver through lines on stdin and tells what happens in JSON lines on
// stdout, so that one suite of specs runs against every implementation of upstream/transport.h.
//
//   start ID port=N [host= authority= target= method= scheme= header=Name:Value … body= stream=1
//         length=N idempotent=1 fresh=1 preamble= connect_ms= first_byte_ms= between_ms=
//         total_ms= text=1 quiet=1 pause_every=BYTES resume_ms=N fill=BYTES on_head=cancel|pause
//         on_data=… on_writable=…]
//   write ID TEXT · end ID (tells it: event "written") · pause ID · resume ID · cancel ID
//   resolve ID HOST · forget ID
//   stat · quit
//
// Values are percent-decoded. IDs are the spec's own.

#include "base/alloc.h"
#include "base/json.h"
#include "base/map.h"
#include "loop/io.h"
#include "loop/timer.h"
#include "upstream/outbound_tls.h"
#include "upstream/resolver.h"
#include "upstream/transport_curl.h"
#include "upstream/transport_h1.h"
#include "upstream/transport_h2.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES = 1 << 20, PIECE_BYTES = 16384, FIELDS = 200 };

struct probe {
  struct wr_loop loop;
  struct wr_io in;
  struct wr_buf input;
  struct wr_buf output;
  struct wr_resolver *resolver;
  struct wr_transport *transport;
  struct wr_outbound_tls *tls;
  struct wr_map calls;   // id -> struct call
  struct wr_map lookups; // id -> struct lookup
  uint64_t turn_max_ns;
  size_t open; // parts still closing
};

enum action { ACTION_NONE, ACTION_CANCEL, ACTION_PAUSE };

struct call {
  struct probe *probe;
  char id[32];
  struct wr_transfer *transfer; // NULL: over
  struct wr_region region;      // what the request borrows; as long as the probe
  struct wr_timer resume;
  uint64_t started_ns, received, since_pause, pause_every, resume_ns, fill;
  bool is_quiet, has_text, is_pausing;
  enum action on_head, on_data, on_writable;
};

struct lookup {
  struct wr_resolver_query query;
  struct probe *probe;
  char id[32];
  uint64_t started_ns;
};

// Events

static struct wr_json begin(struct probe *p, const char *event, const char *id, uint64_t since)
{
  struct wr_json j;
  wr_json_init(&j, &p->output);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "event", event);
  if (id) wr_json_field_cstr(&j, "id", id);
  wr_json_field_num(&j, "ms", (double)(wr_loop_now(&p->loop) - since) / 1e6);
  return j;
}

static void end(struct probe *p, struct wr_json *j)
{
  wr_json_object_end(j);
  wr_buf_append(&p->output, "\n", 1);
  while (p->output.len > 0) {
    ssize_t n = write(STDOUT_FILENO, wr_buf_head(&p->output), p->output.len);
    if (n <= 0) exit(3);
    wr_buf_drop(&p->output, (size_t)n);
  }
}

static void cancel_call(struct call *c)
{
  struct wr_transfer *t = c->transfer;
  if (t == NULL) return;
  c->transfer = NULL;
  wr_timer_stop(&c->resume);
  wr_transfer_cancel(t);
  struct wr_json j = begin(c->probe, "cancelled", c->id, c->started_ns);
  end(c->probe, &j);
}

static void act(struct call *c, enum action action)
{
  if (action == ACTION_CANCEL) cancel_call(c);
  if (action == ACTION_PAUSE) c->is_pausing = true;
}

static void on_head(void *ctx, struct wr_transfer *t, const struct wr_transfer_head *head)
{
  (void)t;
  struct call *c = ctx;
  struct wr_json j = begin(c->probe, "head", c->id, c->started_ns);
  wr_json_field_uint(&j, "status", (uint64_t)head->status);
  wr_json_field_uint(&j, "minor", (uint64_t)head->minor);
  if (head->has_length) wr_json_field_uint(&j, "length", head->length);
  wr_json_key(&j, "headers");
  wr_json_array(&j);
  for (size_t i = 0; i < head->headers->count; i++) {
    wr_json_array(&j);
    wr_json_str(&j, head->headers->items[i].name);
    wr_json_str(&j, head->headers->items[i].value);
    wr_json_array_end(&j);
  }
  wr_json_array_end(&j);
  end(c->probe, &j);
  act(c, c->on_head);
}

static void on_resume(struct wr_timer *timer)
{
  struct call *c = WR_CONTAINER(timer, struct call, resume);
  c->is_pausing = false;
  if (c->transfer) wr_transfer_resume(c->transfer);
}

static bool on_data(void *ctx, struct wr_transfer *t, struct wr_str data)
{
  (void)t;
  struct call *c = ctx;
  c->received += data.len;
  c->since_pause += data.len;
  if (!c->is_quiet) {
    struct wr_json j = begin(c->probe, "data", c->id, c->started_ns);
    wr_json_field_uint(&j, "bytes", data.len);
    wr_json_field_uint(&j, "total", c->received);
    if (c->has_text) wr_json_field_str(&j, "text", data);
    end(c->probe, &j);
  }
  act(c, c->on_data);
  if (c->transfer == NULL) return false;
  if (c->pause_every > 0 && c->since_pause >= c->pause_every) {
    c->since_pause = 0;
    c->is_pausing = true;
    if (c->resume_ns) wr_timer_start(&c->resume, c->resume_ns);
  }
  return !c->is_pausing;
}

// Writes what is left of `fill` until told to wait.
static void pump(struct call *c)
{
  static const char zeros[PIECE_BYTES];
  while (c->transfer && c->fill > 0) {
    size_t len = c->fill < PIECE_BYTES ? (size_t)c->fill : PIECE_BYTES;
    c->fill -= len;
    bool go_on = wr_transfer_write(c->transfer, (struct wr_str){zeros, len});
    if (c->fill == 0) wr_transfer_write_end(c->transfer);
    if (!go_on) return;
  }
}

static void on_writable(void *ctx, struct wr_transfer *t)
{
  (void)t;
  struct call *c = ctx;
  if (!c->is_quiet) {
    struct wr_json j = begin(c->probe, "writable", c->id, c->started_ns);
    end(c->probe, &j);
  }
  act(c, c->on_writable);
  pump(c);
}

static void on_trailers(void *ctx, struct wr_transfer *t, const struct wr_headers *trailers)
{
  (void)t;
  struct call *c = ctx;
  struct wr_json j = begin(c->probe, "trailers", c->id, c->started_ns);
  for (size_t i = 0; i < trailers->count; i++) {
    char name[64];
    snprintf(name, sizeof(name), "%.*s", WR_STR_ARG(trailers->items[i].name));
    wr_json_field_str(&j, name, trailers->items[i].value);
  }
  end(c->probe, &j);
}

static void on_end(void *ctx, struct wr_transfer *t, const struct wr_error *error)
{
  struct call *c = ctx;
  const struct wr_transfer_stats *stats = wr_transfer_stats(t);
  static const char *const sent[] = {"nothing", "head", "body"};
  struct wr_json j = begin(c->probe, "end", c->id, c->started_ns);
  wr_json_field_cstr(&j, "kind", wr_error_name(error->kind));
  wr_json_field_cstr(&j, "message", error->message);
  wr_json_field_cstr(&j, "sent", sent[error->sent]);
  wr_json_field_bool(&j, "retryable", error->retryable);
  wr_json_field_cstr(&j, "address", stats->address);
  wr_json_field_bool(&j, "reused", stats->is_reused);
  wr_json_field_bool(&j, "resent", stats->is_resent);
  wr_json_field_uint(&j, "sent_bytes", stats->sent_bytes);
  wr_json_field_uint(&j, "received_bytes", stats->received_bytes);
  wr_json_field_uint(&j, "delivered", c->received);
  wr_json_field_num(&j, "connect_ms", (double)stats->connect_ns / 1e6);
  wr_json_field_num(&j, "first_byte_ms", (double)stats->first_byte_ns / 1e6);
  c->transfer = NULL;
  wr_timer_stop(&c->resume);
  end(c->probe, &j);
}

static const struct wr_transfer_events events = {on_head, on_data, on_writable, on_trailers,
                                                 on_end};

// Commands

static uint64_t number(struct wr_str s)
{
  uint64_t n = 0;
  for (size_t i = 0; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++) {
    n = n * 10 + (uint64_t)(s.ptr[i] - '0');
  }
  return n;
}

static int hex(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  c = wr_str_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct wr_str decode(struct wr_region *r, struct wr_str s)
{
  char *out = wr_region_take(r, s.len + 1);
  size_t len = 0;
  for (size_t i = 0; i < s.len; i++) {
    bool is_escape = s.ptr[i] == '%' && i + 2 < s.len + 0 && hex(s.ptr[i + 1]) >= 0;
    out[len++] = is_escape ? (char)(hex(s.ptr[i + 1]) * 16 + hex(s.ptr[i + 2])) : s.ptr[i];
    if (is_escape) i += 2;
  }
  return (struct wr_str){out, len};
}

static enum action action_of(struct wr_str s)
{
  if (wr_str_eq(s, WR_STR("cancel"))) return ACTION_CANCEL;
  return wr_str_eq(s, WR_STR("pause")) ? ACTION_PAUSE : ACTION_NONE;
}

static bool is(struct wr_str key, const char *name)
{
  return wr_str_eq(key, wr_str_of(name));
}

static void set_limits(struct wr_transfer_timeouts *to, struct wr_str key, uint64_t ms,
                       uint64_t now)
{
  if (is(key, "connect_ms")) to->connect_ns = ms * 1000000u;
  if (is(key, "first_byte_ms")) to->first_byte_ns = ms * 1000000u;
  if (is(key, "between_ms")) to->between_bytes_ns = ms * 1000000u;
  if (is(key, "total_ms")) to->total_at_ns = now + ms * 1000000u;
}

static void set_request(struct wr_transfer_request *rq, struct wr_str key, struct wr_str value)
{
  if (is(key, "host")) rq->host = value;
  if (is(key, "port")) rq->port = (uint16_t)number(value);
  if (is(key, "authority")) rq->authority = value;
  if (is(key, "target")) rq->target = value;
  if (is(key, "method")) rq->method = value;
  if (is(key, "scheme")) rq->is_https = is(value, "https");
  if (is(key, "trailers")) rq->takes_trailers = is(value, "1");
  if (is(key, "idempotent")) rq->is_idempotent = is(value, "1");
  if (is(key, "preamble")) rq->preamble = value;
  if (is(key, "fresh")) rq->is_fresh = is(value, "1");
  if (is(key, "stream") || is(key, "fill")) rq->body_kind = WR_TRANSFER_BODY_STREAM;
  if (is(key, "length")) {
    rq->has_length = true;
    rq->length = number(value);
  }
  if (is(key, "body")) {
    rq->body_kind = WR_TRANSFER_BODY_BYTES;
    rq->body = value;
  }
}

static void set_call(struct call *c, struct wr_str key, struct wr_str value)
{
  if (is(key, "text")) c->has_text = true;
  if (is(key, "quiet")) c->is_quiet = true;
  if (is(key, "pause_every")) c->pause_every = number(value);
  if (is(key, "resume_ms")) c->resume_ns = number(value) * 1000000u;
  if (is(key, "fill")) c->fill = number(value);
  if (is(key, "on_head")) c->on_head = action_of(value);
  if (is(key, "on_data")) c->on_data = action_of(value);
  if (is(key, "on_writable")) c->on_writable = action_of(value);
}

static void run_start(struct probe *p, struct call *c, struct wr_str args)
{
  struct wr_region *region = &c->region;
  wr_region_init(region, 64u << 20);
  struct wr_headers headers;
  wr_headers_init(&headers, region, FIELDS);
  struct wr_transfer_request rq = {
      .method = WR_STR("GET"),
      .host = WR_STR("127.0.0.1"),
      .target = WR_STR("/"),
      .headers = &headers,
      .ctx = c,
      .events = &events,
  };
  while (args.ptr != NULL) {
    struct wr_str value = wr_str_split(&args, ' ');
    struct wr_str key = wr_str_split(&value, '=');
    value = decode(region, value);
    set_request(&rq, key, value);
    set_limits(&rq.timeouts, key, number(value), c->started_ns);
    set_call(c, key, value);
    if (is(key, "header")) {
      struct wr_str name = wr_str_split(&value, ':');
      wr_headers_add_copy(&headers, name, value);
    }
  }
  if (rq.authority.ptr == NULL) rq.authority = rq.host;
  c->transfer = wr_transfer_start(p->transport, &rq);
  pump(c);
}

static struct call *new_call(struct probe *p, struct wr_str id)
{
  struct call *c = wr_alloc(sizeof(*c));
  c->probe = p;
  c->started_ns = wr_loop_now(&p->loop);
  snprintf(c->id, sizeof(c->id), "%.*s", WR_STR_ARG(id));
  wr_timer_init(&c->resume, &p->loop, on_resume);
  wr_map_put(&p->calls, id, c);
  return c;
}

static void on_answer(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                      const struct wr_error *error)
{
  struct lookup *lu = WR_CONTAINER(q, struct lookup, query);
  struct wr_json j = begin(lu->probe, "answer", lu->id, lu->started_ns);
  wr_json_field_cstr(&j, "kind", wr_error_name(answer ? WR_ERROR_NONE : error->kind));
  wr_json_field_cstr(&j, "message", answer ? "" : error->message);
  wr_json_key(&j, "addresses");
  wr_json_array(&j);
  for (size_t i = 0; answer && i < answer->count; i++) wr_json_cstr(&j, answer->items[i].text);
  wr_json_array_end(&j);
  end(lu->probe, &j);
}

static void run_resolve(struct probe *p, struct wr_str id, struct wr_str host)
{
  struct lookup *lu = wr_alloc(sizeof(*lu));
  lu->probe = p;
  lu->started_ns = wr_loop_now(&p->loop);
  snprintf(lu->id, sizeof(lu->id), "%.*s", WR_STR_ARG(id));
  wr_map_put(&p->lookups, id, lu);
  wr_resolver_query(p->resolver, host, &lu->query, on_answer);
}

static uint64_t rss_kb(void)
{
  unsigned long size = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
  if (f) fclose(f);
  return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static size_t count_fds(void)
{
  size_t count = 0;
  for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static void run_stat(struct probe *p)
{
  struct wr_resolver_stats rs = wr_resolver_stats(p->resolver);
  struct wr_json j = begin(p, "stat", NULL, 0);
  wr_json_field_num(&j, "turn_max_ms", (double)p->turn_max_ns / 1e6);
  wr_json_field_uint(&j, "rss_kb", rss_kb());
  wr_json_field_uint(&j, "fds", count_fds());
  wr_json_field_uint(&j, "questions", rs.questions);
  wr_json_field_uint(&j, "stale", rs.stale);
  wr_json_field_uint(&j, "entries", rs.entries);
  end(p, &j);
  p->turn_max_ns = 0;
}

// The end

static void on_part_closed(void *ctx)
{
  ((struct probe *)ctx)->open--;
}

static void on_transport_closed(void *ctx)
{
  struct probe *p = ctx;
  on_part_closed(p);
  wr_resolver_close(p->resolver, on_part_closed, p);
}

static void run_quit(struct probe *p)
{
  size_t at = 0;
  struct lookup *lu;
  while ((lu = wr_map_next(&p->lookups, &at, NULL)) != NULL) wr_resolver_cancel(&lu->query);
  at = 0;
  struct call *c;
  while ((c = wr_map_next(&p->calls, &at, NULL)) != NULL) wr_timer_stop(&c->resume);
  p->open = 2;
  wr_io_close(&p->in, NULL);
  wr_transport_close(p->transport, on_transport_closed, p);
}

static void end_request(struct call *c)
{
  struct wr_json j = begin(c->probe, "written", c->id, c->started_ns);
  end(c->probe, &j);
  wr_transfer_write_end(c->transfer);
}

static void run_line(struct probe *p, struct wr_str line)
{
  struct wr_str verb = wr_str_split(&line, ' ');
  if (is(verb, "quit")) {
    run_quit(p);
    return;
  }
  if (is(verb, "stat")) {
    run_stat(p);
    return;
  }
  struct wr_str id = wr_str_split(&line, ' ');
  if (is(verb, "start")) {
    run_start(p, new_call(p, id), line);
    return;
  }
  if (is(verb, "resolve")) {
    run_resolve(p, id, line);
    return;
  }
  struct lookup *lu = wr_map_get(&p->lookups, id);
  if (is(verb, "forget") && lu) wr_resolver_cancel(&lu->query);
  struct call *c = wr_map_get(&p->calls, id);
  if (c == NULL || c->transfer == NULL) return;
  if (is(verb, "write")) wr_transfer_write(c->transfer, line);
  if (is(verb, "end")) end_request(c);
  if (is(verb, "cancel")) cancel_call(c);
  if (is(verb, "pause")) c->is_pausing = true;
  if (is(verb, "resume")) {
    c->is_pausing = false;
    c->on_data = ACTION_NONE;
    wr_transfer_resume(c->transfer);
  }
}

static void on_input(struct wr_io *io, int ready)
{
  (void)ready;
  struct probe *p = WR_CONTAINER(io, struct probe, in);
  char *room = wr_buf_reserve(&p->input, 65536);
  ssize_t n = room ? read(STDIN_FILENO, room, 65536) : 0;
  if (n <= 0) {
    run_quit(p);
    return;
  }
  wr_buf_grow(&p->input, (size_t)n);
  const char *newline;
  while (io->fd >= 0 && p->input.len > 0 &&
         (newline = memchr(wr_buf_head(&p->input), '\n', p->input.len)) != NULL) {
    struct wr_str line = {wr_buf_head(&p->input), (size_t)(newline - wr_buf_head(&p->input))};
    run_line(p, line);
    wr_buf_drop(&p->input, line.len + 1);
  }
}

static void free_probe(struct probe *p)
{
  size_t at = 0;
  struct call *c;
  while ((c = wr_map_next(&p->calls, &at, NULL)) != NULL) {
    wr_region_fini(&c->region);
    wr_free(c);
  }
  at = 0;
  struct lookup *lu;
  while ((lu = wr_map_next(&p->lookups, &at, NULL)) != NULL) wr_free(lu);
  wr_map_fini(&p->calls);
  wr_map_fini(&p->lookups);
  wr_buf_fini(&p->input);
  wr_buf_fini(&p->output);
  wr_outbound_tls_free(p->tls);
  wr_free(p);
}

static void on_turn(struct wr_loop *l, void *ctx)
{
  struct probe *p = ctx;
  if (l->turn_ns > p->turn_max_ns) p->turn_max_ns = l->turn_ns;
}

// Options: --name value; all times in milliseconds.
struct options {
  struct wr_resolver_options resolver;
  struct wr_transport_curl_options curl;
  struct wr_transport_h1_options h1;
  struct wr_transport_h2_options h2;
  const char *transport;
};

static void read_option(struct options *o, const char *name, const char *value)
{
  struct wr_str key = wr_str_of(name);
  uint64_t n = number(wr_str_of(value));
  if (is(key, "--transport")) o->transport = value;
  if (is(key, "--servers")) o->resolver.dns.servers = value;
  if (is(key, "--dns-timeout")) o->resolver.dns.timeout_ns = n * 1000000u;
  if (is(key, "--dns-tries")) o->resolver.dns.tries = (int)n;
  if (is(key, "--hosts")) o->resolver.hosts_path = value;
  if (is(key, "--ttl-min")) o->resolver.ttl_min_ns = n * 1000000u;
  if (is(key, "--ttl-max")) o->resolver.ttl_max_ns = n * 1000000u;
  if (is(key, "--negative-ttl")) o->resolver.negative_ttl_ns = n * 1000000u;
  if (is(key, "--failure-ttl")) o->resolver.failure_ttl_ns = n * 1000000u;
  if (is(key, "--stale-after")) o->resolver.stale_after_ns = n * 1000000u;
  if (is(key, "--stale-max")) o->resolver.stale_max_ns = n * 1000000u;
  if (is(key, "--entries")) o->resolver.entries_max = (size_t)n;
  if (is(key, "--endpoint-connections")) {
    o->curl.endpoint_connections_max = o->h1.endpoint_connections_max = (unsigned)n;
  }
  if (is(key, "--idle")) o->curl.idle_ns = o->h1.idle_ns = o->h2.idle_ns = n * 1000000u;
  if (is(key, "--ca-file")) o->curl.ca_file = value;
  if (is(key, "--skip-verify")) o->curl.skip_verify = n != 0;
}

static struct wr_transport *new_transport(struct probe *p, struct options *o)
{
  p->tls = o->h1.tls = o->h2.tls = wr_outbound_tls_new(o->curl.ca_file);
  struct wr_str name = wr_str_of(o->transport);
  if (is(name, "h1")) return wr_transport_h1_new(&p->loop, p->resolver, &o->h1);
  if (is(name, "h2")) return wr_transport_h2_new(&p->loop, p->resolver, &o->h2);
  if (is(name, "curl")) return wr_transport_curl_new(&p->loop, p->resolver, &o->curl);
  return NULL;
}

int main(int argc, char **argv)
{
  signal(SIGPIPE, SIG_IGN);
  struct options o = {.transport = "curl"};
  for (int i = 1; i + 1 < argc; i += 2) read_option(&o, argv[i], argv[i + 1]);
  struct probe *p = wr_alloc(sizeof(*p));
  struct wr_error error = {0};
  WR_CHECK(wr_loop_init(&p->loop) == 0);
  p->loop.on_turn = on_turn;
  p->loop.on_turn_ctx = p;
  wr_buf_init(&p->input, LINE_BYTES);
  wr_buf_init(&p->output, LINE_BYTES);
  wr_map_init(&p->calls, (struct wr_hash_key){0});
  wr_map_init(&p->lookups, (struct wr_hash_key){0});
  p->resolver = wr_resolver_new(&p->loop, &o.resolver, &error);
  if (p->resolver == NULL) {
    fprintf(stderr, "transport_probe: %s\n", error.message);
    return 2;
  }
  p->transport = new_transport(p, &o);
  if (p->transport == NULL) {
    fprintf(stderr, "transport_probe: no transport is called '%s'\n", o.transport);
    return 2;
  }
  WR_CHECK(wr_io_open(&p->in, &p->loop, STDIN_FILENO, "stdin", on_input) == 0);
  wr_io_want(&p->in, WR_IO_READ);
  wr_loop_run(&p->loop);
  char report[256] = "";
  size_t left = wr_loop_fini(&p->loop, report, sizeof(report));
  if (left > 0) fprintf(stderr, "transport_probe: left open: %s\n", report);
  size_t open = p->open;
  printf("{\"event\":\"bye\",\"unclosed\":%zu,\"handles\":%zu}\n", open, left);
  free_probe(p);
  return left == 0 && open == 0 ? 0 : 1;
}
