#pragma once
/// What the files of HTTP/2 share: a connection's session and its streams. For
/// http/{h2,h2_callbacks,h2_stream,h2_exchange}.c.
///
/// nghttp2 reads and writes frames and knows the protocol's states; it calls back from inside
/// `nghttp2_session_mem_recv` and `_mem_send` only, and there nothing is done but noting: a stream
/// that something happened to is put on the `ready` list, and `wr_h2_step` then calls its hooks.

#include "http/connection.h"
#include "http/h2_head.h"
#include "http/h2_strain.h"

#include <nghttp2/nghttp2.h>

enum {
  WR_H2_STREAMS_MAX = 100,               ///< requests of a connection at once
  WR_H2_STREAM_WINDOW = 65535,           ///< request body in memory, of one stream
  WR_H2_CONNECTION_WINDOW = 1024 * 1024, ///< request bodies on their way, of all streams
  WR_H2_TURN_MAX = 32,                   ///< streams of a connection served in one turn
  WR_H2_OUT_MARK = 64 * 1024,            ///< bytes gathered for the socket at once
  WR_H2_CONTINUATIONS_MAX = 8,           ///< frames of one head behind its first
  WR_H2_ANSWERS_MAX = 1000,              ///< acknowledgements that the client has not taken
  WR_H2_STREAM_REGION_MAX = 512 * 1024,  ///< one exchange's strings
};

struct wr_h2 {
  struct wr_connection *c;
  nghttp2_session *session;
  struct wr_list streams; // all whose memory lives
  struct wr_list ready;   // of streams: something happened
  size_t live;            // streams whose exchange is not over, or whose head is coming in
  struct wr_h2_strain strain;
  uint64_t head_ns;     // first byte of a head that is not whole; 0: none
  struct wr_timer more; // the streams that are ready wait for the next turn
  uint64_t turn_ns;     // the turn that `served` counts in
  int served;
  uint64_t notice_ns; // when the client was told that the end is near; 0: not yet
  bool is_strained;   // too much of something
  bool is_going;      // the last stream's id was told
  bool is_broken;     // nghttp2 takes no more input
};

struct wr_h2_stream {
  struct wr_exchange x;
  struct wr_h2 *h2;
  struct wr_list link;
  struct wr_list ready;
  struct wr_timer timer;
  struct wr_region region;
  struct wr_h2_head draft;
  struct wr_buf in;  // request body that nobody took yet
  struct wr_buf out; // response body that is not in a frame yet
  int32_t id;
  uint64_t start_ns;
  uint64_t sent_ns;  // when `out` last shrank, or stopped being empty
  uint64_t received; // bytes of request body that came
  bool is_headed;    // its head is whole
  bool has_body;     // more than its head was to come
  bool is_begun;     // its exchange began
  bool is_over;      // and ended
  bool saw_end;      // the client has sent all
  bool is_deaf;      // no more of the request is taken
  bool has_head;     // the response head left
  bool is_eof;       // `out` is the rest of it
  bool is_deferred;  // nghttp2 waits to be told of more
  bool is_sent;      // the response left whole
  bool is_closed;    // nghttp2 has forgotten it
  bool is_expired;   // the timer fired
  enum wr_error_kind failure;
  const char *failure_text;
};

extern const struct wr_exchange_ops wr_h2_exchange_ops;

static inline struct wr_h2_stream *wr_h2_stream_of(const struct wr_exchange *x)
{
  return WR_CONTAINER(x, struct wr_h2_stream, x);
}

/// A stream whose head begins; nghttp2 knows it by its id.
struct wr_h2_stream *wr_h2_stream_new(struct wr_h2 *h2, int32_t id);

/// Frees a stream that is over and closed; or any, when the session goes.
void wr_h2_stream_free(struct wr_h2_stream *s);

/// Something happened to it: `wr_h2_stream_step` will be called in this advance or the next.
void wr_h2_stream_wake(struct wr_h2_stream *s);

/// Does all that can be done for a stream now. Calls hooks; the stream may be gone on return.
void wr_h2_stream_step(struct wr_h2_stream *s);

/// Ends it with an error for the client; the layer above hears `kind`.
void wr_h2_stream_fail(struct wr_h2_stream *s, enum wr_error_kind kind, const char *text,
                       uint32_t code);

/// Request body came that nobody wants any more.
void wr_h2_stream_swallow(struct wr_h2_stream *s, size_t len);

/// Has the bytes of its body that wait be sent.
void wr_h2_stream_pump(struct wr_h2_stream *s);

/// Notes one more of what a flood is made of. False when it was too much: the connection ends.
bool wr_h2_strain(struct wr_h2 *h2, enum wr_h2_strain_kind kind);

/// The client has heard that the end is near: tells it the last stream that is served.
void wr_h2_noticed(struct wr_h2 *h2);

/// The table of callbacks; free with nghttp2_session_callbacks_del.
nghttp2_session_callbacks *wr_h2_callbacks_new(void);
