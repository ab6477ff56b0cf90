#pragma once
/// What each process of a weir gives up, for good. The master keeps one capability, with which
/// later reloads bind ports below 1024; workers and trials, which run scripts and read what clients
/// and upstreams send, keep nothing. Why, and what a process can still do: confine/README.md.

#include "confine/filter.h"
#include "confine/user.h"

/// From the command line; immutable.
struct wr_confine_options {
  bool is_off;         ///< --confine=no: nothing but the change of user happens
  bool has_user;       ///< --user
  struct wr_user user; ///< to run as
};

/// Confines the master, before it opens or reads anything: becomes the user, keeps at most
/// CAP_NET_BIND_SERVICE, takes no new privileges, and makes sure that its children can be confined.
/// False with an error that says what to do; the process must end then.
bool wr_confine_master(const struct wr_confine_options *options, struct wr_error *error);

/// Confines a freshly forked child of the master, after its libraries were set up and before it
/// reads the first byte of a script or a client: no capabilities, no further processes, no
/// privileges by running other programs, and only the system calls of its role. False with a set
/// error.
bool wr_confine_child(const struct wr_confine_options *options, enum wr_filter_role role,
                      struct wr_error *error);

/// No core dumps of this process and of all it starts, neither as files nor by the kernel's pipe to
/// a collector: keys and requests of others are in its memory. Whether confined or not.
void wr_confine_cores(void);
