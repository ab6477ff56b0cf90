#pragma once
/// What a bundle declares while it loads: listeners, routes, named state, background work.
///
/// Filled by bindings at load, read-only afterwards; policy/ turns it into a generation. Belongs to
/// its script. Strings are owned by the list.

#include "arena/registry.h"
#include "base/duration.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "http/server.h"
#include "resilience/overload.h"
#include "script/trust.h"

#include <stdint.h>

/// `weir.listen`.
struct wr_listen_declared {
  struct wr_list link;
  char *address; ///< "127.0.0.1:8080", "unix:/run/weir.sock", normal form
  char *place;   ///< "file:line" of the declaration
  uint32_t mode; ///< of the file of a Unix socket
  struct wr_listen_options options;
};

enum { WR_ROUTE_NO_ON_ERROR = -2 }; ///< LUA_NOREF

/// `weir.route`.
struct wr_route_declared {
  struct wr_list link;
  char *pattern; ///< as written: "GET /users/:id"
  char *place;   ///< "file:line" of the declaration
  char *host;    ///< NULL for any
  int handler_ref;
  int on_error_ref;         ///< answers when the handler raised; WR_ROUTE_NO_ON_ERROR: 500
  struct wr_entry *breaker; ///< of handlers that raise; NULL: they are always asked
  uint64_t deadline_ns;     ///< of the whole request, to its response head
  uint64_t body_max;        ///< request body; 0: the server's default
  uint8_t priority;         ///< enum wr_priority
  bool is_exempt;           ///< weir.overload never sheds it
  bool is_timed;            ///< its clients are told where the time went
  const char *word;         ///< its path, as the meter's word; NULL before its first request
};

/// A named primitive with the configuration this generation wants for it.
struct wr_entry_declared {
  struct wr_list link;
  struct wr_entry *entry;
  struct wr_entry_ref ref; ///< to it
  char *place;
  size_t config_size;
  char config[];
};

/// `weir.every` and `weir.spawn` at load: starts when the generation goes live.
struct wr_job_declared {
  struct wr_list link;
  char *name;
  char *place;
  int fn_ref;
  uint64_t every_ns;      ///< 0: once
  struct wr_entry *lease; ///< of a singleton: who has it runs it; NULL: each worker does
};

/// `weir.selftest`: kept by trials and selftests alone.
struct wr_selftest_declared {
  struct wr_list link;
  char *name;
  char *place;
  int fn_ref;
};

struct wr_declarations {
  struct wr_networks trust; ///< proxies that are believed, of all listeners
  struct wr_list listens, routes, entries, jobs, selftests;
  struct wr_list upstreams; ///< struct wr_upstream, owned by their handles
  struct wr_map by_entry;   ///< private: of entries, by the address of the registry's
  size_t route_count;
  struct wr_overload_config overload; ///< `weir.overload`; all zeros: not declared
  bool overload_shadow;
  char *priority_header; ///< what trusted proxies say a request's priority with; NULL: nothing
};

/// Starts empty.
void wr_declare_init(struct wr_declarations *d);

/// What it wants of `entry`; NULL: it has not declared that.
struct wr_entry_declared *wr_declare_find(const struct wr_declarations *d,
                                          const struct wr_entry *entry);

/// Adds what it wants, which is taken over. Once for each entry.
void wr_declare_add(struct wr_declarations *d, struct wr_entry_declared *declared);

/// Frees the lists; entries of the registry stay.
void wr_declare_fini(struct wr_declarations *d);
