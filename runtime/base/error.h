#pragma once
/// Error kinds and the error value that travels with them.
///
/// Three things are never mixed: a bug (`WR_CHECK`), an error (this), and a refusal by one of our
/// own primitives, which is an error kind that no primitive counts as a failure.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wr_error_kind {
  WR_ERROR_NONE = 0,
#define WR_ERROR(ENUM, name, status, grpc, why, proxy, meaning) WR_ERROR_##ENUM,
#include "tables/errors.def"
#undef WR_ERROR
  WR_ERROR_KINDS
};

/// How much of the request had left when it failed.
enum wr_sent { WR_SENT_NOTHING, WR_SENT_HEAD, WR_SENT_BODY };

enum { WR_ERROR_MESSAGE_MAX = 192, WR_ERROR_POLICY_SIZE = 128, WR_ERROR_PRIMITIVE_SIZE = 16 };

struct wr_error {
  enum wr_error_kind kind;
  enum wr_sent sent;
  bool retryable; ///< another attempt cannot do harm: nothing was sent, or the method is idempotent
  uint64_t after_ns; ///< not before this much time (Retry-After, breaker reopening); 0: no hint
  char policy[WR_ERROR_POLICY_SIZE];       ///< of a refusal: whose layer it was; "" otherwise
  char primitive[WR_ERROR_PRIMITIVE_SIZE]; ///< and its kind: "breaker"
  char message[WR_ERROR_MESSAGE_MAX];
};

/// Sets kind and formatted message; the rest becomes zero. The message is cut at its maximum.
__attribute__((format(printf, 3, 4))) void wr_error_set(struct wr_error *e, enum wr_error_kind kind,
                                                        const char *format, ...);

/// "timeout", …; "none" for `WR_ERROR_NONE`.
const char *wr_error_name(enum wr_error_kind kind);

/// The kind called `name` (NUL-terminated), or `WR_ERROR_NONE`.
enum wr_error_kind wr_error_find(const char *name);

/// Default response status of a kind.
int wr_error_status(enum wr_error_kind kind);

/// Default status code of a kind for a gRPC client.
int wr_error_grpc(enum wr_error_kind kind);

/// The access log's reason code of a kind; "ok" for `WR_ERROR_NONE`.
const char *wr_error_why(enum wr_error_kind kind);

/// Its type in a Proxy-Status field (RFC 9209 2.3); constant text.
const char *wr_error_proxy(enum wr_error_kind kind);

/// One of our own primitives said no, or the caller left: says nothing about the upstream's health.
bool wr_error_is_local(enum wr_error_kind kind);
