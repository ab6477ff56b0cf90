#include "script/disturb.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"

// Body that a slow reader has not taken: beyond, the source is held back. And what goes at once.
enum { HELD_HIGH = 64 * 1024, PIECE_BYTES = 16 * 1024 };

#define PIECE_NS (20 * WR_MS) // between two pieces of a slow body

struct disturb {
  struct wr_transfer transfer; // first: what the new response believes to be its transfer
  struct wr_transport transport;
  struct wr_disturb_options options;
  struct wr_response *from; // counted reference
  struct wr_response *to;   // owns us
  struct wr_timer timer;
  struct wr_buf held; // came, and did not go yet
  uint64_t gone;      // bytes that went
  uint64_t since_ns;  // when the body began
  bool is_held_back;  // the reader said no more
  bool has_ended;     // `from` has
};

static void free_disturb(struct disturb *d)
{
  wr_timer_stop(&d->timer);
  wr_response_cancel(d->from);
  wr_response_unref(d->from);
  wr_buf_fini(&d->held);
  wr_free(d);
}

static void end(struct disturb *d, const struct wr_error *error)
{
  struct wr_response *to = d->to;
  struct wr_error copy = *error; // it may be in what is freed
  free_disturb(d);
  wr_response_on_end(to, &copy);
}

// What may have gone by now at the latest, of everything.
static uint64_t allowed(const struct disturb *d)
{
  if (d->options.bytes_per_s == 0) return UINT64_MAX;
  uint64_t age_ns = wr_loop_now(d->to->env->loop) - d->since_ns;
  return (uint64_t)((double)age_ns * (double)d->options.bytes_per_s / 1e9) + 1;
}

static size_t next_piece(const struct disturb *d)
{
  uint64_t most = allowed(d);
  if (d->options.cuts && most > d->options.cut_after) most = d->options.cut_after;
  uint64_t room = most > d->gone ? most - d->gone : 0;
  if (room > d->held.len) room = d->held.len;
  return room < PIECE_BYTES ? (size_t)room : PIECE_BYTES;
}

// Whoever gets the piece may cancel, which frees us; so it is a copy. False then.
static bool send_piece(struct disturb *d, size_t len)
{
  char piece[PIECE_BYTES];
  struct wr_response *to = wr_response_ref(d->to);
  memcpy(piece, wr_buf_str(&d->held).ptr, len);
  wr_buf_drop(&d->held, len);
  d->gone += len;
  bool wants_more = wr_response_on_data(to, (struct wr_str){piece, len});
  bool is_alive = to->transfer == &d->transfer;
  if (is_alive) d->is_held_back = !wants_more;
  wr_response_unref(to);
  return is_alive;
}

static void end_cut(struct disturb *d)
{
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_RESET, "chaos cut the body after %llu bytes",
               (unsigned long long)d->gone);
  error.sent = WR_SENT_BODY;
  end(d, &error);
}

// A body shorter than the cut, of a length that nobody told, must not look complete either.
static void end_of_source(struct disturb *d)
{
  if (d->options.cuts && d->from->state == WR_RESPONSE_WHOLE) {
    end_cut(d);
  } else {
    end(d, &d->from->error);
  }
}

// One byte of a length that was told stays behind at least.
static void limit_cut(struct disturb *d, const struct wr_response *r)
{
  uint64_t length = r->state == WR_RESPONSE_WHOLE ? r->body.len : r->length;
  if (length > 0 && d->options.cut_after >= length) d->options.cut_after = length - 1;
}

static void pump(struct wr_timer *timer)
{
  struct disturb *d = WR_CONTAINER(timer, struct disturb, timer);
  size_t len = d->is_held_back ? 0 : next_piece(d);
  if (len > 0 && !send_piece(d, len)) return;
  if (d->options.cuts && d->gone == d->options.cut_after && !d->is_held_back) {
    end_cut(d);
  } else if (d->has_ended && d->held.len == 0) {
    end_of_source(d);
  } else {
    if (d->held.len < HELD_HIGH) wr_response_resume(d->from);
    uint64_t pause_ns = d->options.bytes_per_s ? PIECE_NS : 0;
    if (d->held.len > 0 && !d->is_held_back) wr_timer_start(&d->timer, pause_ns);
  }
}

// The source's side

static bool on_data(void *ctx, struct wr_response *r, struct wr_str data)
{
  struct disturb *d = ctx;
  (void)r;
  WR_CHECK(wr_buf_append_str(&d->held, data));
  if (!wr_timer_is_running(&d->timer)) wr_timer_start(&d->timer, 0);
  return d->held.len < HELD_HIGH;
}

static void on_end(void *ctx, struct wr_response *r)
{
  struct disturb *d = ctx;
  (void)r;
  d->has_ended = true;
  if (!wr_timer_is_running(&d->timer)) wr_timer_start(&d->timer, 0);
}

static const struct wr_response_sink sink = {on_data, on_end};

// The reader's side

static void resume(struct wr_transfer *t)
{
  struct disturb *d = (struct disturb *)t;
  d->is_held_back = false;
  if (!wr_timer_is_running(&d->timer)) wr_timer_start(&d->timer, 0);
}

static void cancel(struct wr_transfer *t)
{
  free_disturb((struct disturb *)t);
}

static const struct wr_transport_ops ops = {.name = "disturb", .resume = resume, .cancel = cancel};

static void copy_head(struct wr_response *to, const struct wr_response *from)
{
  to->status = from->status;
  for (size_t i = 0; i < from->headers.count; i++) {
    wr_headers_add_copy(&to->headers, from->headers.items[i].name, from->headers.items[i].value);
  }
  to->has_length = from->has_length;
  to->length = from->length;
  to->is_idempotent = from->is_idempotent;
  to->is_replayable = from->is_replayable;
}

struct wr_response *wr_disturb(struct wr_response *r, struct wr_task *t,
                               const struct wr_disturb_options *options)
{
  struct disturb *d = wr_alloc(sizeof(*d));
  d->transport.ops = &ops;
  d->transfer.transport = &d->transport;
  d->options = *options;
  wr_response_take(r); // the end of its task is not its end
  d->from = r;
  d->since_ns = wr_loop_now(r->env->loop);
  if (r->has_length || r->state == WR_RESPONSE_WHOLE) limit_cut(d, r);
  wr_timer_init(&d->timer, r->env->loop, pump);
  wr_buf_init(&d->held, r->body.max + HELD_HIGH);
  d->to = wr_response_new(r->env, t, r->body.max);
  copy_head(d->to, r);
  d->to->transfer = &d->transfer;
  // Nothing arrives, and nothing breaks, before somebody reads: the head has left by then.
  d->is_held_back = d->to->is_paused = true;
  wr_response_on_head(d->to);
  wr_timer_start(&d->timer, 0);
  wr_response_attach(r, &sink, d);
  return d->to;
}
