#include "confine/confine.h"

#include "base/check.h"
#include "confine/capabilities.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// The kernel's word for "no core at all" is 1: 0 stops files alone, a collector behind
// core_pattern's pipe would still be given the memory (fs/coredump.c).
void wr_confine_cores(void)
{
  struct rlimit one = {1, 1};
  struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &one) != 0) setrlimit(RLIMIT_CORE, &none); // the limit was 0 before
}

static bool forbid_privileges(struct wr_error *error)
{
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return true;
  wr_error_set(error, WR_ERROR_INVALID,
               "cannot give up new privileges (PR_SET_NO_NEW_PRIVS): %s; "
               "--confine=no leaves it out",
               strerror(errno));
  return false;
}

bool wr_confine_master(const struct wr_confine_options *options, struct wr_error *error)
{
  if (options->has_user && !wr_user_become(&options->user, error)) return false;
  if (options->is_off && !options->has_user) return true;
  if (!wr_capabilities_limit(WR_CAPABILITY_BIND, error)) return false;
  return options->is_off || (forbid_privileges(error) && wr_filter_is_possible(error));
}

// What a worker has no use for. The filter says no to most of it, too: two locks on one door.
static bool limit_resources(struct wr_error *error)
{
  static const enum __rlimit_resource unused[] = {RLIMIT_NPROC, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE};
  struct rlimit none = {0, 0};
  for (size_t i = 0; i < WR_COUNT(unused); i++) {
    if (setrlimit(unused[i], &none) == 0) continue;
    wr_error_set(error, WR_ERROR_INVALID, "cannot lower a limit of resources (setrlimit): %s",
                 strerror(errno));
    return false;
  }
  return true;
}

bool wr_confine_child(const struct wr_confine_options *options, enum wr_filter_role role,
                      struct wr_error *error)
{
  if (options->is_off) return true;
  return limit_resources(error) && wr_capabilities_limit(0, error) && forbid_privileges(error) &&
         wr_filter_install(role, error);
}
