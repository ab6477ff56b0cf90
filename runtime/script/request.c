#include "script/request.h"

#include "base/alloc.h"
#include "base/check.h"
#include "script/identity.h"

enum { KEEP_BYTES = 64 * 1024 }; // a body's memory that is kept for another one

// A body that is read whole finds memory that an earlier one had.
static void lend_body(struct wr_request *q)
{
  struct wr_script_env *env = q->env;
  if (q->body.cap > 0 || env->spare_body_count == 0) return;
  size_t max = q->body.max;
  q->body = env->spare_bodies[--env->spare_body_count];
  q->body.max = max;
}

static void give_body_back(struct wr_request *q)
{
  struct wr_script_env *env = q->env;
  bool is_kept = q->body.cap <= KEEP_BYTES && env->spare_body_count < WR_SCRIPT_SPARE_BODIES;
  if (q->body.cap == 0) return;
  wr_buf_clear(&q->body);
  if (is_kept) {
    env->spare_bodies[env->spare_body_count++] = q->body;
  } else {
    wr_buf_fini(&q->body);
  }
}

void wr_request_free_spare(struct wr_script_env *env)
{
  while (env->spare_body_count > 0) wr_buf_fini(&env->spare_bodies[--env->spare_body_count]);
}

void wr_request_init(struct wr_request *q, struct wr_script_env *env, struct wr_exchange *x,
                     size_t body_max)
{
  *q = (struct wr_request){.x = x, .info = wr_exchange_info(x), .env = env};
  q->client = q->info->client;
  q->priority = WR_PRIORITY_NORMAL;
  q->trail.route = "";
  q->trail.request_id = q->info->request_id;
  q->trail.chain.region = q->info->region;
  wr_headers_init(&q->told, q->info->region, 16);
  wr_list_init(&q->handles);
  wr_list_init(&q->readers);
  wr_buf_init(&q->body, body_max);
}

void wr_request_trust(struct wr_request *q, const struct wr_networks *trust)
{
  q->trust = trust;
  // The head is the exchange's own and nobody else's.
  struct wr_headers *headers = (struct wr_headers *)&q->info->head->headers;
  q->client = wr_trust_client(trust, q->info->client, headers);
  bool has_own = q->info->tls && q->info->tls->client;
  bool is_believed = wr_networks_has(trust, q->info->client);
  if (has_own || !is_believed) wr_identity_strip(headers);
  q->trail.trace =
      wr_trace_begin(headers, q->info->region, q->env->sampler, is_believed, q->env->rng);
  if (!wr_headers_may_have(headers, WR_FIELD_X_WEIR_EXPLAIN)) return;
  // Else a weir behind this one, which trusts it, would tell its client.
  if (!is_believed) wr_headers_remove(headers, wr_field_name(WR_FIELD_X_WEIR_EXPLAIN));
  q->is_explained = wr_headers_value(headers, WR_FIELD_X_WEIR_EXPLAIN).ptr != NULL;
}

void wr_request_prioritise(struct wr_request *q, enum wr_priority priority, const char *header)
{
  q->priority = (uint8_t)priority;
  q->priority_header = header;
  if (header == NULL || !wr_networks_has(q->trust, q->info->client)) return;
  struct wr_str word = wr_headers_get(&q->info->head->headers, wr_str_of(header));
  enum wr_priority asked = wr_priority_of(word);
  if (asked != WR_PRIORITIES) q->priority = (uint8_t)asked;
}

void wr_request_fini(struct wr_request *q)
{
  WR_CHECK(wr_list_is_empty(&q->handles));
  q->x = NULL;
  give_body_back(q);
}

// --- copies -------------------------------------------------------------------------------------

struct copy {
  struct wr_request request;
  struct wr_exchange_info info;
  struct wr_head head;
  struct wr_region region;
};

enum { COPY_BYTES = 512 * 1024, COPY_FIELDS = 256 }; // no head that was taken is larger

static void copy_head(struct copy *copy, const struct wr_request *q, struct wr_str method)
{
  struct wr_region *region = &copy->region;
  const struct wr_head *head = q->info->head;
  copy->head.method = wr_region_copy(region, method);
  copy->head.target = wr_region_copy(region, q->info->target);
  copy->head.host = wr_region_copy(region, head->host);
  copy->head.minor = head->minor;
  copy->head.query = copy->head.target;
  copy->head.path = wr_str_split(&copy->head.query, '?');
  wr_headers_init(&copy->head.headers, region, COPY_FIELDS);
  for (size_t i = 0; i < head->headers.count; i++) {
    const struct wr_header *field = &head->headers.items[i];
    if (wr_field_is(field->field, WR_FIELD_IS_HOP)) continue;
    wr_headers_add_copy(&copy->head.headers, field->name, field->value);
  }
}

