#pragma once
/// What a selftest's scripts have in place of the world: a server that takes requests from inside,
/// and upstreams that answer by functions of the test.
///
/// Lent to a script through its env; one generation at a time. Whoever runs the selftests makes it
/// and ends it. One loop's own.

#include "base/list.h"
#include "script/call.h"
#include "upstream/transport.h"

struct wr_script;
struct wr_server;

struct wr_rehearsal {
  struct wr_server *server;       ///< takes what tests ask
  struct wr_transport *transport; ///< in place of the network; see wr_rehearsal_open
  struct wr_script *script;       ///< whose functions answer; set when it is loaded
  struct wr_list parts;           // private: of upstreams
  bool has_failed;                ///< a function raised that was to answer:
  struct wr_script_error failure; ///< where and why
};

/// Makes the transport: every call is answered by the function that was scripted for its upstream
/// (or, without one, for "http://authority"), else it is refused a connection.
void wr_rehearsal_open(struct wr_rehearsal *r, struct wr_loop *loop);

/// Forgets the scripted functions; their script is about to go. No call is under way.
void wr_rehearsal_end(struct wr_rehearsal *r);

/// Calls of `name` are answered by the function that is at `fn_ref` in the script's registry, which
/// is taken over. It is called with method, target, host, a list of names and values in turn, the
/// body, and returns a status, such a list, and a body; or nil and an error.
void wr_rehearsal_script(struct wr_rehearsal *r, struct wr_str name, int fn_ref);
