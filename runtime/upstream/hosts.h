#pragma once
/// The hosts file in memory: names to addresses, read again only when the file changed.
///
/// The file is looked at (one stat) at most every 5 s, and only while names are asked for. Bounded:
/// a file past 1 MiB is read to there. Pure but for that file; one owner.

#include "base/map.h"
#include "upstream/dns.h"

struct wr_hosts {
  char *path;
  struct wr_map names;    ///< private: lower-case name -> struct wr_dns_answer
  uint64_t checked_at_ns; ///< private
  uint64_t stamp[4];      ///< private: identifies the version that was read
  size_t reads;           ///< read-only: how often the file was read
};

/// `path` NULL: /etc/hosts. A file that is missing is an empty one. `key` as for `wr_map_init`.
void wr_hosts_init(struct wr_hosts *h, const char *path, struct wr_hash_key key);
void wr_hosts_fini(struct wr_hosts *h);

/// Addresses of the lower-case `name`, or NULL; valid until the next call.
const struct wr_dns_answer *wr_hosts_find(struct wr_hosts *h, uint64_t now_ns, struct wr_str name);
