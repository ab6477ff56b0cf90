#pragma once
/// The addresses that bundles listen on, as they change with a reload: new ones are bound before it
/// goes live and closed again when it fails, old ones are closed afterwards. The master's only.

#include "master.h"

/// Keeps the sockets that are listened on already and opens the new ones. NULL, or, with a set
/// error, the one that cannot be.
const struct wr_candidate_listen *wr_addresses_open(struct wr_master *m, struct wr_error *error);

/// An address that the reload would open or close; NULL: none.
const char *wr_addresses_change(const struct wr_master *m);

/// The reload failed: closes the new ones.
void wr_addresses_discard(struct wr_master *m);

/// It is decided: gives the new ones to the workers that listen already.
void wr_addresses_send(struct wr_master *m);

/// All workers are live: closes those that are no longer wanted.
void wr_addresses_commit(struct wr_master *m);

/// Whether a generation that is to be on probation listens on other addresses: its reload has
/// failed then.
bool wr_addresses_bar_probation(struct wr_master *m);
