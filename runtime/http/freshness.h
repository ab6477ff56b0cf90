#pragma once
/// How old a response is, how long it is fresh, and whether a request may have it (RFC 9111 4.2,
/// RFC 5861). Pure: dates are data of the messages, time that passes here is monotonic and given.

#include "http/cache_control.h"

/// What a cache decides for itself, where messages leave it the choice.
struct wr_freshness_rules {
  bool is_shared;      ///< serves several users: obeys s-maxage, private, proxy-revalidate
  bool obeys_requests; ///< what clients say in Cache-Control counts
  double
      heuristic; ///< lifetime of what only has Last-Modified, as a share of its age then; 0: none
  int64_t heuristic_max_s;
  int64_t ttl_s;                    ///< lifetime of what says nothing, or WR_CACHE_CONTROL_NONE
  int64_t stale_while_revalidate_s; ///< for responses that do not say
  int64_t stale_if_error_s;         ///< for responses that do not say
};

/// One response, when its head has arrived.
struct wr_freshness_response {
  int status;
  const struct wr_headers *headers;
  const struct wr_cache_control *cc; ///< in force: Cache-Control, or a targeted field
  bool is_targeted;  ///< `cc` is a targeted field: Expires does not count (RFC 9213)
  int64_t wall_s;    ///< Unix time of the arrival: compared with Date
  uint64_t now_ns;   ///< the same on the monotonic clock
  uint64_t delay_ns; ///< from sending the request to the arrival
};

/// What is kept beside a stored response.
struct wr_freshness {
  int64_t lifetime_s;
  uint64_t arrived_ns;     ///< on the monotonic clock
  uint64_t initial_age_ns; ///< then: the corrected initial age
  int64_t stale_while_revalidate_s;
  int64_t stale_if_error_s;
  uint8_t has_lifetime;     ///< something said how long; else lifetime_s is 0
  uint8_t is_heuristic;     ///< and that was a guess
  uint8_t validates_always; ///< no-cache
  uint8_t validates_stale;  ///< must-revalidate and its like: never served stale
};

enum wr_freshness_verdict {
  WR_FRESHNESS_SERVE,    ///< as it is
  WR_FRESHNESS_REFRESH,  ///< serve it stale, and refresh it behind (stale-while-revalidate)
  WR_FRESHNESS_VALIDATE, ///< ask the origin first
};

/// Statuses that may be stored without explicit freshness (RFC 9110 15.1), but 206.
bool wr_freshness_is_heuristic_status(int status);

/// Reads lifetime, age and permissions.
void wr_freshness_read(const struct wr_freshness_response *r,
                       const struct wr_freshness_rules *rules, struct wr_freshness *out);

/// Its age at `now_ns`.
uint64_t wr_freshness_age(const struct wr_freshness *f, uint64_t now_ns);

/// May a request have the response, which is `age_ns` old? `cc` are the request's directives; NULL:
/// they do not count.
enum wr_freshness_verdict wr_freshness_judge(const struct wr_freshness *f, uint64_t age_ns,
                                             const struct wr_cache_control *cc);

/// Nanoseconds for which it may still be served in place of an error; 0: not at all. `cc` as above.
uint64_t wr_freshness_error_left(const struct wr_freshness *f, uint64_t age_ns,
                                 const struct wr_cache_control *cc);

/// Longest time after its arrival for which it is of any use without validation.
uint64_t wr_freshness_useful(const struct wr_freshness *f);
