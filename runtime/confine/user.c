#include "confine/user.h"

#include "base/str.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

// A decimal id; false when it is none.
static bool read_id(const char *text, uint32_t *out)
{
  uint64_t id = 0;
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9') return false;
    id = id * 10 + (uint64_t)(*c - '0');
    if (id > INT32_MAX) return false;
  }
  *out = (uint32_t)id;
  return text[0] != '\0';
}

static bool find_group(const char *name, gid_t *out, struct wr_error *error)
{
  const struct group *group = getgrnam(name);
  if (group != NULL) *out = group->gr_gid;
  if (group != NULL || read_id(name, out)) return true;
  wr_error_set(error, WR_ERROR_INVALID,
               "--user: there is no group '%s'; `getent group` lists them, and "
               "`groupadd --system %s` makes it",
               name, name);
  return false;
}

static bool find_number(struct wr_user *user, bool has_group, struct wr_error *error)
{
  const struct passwd *entry = read_id(user->name, &user->uid) ? getpwuid(user->uid) : NULL;
  user->is_named = entry != NULL;
  if (entry != NULL) {
    snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
    user->gid = entry->pw_gid;
    return true;
  }
  if (has_group && read_id(user->name, &user->uid)) return true;
  if (read_id(user->name, &user->uid)) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "--user: no user has the number %s, so its group must be given: %s:GROUP",
                 user->name, user->name);
  } else {
    wr_error_set(error, WR_ERROR_INVALID,
                 "--user: there is no user '%s'; `getent passwd` lists them, and "
                 "`useradd --system %s` makes it",
                 user->name, user->name);
  }
  return false;
}

bool wr_user_find(struct wr_user *user, const char *text, struct wr_error *error)
{
  *user = (struct wr_user){.is_named = true};
  const char *colon = strchr(text, ':');
  const char *group = colon ? colon + 1 : NULL;
  size_t len = colon ? (size_t)(colon - text) : strlen(text);
  if (len == 0 || len >= sizeof(user->name) || (group != NULL && group[0] == '\0')) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "--user is '%s'; it must be NAME or NAME:GROUP, a name of at most %d bytes", text,
                 WR_USER_NAME_SIZE - 1);
    return false;
  }
  memcpy(user->name, text, len);
  const struct passwd *entry = getpwnam(user->name);
  if (entry != NULL) {
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
  } else if (!find_number(user, group != NULL, error)) {
    return false;
  }
  return group == NULL || find_group(group, &user->gid, error);
}

static bool is_already(const struct wr_user *user)
{
  uid_t uid[3];
  gid_t gid[3];
  getresuid(&uid[0], &uid[1], &uid[2]);
  getresgid(&gid[0], &gid[1], &gid[2]);
  return uid[0] == user->uid && uid[1] == user->uid && uid[2] == user->uid && gid[0] == user->gid &&
         gid[1] == user->gid && gid[2] == user->gid;
}

static bool take_groups(const struct wr_user *user)
{
  return user->is_named ? initgroups(user->name, user->gid) == 0 : setgroups(0, NULL) == 0;
}

bool wr_user_become(const struct wr_user *user, struct wr_error *error)
{
  if (is_already(user)) return true;
  prctl(PR_SET_KEEPCAPS, 1);
  bool ok = take_groups(user) && setresgid(user->gid, user->gid, user->gid) == 0 &&
            setresuid(user->uid, user->uid, user->uid) == 0;
  int reason = errno;
  prctl(PR_SET_KEEPCAPS, 0);
  // The kernel hides a process that changed its user even from itself, and the master counts its
  // workers' descriptors in /proc. Nothing of root's is in our memory, and cores are off.
  prctl(PR_SET_DUMPABLE, 1);
  if (ok) return true;
  if (reason == EPERM) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "--user %s: only root can become another user: start weir as root, or as %s "
                 "without --user",
                 user->name, user->name);
  } else {
    wr_error_set(error, WR_ERROR_INVALID, "--user %s: cannot become uid %u, gid %u: %s", user->name,
                 (unsigned)user->uid, (unsigned)user->gid, strerror(reason));
  }
  return false;
}
