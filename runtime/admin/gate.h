#pragma once
/// Who may talk to the admin listener. For admin/.
///
/// On a Unix socket the file's mode says it. On TCP only a loopback host is answered, so that no
/// page of the web can have a browser call us under its own name (DNS rebinding); a page's POST is
/// taken from our own pages alone; and with a token everybody but the probes of `/livez` and
/// `/readyz` must show it: `Authorization: Bearer TOKEN`, or `Basic` with it as the password, which
/// browsers ask their user for.

#include "http/exchange.h"

struct wr_gate {
  bool is_tcp;
  const char *token; ///< NULL: none is asked for; the caller keeps it alive
};

/// Whether the request is let in; it was answered when it is not.
bool wr_gate_admits(const struct wr_gate *g, struct wr_exchange *x);
