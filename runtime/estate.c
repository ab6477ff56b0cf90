#include "estate.h"

#include "fleet.h"
#include "handover.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

void wr_estate_fd(struct wr_archive *a, const char *key, int *fd)
{
  uint32_t number = (uint32_t)*fd; // none is the largest
  wr_archive_u32(a, key, &number);
  *fd = (int)number;
  if (!wr_archive_is_reading(a) && *fd >= 0) fcntl(*fd, F_SETFD, 0);
}

static void archive_fds(struct wr_archive *a, const char *key, int *fds, size_t count)
{
  struct wr_archive list;
  size_t there = wr_archive_begin(&list, a, key, count);
  for (size_t i = 0; i < count && i < there; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    wr_estate_fd(&item, "fd", &fds[i]);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

// --- there and back ------------------------------------------------------------------------------

static void archive_listens(struct wr_candidate_report *r, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "listens", r->listen_count);
  if (count > WR_CANDIDATE_LISTENS_MAX) count = 0;
  r->listen_count = (uint32_t)count;
  for (size_t i = 0; i < count; i++) {
    struct wr_candidate_listen *l = &r->listens[i];
    struct wr_archive item = wr_archive_item(&list, i);
    wr_archive_text(&item, "address", l->address, sizeof(l->address));
    wr_archive_text(&item, "place", l->place, sizeof(l->place));
    wr_archive_u32(&item, "mode", &l->mode);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void archive_report(struct wr_candidate_report *r, struct wr_archive *a)
{
  wr_archive_hash(a, "hash", &r->hash);
  wr_archive_u32(a, "files", &r->files);
  wr_archive_u32(a, "routes", &r->routes);
  archive_listens(r, a);
  r->ok = true;
}

static void archive_facts(struct wr_master *m, struct wr_archive *a)
{
  archive_report(&m->live_report, a);
  wr_archive_u64(a, "live", &m->live);
  wr_archive_u64(a, "last_number", &m->last_number);
  wr_archive_u64(a, "live_since_ns", &m->live_since_ns);
  wr_archive_u64(a, "started_ns", &m->started_ns);
  wr_archive_u64(a, "started_wall_ns", &m->started_wall_ns);
  wr_archive_u64s(a, "reloads", m->reload.counted, 2);
  wr_archive_text(a, "last_reload", m->reload.last, sizeof(m->reload.last));
  wr_archive_u64s(a, "upgrades", m->upgrade.counted, 2);
  wr_archive_u64(a, "upgrade_ns", &m->upgrade.started_ns);
  // Asked for meanwhile, by a signal or a watched file.
  uint8_t is_wanted = !wr_list_is_empty(&m->reload.orders);
  wr_archive_flag(a, "reload_wanted", &is_wanted);
  if (wr_archive_is_reading(a) && is_wanted) wr_orders_add(&m->reload.orders, WR_ORDER_LOAD);
}

static void archive_quarantine(struct wr_quarantine *q, struct wr_archive *a)
{
  wr_archive_hash(a, "hash", &q->hash);
  wr_archive_u64(a, "number", &q->number);
  wr_archive_u64(a, "since_ns", &q->since_ns);
  wr_archive_text(a, "why", q->why, sizeof(q->why));
}

static void archive_past(struct wr_past *p, struct wr_archive *a)
{
  wr_archive_u64(a, "number", &p->number);
  wr_archive_u64(a, "since_ns", &p->since_ns);
  wr_estate_fd(a, "bundle", &p->bundle);
  archive_report(&p->report, a);
}

static void archive_worker(uint32_t *pid, uint64_t *live, int *mailbox, struct wr_archive *a)
{
  wr_archive_u32(a, "pid", pid);
  wr_archive_u64(a, "live", live);
  wr_estate_fd(a, "mailbox", mailbox);
}

static void archive_listener(struct wr_listener *l, struct wr_archive *a)
{
  wr_archive_u32(a, "mode", &l->mode);
  wr_archive_u64s(a, "file", l->file, 2);
  archive_fds(a, "sockets", l->fds, l->count);
}

// --- leaving it ---------------------------------------------------------------------------------

static void write_listener(struct wr_list *node, struct wr_archive *a)
{
  struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
  wr_json_field_cstr(a->out, "address", l->address);
  archive_listener(l, a);
}

static void write_quarantine(struct wr_list *node, struct wr_archive *a)
{
  archive_quarantine(WR_CONTAINER(node, struct wr_quarantine, link), a);
}

static void write_past(struct wr_list *node, struct wr_archive *a)
{
  archive_past(WR_CONTAINER(node, struct wr_past, link), a);
}

static void write_list(struct wr_archive *a, const char *key, struct wr_list *nodes,
                       void (*write)(struct wr_list *node, struct wr_archive *item))
{
  struct wr_archive list;
  size_t count = 0;
  wr_archive_begin(&list, a, key, 0);
  WR_LIST_EACH(nodes, node) {
    struct wr_archive item = wr_archive_item(&list, count++);
    write(node, &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_worker(struct wr_master *m, uint32_t i, struct wr_archive *a)
{
  struct wr_master_worker *w = &m->workers[i];
  int mailbox = w->pid > 0 && w->mailbox.is_open ? w->mailbox.io.fd : -1;
  uint32_t pid = mailbox >= 0 ? (uint32_t)w->pid : 0;
  archive_worker(&pid, &w->live, &mailbox, a);
}

static void write_bell(struct wr_master *m, uint32_t i, struct wr_archive *a)
{
  wr_estate_fd(a, "fd", &wr_slot_of(&m->arena, i)->bell_fd);
}

static void write_rows(struct wr_master *m, struct wr_archive *a, const char *key, uint32_t count,
                       void (*write)(struct wr_master *m, uint32_t i, struct wr_archive *item))
{
  struct wr_archive list;
  wr_archive_begin(&list, a, key, 0);
  for (uint32_t i = 0; i < count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    write(m, i, &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

void wr_estate_write(struct wr_master *m, struct wr_archive *a)
{
  m->admin_listener->fds[0] = m->admin_fd;
  struct wr_archive admin = wr_archive_open(a, "admin");
  write_listener(&m->admin_listener->link, &admin);
  wr_archive_close(&admin);
  m->admin_listener->fds[0] = -1;
  archive_facts(m, a);
  write_list(a, "listeners", &m->listeners, write_listener);
  write_rows(m, a, "fleet", m->settings->workers, write_worker);
  write_rows(m, a, "bells", m->arena.header->slot_count, write_bell);
  write_list(a, "quarantined", &m->history.quarantined, write_quarantine);
  write_list(a, "past", &m->history.past, write_past);
}

// --- taking it over -----------------------------------------------------------------------------

static struct wr_listener *adopt_listener(struct wr_archive *a, uint32_t count)
{
  char address[PATH_MAX] = "";
  wr_archive_text(a, "address", address, sizeof(address));
  struct wr_listener *l = wr_listener_adopt(address, count);
  archive_listener(l, a);
  return l;
}

static void read_listener(struct wr_master *m, size_t i, struct wr_archive *a)
{
  (void)i;
  wr_list_push(&m->listeners, &adopt_listener(a, m->settings->workers)->link);
}

// A worker that died while there was nobody to hear of it has left its place.
static bool is_there(uint32_t pid)
{
  return pid > 0 && waitpid((pid_t)pid, NULL, WNOHANG) == 0;
}

static void read_worker(struct wr_master *m, size_t i, struct wr_archive *a)
{
  if (i >= m->settings->workers) return;
  struct wr_master_worker *w = m->leaving ? &m->leaving[i] : &m->workers[i];
  uint32_t pid = 0;
  uint64_t live = 0;
  int mailbox = -1;
  archive_worker(&pid, &live, &mailbox, a);
  if (is_there(pid)) {
    wr_fleet_adopt(w, (pid_t)pid, mailbox, live);
  } else {
    if (mailbox >= 0) close(mailbox);
    wr_fleet_settle(w);
  }
}

static void read_quarantine(struct wr_master *m, size_t i, struct wr_archive *a)
{
  (void)i;
  struct wr_quarantine q = {.hash = 0};
  archive_quarantine(&q, a);
  struct wr_quarantine *kept = wr_history_quarantine(&m->history, q.hash, q.since_ns);
  kept->number = q.number;
  memcpy(kept->why, q.why, sizeof(q.why));
}

static void read_past(struct wr_master *m, size_t i, struct wr_archive *a)
{
  (void)i;
  struct wr_past past = {.bundle = -1};
  archive_past(&past, a);
  if (past.bundle >= 0) wr_history_push(&m->history, &past);
}

static void read_rows(struct wr_master *m, struct wr_archive *a, const char *key,
                      void (*read)(struct wr_master *m, size_t i, struct wr_archive *item))
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, key, 0);
  for (size_t i = 0; i < count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    read(m, i, &item);
  }
  wr_archive_end(&list);
}

// Given back, or in the slots of the other fleet beside the leaving ones.
static void make_fleets(struct wr_master *m)
{
  const struct wr_handover *h = m->settings->handover;
  uint32_t other = h->slot == 0 ? m->settings->workers : 0;
  m->workers = wr_fleet_new(m, h->is_back ? h->slot : other);
  if (h->is_back) return;
  m->leaving = wr_fleet_new(m, h->slot);
  for (uint32_t i = 0; i < m->settings->workers; i++) m->leaving[i].is_leaving = true;
}

void wr_estate_read(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive admin = wr_archive_open(a, "admin");
  m->admin_listener = adopt_listener(&admin, 1);
  archive_facts(m, a);
  read_rows(m, a, "listeners", read_listener);
  read_rows(m, a, "quarantined", read_quarantine);
  read_rows(m, a, "past", read_past);
  make_fleets(m);
  read_rows(m, a, "fleet", read_worker);
}
