#pragma once
/// What a client may ask of an HTTP/2 connection that costs us work and brings it nothing: each
/// kind of such frames fills a bucket that leaks. One that overflows ends the connection with
/// ENHANCE_YOUR_CALM.
///
/// Buckets leak by time, and by the useful work that makes such frames necessary: who is sent data
/// gives window back, who asks may cancel. So honest clients are never near the bound, however fast
/// they are. Pure; time is a parameter.

#include <stdbool.h>
#include <stdint.h>

/// X(ENUM, name, burst, per_second, per_data, per_request): how many at once, how many more each
/// second, for each DATA frame sent and for each request begun.
#define WR_H2_STRAINS(X)                                                                           \
  X(RESET, "reset", 200, 20, 0, 0)       /* streams cancelled by the client */                     \
  X(PING, "ping", 100, 10, 1, 1)         /* gRPC measures its bandwidth with them */               \
  X(SETTINGS, "settings", 50, 1, 0, 0)   /* each must be acknowledged */                           \
  X(PRIORITY, "priority", 200, 10, 0, 4) /* not heeded at all */                                   \
  X(WINDOW_UPDATE, "window_update", 1000, 100, 10, 4)                                              \
  X(EMPTY_DATA, "empty_data", 50, 1, 0, 1)    /* no byte, and not the end */                       \
  X(UNKNOWN, "unknown", 100, 10, 0, 1)        /* frames of types that we do not know */            \
  X(INVALID, "invalid", 50, 5, 0, 0)          /* streams that broke a rule */                      \
  X(CONTINUATION, "continuation", 0, 0, 0, 0) /* a head in too many frames: nghttp2 counts */      \
  X(HEAD, "head", 0, 0, 0, 0)                 /* a head that unpacks far beyond its limit */       \
  X(ANSWERS, "answers", 0, 0, 0, 0)           /* answers that the client does not take */

enum wr_h2_strain_kind {
#define WR_H2_STRAIN_ROW(ENUM, name, burst, per_second, per_data, per_request) WR_H2_STRAIN_##ENUM,
  WR_H2_STRAINS(WR_H2_STRAIN_ROW)
#undef WR_H2_STRAIN_ROW
      WR_H2_STRAIN_KINDS
};

struct wr_h2_strain {
  uint64_t leaked_ns[WR_H2_STRAIN_KINDS]; // private: when the bucket was last looked at
  uint64_t level[WR_H2_STRAIN_KINDS];     // private: in thousandths
};

/// Starts with empty buckets.
void wr_h2_strain_init(struct wr_h2_strain *s, uint64_t now_ns);

/// One more of a kind. False when it is too much.
bool wr_h2_strain_add(struct wr_h2_strain *s, enum wr_h2_strain_kind kind, uint64_t now_ns);

/// A DATA frame was sent.
void wr_h2_strain_data(struct wr_h2_strain *s);

/// A request began.
void wr_h2_strain_request(struct wr_h2_strain *s);

/// "reset", …
const char *wr_h2_strain_name(enum wr_h2_strain_kind kind);
