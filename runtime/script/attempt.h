#pragma once
/// The link of a decision chain that tells of one call of an upstream.
///
/// `t` is the task that waits for the call; one without a request keeps nothing. The worker's loop.

#include "script/response.h"
#include "script/task.h"

/// The call of `r` is about to be made; where to is known by now.
void wr_attempt_begin(struct wr_response *r, struct wr_task *t,
                      const struct wr_transfer_request *request);

/// The head of its response is there; the address it came from is known.
void wr_attempt_answered(struct wr_response *r);

/// It failed, or is not waited for any longer. Does nothing the second time.
void wr_attempt_failed(struct wr_response *r, struct wr_task *t, enum wr_error_kind kind);

/// A call of `name` could not be made at all.
void wr_attempt_refused(struct wr_task *t, const char *name, const struct wr_error *error);