struct wr_request *wr_request_copy(const struct wr_request *q, struct wr_str method)
{
  struct copy *copy = wr_alloc(sizeof(*copy));
  memset(copy, 0, sizeof(*copy));
  wr_region_init(&copy->region, COPY_BYTES);
  copy_head(copy, q, method);
  copy->info = *q->info;
  copy->info.head = &copy->head;
  copy->info.region = &copy->region;
  copy->info.tls = NULL; // ends with the connection
  copy->info.path = wr_region_copy(&copy->region, q->info->path);
  copy->info.target = copy->head.target;
  copy->info.client = wr_region_copy(&copy->region, q->info->client);
  copy->info.scheme = wr_region_copy(&copy->region, q->info->scheme);
  copy->info.request_id = wr_region_copy(&copy->region, q->info->request_id);
  copy->request.info = &copy->info;
  copy->request.env = q->env;
  copy->request.trust = q->trust;
  copy->request.priority = q->priority;
  copy->request.priority_header = q->priority_header;
  copy->request.client = wr_region_copy(&copy->region, q->client);
  copy->request.trail.route = q->trail.route;
  if (q->trail.trace) copy->request.trail.trace = wr_trace_copy(q->trail.trace, &copy->region);
  for (size_t i = 0; i < q->param_count; i++) {
    copy->request.params[i].name = wr_region_copy(&copy->region, q->params[i].name);
    copy->request.params[i].value = wr_region_copy(&copy->region, q->params[i].value);
  }
  copy->request.param_count = q->param_count;
  copy->request.is_copy = true;
  wr_headers_init(&copy->request.told, &copy->region, 16);
  wr_list_init(&copy->request.handles);
  wr_list_init(&copy->request.readers);
  wr_buf_init(&copy->request.body, 1);
  return &copy->request;
}

void wr_request_free_copy(struct wr_request *q)
{
  WR_CHECK(q->is_copy);
  struct copy *copy = WR_CONTAINER(q, struct copy, request);
  wr_buf_fini(&q->body);
  wr_region_fini(&copy->region);
  wr_free(copy);
}

// --- the body -----------------------------------------------------------------------------------

bool wr_request_has_body(const struct wr_request *q)
{
  const struct wr_head *head = q->info->head;
  if (head->framing == WR_FRAMING_LENGTH) return head->content_length > 0;
  return head->framing == WR_FRAMING_CHUNKED;
}

static void wake(struct wr_request *q)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&q->readers)) != NULL) {
    struct wr_request_reader *reader = WR_CONTAINER(node, struct wr_request_reader, link);
    reader->on_ready(reader, q);
  }
}

static void break_body(struct wr_request *q, const struct wr_error *error)
{
  q->gone = *error;
  q->body_state = WR_REQUEST_BROKEN;
  wake(q);
}

// The route's own limit ends whatever the body was going to.
static void refuse_body(struct wr_request *q)
{
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_TOO_LARGE,
               "the request body is larger than this route's %llu bytes",
               (unsigned long long)q->body_limit);
  struct wr_response *upload = q->upload;
  break_body(q, &error);
  if (upload) wr_response_fail(upload, &error);
}

bool wr_request_on_body(struct wr_request *q, struct wr_str data)
{
  q->body_seen += data.len;
  if (q->body_limit > 0 && q->body_seen > q->body_limit) {
    if (q->body_state != WR_REQUEST_BROKEN) refuse_body(q);
    return true;
  }
  if (q->upload) return wr_transfer_write(q->upload->transfer, data);
  // Nobody wants it any more (the transfer ended): let it pass.
  if (q->body_state != WR_REQUEST_READING) return true;
  lend_body(q);
  if (wr_buf_append_str(&q->body, data)) return true;
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_TOO_LARGE, "the request body is larger than %zu bytes",
               q->body.max);
  break_body(q, &error);
  return true;
}

void wr_request_on_body_end(struct wr_request *q)
{
  if (q->upload) {
    q->upload_ended = true;
    wr_transfer_write_end(q->upload->transfer);
  } else if (q->body_state == WR_REQUEST_READING) {
    q->body_state = WR_REQUEST_WHOLE;
    wake(q);
  }
}

void wr_request_on_gone(struct wr_request *q, const struct wr_error *error)
{
  if (q->body_state == WR_REQUEST_READING) {
    break_body(q, error);
  } else {
    q->gone = *error;
  }
}

void wr_request_read_whole(struct wr_request *q, struct wr_request_reader *reader)
{
  wr_list_push(&q->readers, &reader->link);
  if (q->body_state == WR_REQUEST_READING) return;
  WR_CHECK(q->body_state == WR_REQUEST_UNREAD);
  q->body_state = WR_REQUEST_READING;
  wr_exchange_read(q->x);
}

void wr_request_start_upload(struct wr_request *q, struct wr_response *r)
{
  WR_CHECK(q->upload == NULL && q->body_state == WR_REQUEST_UNREAD);
  q->body_state = WR_REQUEST_FORWARDED;
  q->upload = r;
  r->upload = q;
  wr_exchange_read(q->x);
}

void wr_request_upload_writable(struct wr_request *q)
{
  if (q->x && !q->upload_ended) wr_exchange_read(q->x);
}

void wr_request_stop_upload(struct wr_request *q)
{
  q->upload = NULL;
  // The client may still be held back: the rest has to pass for the connection to go on.
  if (q->x && !q->upload_ended && q->gone.kind == WR_ERROR_NONE) wr_exchange_read(q->x);
}
