#include "script/declare.h"

#include "base/alloc.h"
#include "http/tls.h"

void wr_declare_init(struct wr_declarations *d)
{
  wr_list_init(&d->listens);
  wr_list_init(&d->routes);
  wr_list_init(&d->entries);
  wr_list_init(&d->jobs);
  wr_list_init(&d->selftests);
  wr_list_init(&d->upstreams);
  wr_map_init(&d->by_entry, (struct wr_hash_key){0, 0}); // an address is nobody's choice
  d->route_count = 0;
}

static struct wr_str key_of(const struct wr_entry *const *entry)
{
  return (struct wr_str){(const char *)entry, sizeof(*entry)};
}

struct wr_entry_declared *wr_declare_find(const struct wr_declarations *d,
                                          const struct wr_entry *entry)
{
  return wr_map_get(&d->by_entry, key_of(&entry));
}

void wr_declare_add(struct wr_declarations *d, struct wr_entry_declared *declared)
{
  const struct wr_entry *entry = declared->entry;
  wr_map_put(&d->by_entry, key_of(&entry), declared);
  wr_list_push(&d->entries, &declared->link);
}

static void free_routes(struct wr_declarations *d)
{
  WR_LIST_EACH(&d->routes, node) {
    struct wr_route_declared *route = WR_CONTAINER(node, struct wr_route_declared, link);
    wr_free(route->pattern);
    wr_free(route->place);
    wr_free(route->host);
    wr_free(route);
  }
}

static void free_jobs(struct wr_declarations *d)
{
  WR_LIST_EACH(&d->jobs, node) {
    struct wr_job_declared *job = WR_CONTAINER(node, struct wr_job_declared, link);
    wr_free(job->name);
    wr_free(job->place);
    wr_free(job);
  }
}

static void free_selftests(struct wr_declarations *d)
{
  WR_LIST_EACH(&d->selftests, node) {
    struct wr_selftest_declared *test = WR_CONTAINER(node, struct wr_selftest_declared, link);
    wr_free(test->name);
    wr_free(test->place);
    wr_free(test);
  }
}

void wr_declare_fini(struct wr_declarations *d)
{
  WR_LIST_EACH(&d->listens, node) {
    struct wr_listen_declared *listen = WR_CONTAINER(node, struct wr_listen_declared, link);
    wr_tls_unref(listen->options.tls);
    wr_free(listen->address);
    wr_free(listen->place);
    wr_free(listen);
  }
  WR_LIST_EACH(&d->entries, node) {
    struct wr_entry_declared *entry = WR_CONTAINER(node, struct wr_entry_declared, link);
    wr_free(entry->place);
    wr_free(entry);
  }
  wr_map_fini(&d->by_entry);
  wr_free(d->priority_header);
  d->priority_header = NULL;
  free_routes(d);
  free_jobs(d);
  free_selftests(d);
  wr_declare_init(d);
}
