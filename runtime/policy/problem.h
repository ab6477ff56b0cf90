#pragma once
/// The answer to an error: status by kind, problem+json (RFC 9457), Retry-After. A gRPC client,
/// told by the media type of its request, gets the kind's `grpc-status` and the message without a
/// body, which is what it understands ("Trailers-Only" of gRPC's HTTP/2 mapping).

#include "base/error.h"
#include "http/exchange.h"

/// Answers `x` with what `error` means to a client, and the fields of `told` (NULL: none). Once,
/// before any other answer.
void wr_problem_reply(struct wr_exchange *x, const struct wr_error *error,
                      const struct wr_headers *told);

/// What a client is told to wait, in whole seconds, rounded up, at least one: who comes earlier
/// comes in vain.
uint64_t wr_problem_retry_after(uint64_t after_ns);

/// The same with a status of its own and an extra field (`name` NULL: none).
void wr_problem_reply_status(struct wr_exchange *x, int status, const char *detail,
                             struct wr_str name, struct wr_str value);
