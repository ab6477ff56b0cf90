#include "script/trace.h"

static bool read_caller(struct wr_trace *t, const struct wr_headers *headers,
                        struct wr_region *region)
{
  return wr_headers_may_have(headers, WR_FIELD_TRACEPARENT) &&
         wr_trace_context_read(headers, region, &t->context);
}

// Some bits of zeros in a row are fine, an id of nothing else is none.
static uint64_t draw(struct wr_rng *rng)
{
  return wr_rng_next(rng) | 1;
}

static void begin_trace(struct wr_trace *t, struct wr_rng *rng)
{
  wr_trace_context_digits(wr_rng_next(rng), t->context.trace_id);
  wr_trace_context_digits(draw(rng), t->context.trace_id + 16);
  t->context.flags = WR_TRACE_RANDOM;
}

static void begin_span(struct wr_trace *t, bool has_caller, const struct wr_sampler *sampler,
                       bool is_believed, struct wr_rng *rng)
{
  const struct wr_trace_context *caller = has_caller ? &t->context : NULL;
  bool is_taken = wr_sampler_takes(sampler, caller, is_believed, rng);
  if (has_caller) {
    memcpy(t->caller, t->context.span_id, sizeof(t->caller));
  } else {
    begin_trace(t, rng);
  }
  uint8_t rest = t->context.flags & WR_TRACE_RANDOM;
  t->context.flags = is_taken ? rest | WR_TRACE_SAMPLED : rest;
  t->is_ours = true;
  t->seed = wr_rng_next(rng);
  wr_trace_context_digits(draw(rng), t->context.span_id);
}

struct wr_trace *wr_trace_begin(const struct wr_headers *headers, struct wr_region *region,
                                const struct wr_sampler *sampler, bool is_believed,
                                struct wr_rng *rng)
{
  if (sampler == NULL && !wr_headers_may_have(headers, WR_FIELD_TRACEPARENT)) return NULL;
  struct wr_trace *t = wr_region_take(region, sizeof(*t));
  if (t == NULL) return NULL;
  memset(t, 0, sizeof(*t));
  bool has_caller = read_caller(t, headers, region);
  if (sampler) {
    begin_span(t, has_caller, sampler, is_believed, rng);
  } else if (!has_caller) {
    return NULL;
  }
  return t;
}

bool wr_trace_is_sampled(const struct wr_trace *t)
{
  return t->is_ours && (t->context.flags & WR_TRACE_SAMPLED) != 0;
}

void wr_trace_child(const struct wr_trace *t, uint64_t n, char out[WR_TRACE_SPAN_TEXT])
{
  struct wr_rng rng;
  wr_rng_init(&rng, t->seed + n);
  wr_trace_context_digits(draw(&rng), out);
}

struct wr_trace *wr_trace_copy(const struct wr_trace *t, struct wr_region *region)
{
  struct wr_trace *copy = wr_region_take(region, sizeof(*copy));
  if (copy == NULL) return NULL;
  *copy = *t;
  if (t->context.state.ptr) copy->context.state = wr_region_copy(region, t->context.state);
  return copy;
}

void wr_trace_name(const struct wr_trace *t, struct wr_json *j)
{
  if (t == NULL) return;
  wr_json_member_str(j, WR_STR("trace_id"), wr_str_of(t->context.trace_id));
  if (t->is_ours) wr_json_member_str(j, WR_STR("span_id"), wr_str_of(t->context.span_id));
}

void wr_trace_tell(const struct wr_trace *t, const char *span_id, struct wr_headers *out)
{
  char *text = wr_region_take(out->region, WR_TRACE_PARENT_LEN + 1);
  if (text == NULL) return;
  wr_trace_context_write(&t->context, span_id, text);
  wr_headers_put(out, WR_FIELD_TRACEPARENT, (struct wr_str){text, WR_TRACE_PARENT_LEN});
  if (t->context.state.ptr) {
    wr_headers_put(out, WR_FIELD_TRACESTATE, t->context.state);
  } else {
    wr_headers_drop(out, WR_FIELD_TRACESTATE);
  }
}
