#pragma once
/// One transfer of the libcurl transport: its state, its time limits, its addresses and its end.
///
/// Three files share it: here what may happen to a transfer, in curl_events.c what libcurl tells of
/// it, in transport_curl.c what callers ask of it. Private to them.

#include "loop/timer.h"
#include "upstream/curl_multi.h"
#include "upstream/curl_response.h"
#include "upstream/transport_curl.h"
#include "upstream/upload.h"

/// The transport itself.
struct wr_curl_transport {
  struct wr_transport base;
  struct wr_resolver *resolver;
  struct wr_transport_curl_options options;
  struct wr_curl_multi multi;
  struct wr_list live; // struct wr_curl_transfer, also those that ended in this turn
  size_t added;        // transfers that libcurl has
};

/// What the phase timer waits for.
enum wr_curl_phase {
  WR_CURL_PHASE_CONNECT,
  WR_CURL_PHASE_SEND,
  WR_CURL_PHASE_FIRST_BYTE,
  WR_CURL_PHASE_BODY
};

/// One transfer; `work` runs at the end of a turn and does what may not be done where it was asked
/// for.
struct wr_curl_transfer {
  struct wr_transfer base;
  struct wr_list link;
  struct wr_curl_transport *tr;
  struct wr_transfer_events events;
  void *ctx;
  struct wr_deferred work; // what may not be done where it was asked for
  bool is_ended;           // told or cancelled: nothing is delivered any more

  char endpoint[288]; // for messages
  char method[32];
  uint16_t port;
  bool is_https;
  bool is_path; // the endpoint is a Unix socket
  bool is_guarded;
  bool is_idempotent;
  struct wr_transfer_timeouts timeouts;

  struct wr_resolver_query query;
  struct wr_dns_answer addresses;
  size_t address_at;

  CURL *easy;
  bool is_added; // to the multi handle
  struct curl_slist *fields;
  struct curl_slist *route;
  char detail[CURL_ERROR_SIZE];

  char preamble[WR_TRANSFER_PREAMBLE_MAX]; // of a connection that is opened
  size_t preamble_len;
  curl_socket_t opened;    // by this transfer and not yet connected; CURL_SOCKET_BAD: none
  curl_socket_t own;       // the connection this transfer opened
  int sends;               // times the request was given to a connection
  bool is_spent;           // the pooled connection was not fit: start again on a fresh one
  struct wr_error failure; // found inside a callback of libcurl, which then ends with its own error

  struct wr_upload upload;
  bool is_send_held; // the read callback said pause
  struct wr_curl_response response;
  bool is_paused;    // by on_data
  bool is_recv_held; // the write callback said pause
  bool is_early;     // complete before the request was: to be ended by us

  enum wr_curl_phase phase;
  struct wr_timer phase_timer;
  struct wr_timer total_timer;
  uint64_t started_ns;
  struct wr_transfer_stats stats;
};

/// Delivers the end, once; afterwards nothing is delivered any more.
void wr_curl_transfer_finish(struct wr_curl_transfer *t, const struct wr_error *error);

/// The end of a whole response.
void wr_curl_transfer_complete(struct wr_curl_transfer *t);

/// The end with an error; the message names the endpoint, then `cause`.
void wr_curl_transfer_fail(struct wr_curl_transfer *t, enum wr_error_kind kind, const char *cause);

/// The same where the end may not be delivered (inside libcurl, inside a caller's call): it is
/// remembered, the first one counts.
void wr_curl_transfer_fail_later(struct wr_curl_transfer *t, enum wr_error_kind kind,
                                 const char *cause);

/// Ends it without a word; its memory goes at the end of the turn.
void wr_curl_transfer_silence(struct wr_curl_transfer *t);

/// Gives everything back. Not from inside libcurl: a handle must not be removed there.
void wr_curl_transfer_free(struct wr_curl_transfer *t);

/// Moves the phase timer; 0: this phase has no limit.
void wr_curl_transfer_set_phase(struct wr_curl_transfer *t, enum wr_curl_phase phase,
                                uint64_t limit_ns);

/// The request is out: `first_byte` runs until the final head.
void wr_curl_transfer_await_head(struct wr_curl_transfer *t);

/// A piece of the response came: `between_bytes` runs, unless reading is paused.
void wr_curl_transfer_await_body(struct wr_curl_transfer *t);

/// `connect` runs; the addresses still untried share what is left of it.
void wr_curl_transfer_await_connect(struct wr_curl_transfer *t);

/// For `wr_timer`.
void wr_curl_transfer_on_phase(struct wr_timer *timer);
void wr_curl_transfer_on_total(struct wr_timer *timer);

/// Writes the numeric address into the stats; that of a Unix socket stands there already.
void wr_curl_transfer_note_address(struct wr_curl_transfer *t, const char *ip, int port);

/// Hands the transfer to libcurl, which connects.
void wr_curl_transfer_enter(struct wr_curl_transfer *t);

/// The same for the address that is its turn.
void wr_curl_transfer_connect(struct wr_curl_transfer *t);

/// Goes on with the next address. False when there is none, or something was sent already.
bool wr_curl_transfer_try_next(struct wr_curl_transfer *t);

/// Goes on with a fresh connection to the same address: the pooled one was not fit, nothing was
/// sent.
void wr_curl_transfer_start_again(struct wr_curl_transfer *t);
