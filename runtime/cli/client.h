#pragma once
/// One HTTP request to the admin address of the running weir.

#include "base/buf.h"
#include "base/error.h"
#include "cli/options.h"

enum { WR_CLIENT_BODY_MAX = 16 << 20, WR_CLIENT_CONNECT_TIMEOUT_MS = 2000 };

struct wr_client_request {
  const char *method; ///< "GET" or "POST", without a body
  const char *path;
  long timeout_ms; ///< for all of it; 0: as long as it lasts
  /// Takes the body of a 200 in place of the reply, as it comes; false ends it, which is no
  /// failure. NULL: the reply has it.
  bool (*on_data)(void *ctx, struct wr_str data);
  void *ctx;
};

struct wr_client_reply {
  long status;
  struct wr_buf body; ///< the caller's until `wr_buf_fini`, also when it failed
};

/// Sends the request and waits for the answer. False with `error` set: kind invalid (the address),
/// connect (nothing answers there: `os_error` is its errno or 0), timeout, reset, too_large.
bool wr_client_send(const char *address, const struct wr_client_request *request,
                    struct wr_client_reply *reply, struct wr_error *error, int *os_error);

/// The same for a verb with the option "admin", whose address or default it uses. Returns
/// WR_EXIT_OK, or the exit code for an error that it has told of on stderr.
int wr_client_ask(const struct wr_options *o, const struct wr_client_request *request,
                  struct wr_client_reply *reply);
