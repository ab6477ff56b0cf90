#pragma once
/// Following the files of the live bundle (--watch): a reload when one of them changes. The
/// master's only.

#include "master.h"

/// Prepares; nothing is followed yet.
void wr_follow_init(struct wr_master *m);

/// Another bundle is live: follows its folders. `is_of_disk`: it was just read, so that what the
/// disk holds otherwise by now is a change; who went back to a past one wants that, until a file
/// changes.
void wr_follow_bundle(struct wr_master *m, bool is_of_disk);

/// The files did not load: follows the folder of the one at fault too, which the live bundle may
/// not have.
void wr_follow_problem(struct wr_master *m);

/// Follows nothing any more.
void wr_follow_stop(struct wr_master *m);
