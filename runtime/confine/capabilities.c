#include "confine/capabilities.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
  uint64_t effective, permitted, inheritable;
};

static int read_sets(struct sets *out)
{
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct half[2];
  if (syscall(SYS_capget, &head, half) != 0) return -1;
  out->effective = half[0].effective | (uint64_t)half[1].effective << 32;
  out->permitted = half[0].permitted | (uint64_t)half[1].permitted << 32;
  out->inheritable = half[0].inheritable | (uint64_t)half[1].inheritable << 32;
  return 0;
}

static int write_sets(const struct sets *s)
{
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct half[2] = {
      {(uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable},
      {(uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32),
       (uint32_t)(s->inheritable >> 32)},
  };
  return syscall(SYS_capset, &head, half) == 0 ? 0 : -1;
}

// Shrinking the bounding set takes a capability of its own. Without it nothing is lost: who has no
// new privileges gains none by a program's file, which is what the set is for.
static int shrink_bounding(uint64_t keep, struct sets *held)
{
  if (!(held->permitted & (UINT64_C(1) << CAP_SETPCAP))) return 0;
  held->effective |= UINT64_C(1) << CAP_SETPCAP;
  if (write_sets(held) != 0) return -1;
  // The kernel knows which is its last.
  for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
    bool is_kept = cap < 64 && (keep >> cap & 1);
    if (!is_kept && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return -1;
  }
  return 0;
}

bool wr_capabilities_limit(uint64_t keep, struct wr_error *error)
{
  struct sets held = {0, 0, 0};
  bool ok = read_sets(&held) == 0 && shrink_bounding(keep, &held) == 0 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0;
  uint64_t rest = held.permitted & keep;
  struct sets wanted = {rest, rest, 0};
  // Who has nothing to give up need not be allowed to ask.
  if (ok && memcmp(&held, &wanted, sizeof(held)) != 0) ok = write_sets(&wanted) == 0;
  if (ok) return true;
  wr_error_set(error, WR_ERROR_INVALID,
               "cannot give up capabilities: %s; let weir call capget, capset and prctl, or start "
               "it with --confine=no",
               strerror(errno));
  return false;
}

static void set_inheritable(bool is_on)
{
  struct sets held;
  if (read_sets(&held) != 0) return;
  uint64_t bind = held.permitted & WR_CAPABILITY_BIND;
  held.inheritable = is_on ? held.inheritable | bind : held.inheritable & ~WR_CAPABILITY_BIND;
  if (bind != 0) write_sets(&held);
}

// Who holds nothing has nothing to hand on, and is refused: that is well.
void wr_capabilities_hand_on(void)
{
  set_inheritable(true);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
}

void wr_capabilities_keep(void)
{
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_NET_BIND_SERVICE, 0, 0);
  set_inheritable(false);
}

void wr_capabilities_text(uint64_t set, char out[WR_CAPABILITIES_TEXT_SIZE])
{
  if (set == 0) {
    out[0] = '\0';
  } else if (set == WR_CAPABILITY_BIND) {
    snprintf(out, WR_CAPABILITIES_TEXT_SIZE, "net_bind_service");
  } else {
    snprintf(out, WR_CAPABILITIES_TEXT_SIZE, "%016llx", (unsigned long long)set);
  }
}
