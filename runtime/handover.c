#include "handover.h"

#include "base/alloc.h"
#include "base/archive.h"
#include "base/memfd.h"
#include "fleet.h"
#include "store/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DOCUMENT_MAX = 4 * 1024 * 1024 };

// --- descriptors --------------------------------------------------------------------------------

// Those above the standard ones.
static void close_on_exec(void)
{
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

// One that the document names stays open over execve.
static void archive_fd(struct wr_archive *a, const char *key, int *fd)
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
    archive_fd(&item, "fd", &fds[i]);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

// --- what there is to know ----------------------------------------------------------------------

static void archive_self(struct wr_handover *h, struct wr_archive *a)
{
  char program[PATH_MAX] = "";
  uint8_t is_rehearsal = h->is_rehearsal;
  if (h->program) snprintf(program, sizeof(program), "%s", h->program);
  wr_archive_flag(a, "rehearsal", &is_rehearsal);
  wr_archive_text(a, "program", program, sizeof(program));
  wr_archive_u32(a, "workers", &h->workers);
  wr_archive_u32(a, "slot", &h->slot);
  archive_fd(a, "arena", &h->arena);
  archive_fd(a, "bundle", &h->bundle);
  archive_fd(a, "snapshot", &h->snapshot);
  archive_fd(a, "previous", &h->previous);
  archive_fd(a, "caller", &h->caller);
  if (!wr_archive_is_reading(a)) return;
  h->is_rehearsal = is_rehearsal;
  h->program = wr_strdup(program);
}

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
  archive_fd(a, "bundle", &p->bundle);
  archive_report(&p->report, a);
}

// --- leaving it ---------------------------------------------------------------------------------

static void write_listener(struct wr_listener *l, struct wr_archive *a)
{
  wr_json_field_cstr(a->out, "address", l->address);
  wr_archive_u32(a, "mode", &l->mode);
  wr_archive_u64s(a, "file", l->file, 2);
  archive_fds(a, "sockets", l->fds, l->count);
}

static void write_listeners(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = 0;
  wr_archive_begin(&list, a, "listeners", 0);
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_archive item = wr_archive_item(&list, count++);
    write_listener(WR_CONTAINER(node, struct wr_listener, link), &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_fleet(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  wr_archive_begin(&list, a, "fleet", 0);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_master_worker *w = &m->workers[i];
    int mailbox = w->pid > 0 && w->mailbox.is_open ? w->mailbox.io.fd : -1;
    uint32_t pid = mailbox >= 0 ? (uint32_t)w->pid : 0;
    struct wr_archive item = wr_archive_item(&list, i);
    wr_archive_u32(&item, "pid", &pid);
    wr_archive_u64(&item, "live", &w->live);
    archive_fd(&item, "mailbox", &mailbox);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_bells(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  wr_archive_begin(&list, a, "bells", 0);
  for (uint32_t i = 0; i < m->arena.header->slot_count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    archive_fd(&item, "fd", &wr_slot_of(&m->arena, i)->bell_fd);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_quarantined(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = 0;
  wr_archive_begin(&list, a, "quarantined", 0);
  WR_LIST_EACH(&m->history.quarantined, node) {
    struct wr_archive item = wr_archive_item(&list, count++);
    archive_quarantine(WR_CONTAINER(node, struct wr_quarantine, link), &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_past(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = 0;
  wr_archive_begin(&list, a, "past", 0);
  WR_LIST_EACH(&m->history.past, node) {
    struct wr_archive item = wr_archive_item(&list, count++);
    archive_past(WR_CONTAINER(node, struct wr_past, link), &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void write_all(struct wr_master *m, struct wr_archive *a)
{
  struct wr_listener *admin = m->admin_listener;
  admin->fds[0] = m->admin_fd;
  struct wr_archive inner = wr_archive_open(a, "admin");
  write_listener(admin, &inner);
  wr_archive_close(&inner);
  admin->fds[0] = -1;
  archive_facts(m, a);
  write_listeners(m, a);
  write_fleet(m, a);
  write_bells(m, a);
  write_quarantined(m, a);
  write_past(m, a);
}

// Named state for an arena of another layout; -1 when it is too much, or there is no memory.
static int write_snapshot(struct wr_master *m)
{
  struct wr_buf text;
  wr_buf_init(&text, WR_SNAPSHOT_BYTES_MAX);
  bool fits = wr_snapshot_write(&m->registry, wr_loop_now(&m->loop), wr_loop_wall(), &text);
  int fd = fits ? wr_memfd_new("weir-state", wr_buf_str(&text)) : -1;
  wr_buf_fini(&text);
  return fd;
}

int wr_handover_pack(struct wr_master *m, const struct wr_handover_plan *plan)
{
  struct wr_handover self = {
      .is_rehearsal = plan->is_rehearsal,
      .program = (char *)m->settings->program,
      .workers = m->settings->workers,
      .slot = m->workers[0].slot,
      .arena = plan->is_rehearsal ? -1 : m->arena.fd,
      .bundle = m->bundle,
      .snapshot = write_snapshot(m),
      .previous = plan->is_rehearsal ? -1 : open("/proc/self/exe", O_PATH | O_CLOEXEC),
      .caller = plan->caller,
  };
  struct wr_buf text;
  struct wr_json j;
  struct wr_archive a = {.out = &j};
  wr_buf_init(&text, DOCUMENT_MAX);
  wr_json_init(&j, &text);
  wr_json_object(&j);
  wr_json_field_uint(&j, "weir_handover", WR_HANDOVER_VERSION);
  archive_self(&self, &a);
  if (!plan->is_rehearsal) write_all(m, &a);
  wr_json_object_end(&j);
  errno = EFBIG;
  int document = j.failed ? -1 : wr_memfd_new("weir-handover", wr_buf_str(&text));
  wr_buf_fini(&text);
  if (document >= 0) fcntl(document, F_SETFD, 0);
  return document;
}

void wr_handover_close(int document)
{
  struct wr_str text = wr_memfd_map(document);
  json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
  struct wr_handover h = {.snapshot = -1, .previous = -1, .caller = -1};
  struct wr_archive a = {.in = root};
  archive_self(&h, &a);
  const int ours[] = {h.snapshot, h.previous, h.caller, document};
  for (size_t i = 0; i < WR_COUNT(ours); i++) {
    if (ours[i] >= 0) close(ours[i]);
  }
  wr_free(h.program);
  json_decref(root);
  wr_memfd_unmap(text);
  close_on_exec();
}

// --- taking it over -----------------------------------------------------------------------------

static json_t *read_document(int fd)
{
  struct wr_str text = wr_memfd_map(fd);
  json_t *root = text.ptr ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
  wr_memfd_unmap(text);
  if (json_integer_value(json_object_get(root, "weir_handover")) == WR_HANDOVER_VERSION)
    return root;
  json_decref(root);
  return NULL;
}

static int read_fd(const char *text)
{
  int fd = 0;
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9' || fd > INT32_MAX / 16) return -1;
    fd = fd * 10 + (*c - '0');
  }
  return fd;
}

// A program that was started by its descriptor is called like that; the name is for people.
static void take_name(const char *program)
{
  const char *slash = strrchr(program, '/');
  prctl(PR_SET_NAME, slash ? slash + 1 : program);
}

static void note_descriptors(struct wr_handover *h)
{
  DIR *folder = opendir("/proc/self/fd");
  const struct dirent *entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    int fd = read_fd(entry->d_name);
    if (fd <= STDERR_FILENO || fd == dirfd(folder)) continue;
    h->kept = wr_realloc(h->kept, (h->kept_count + 1) * sizeof(*h->kept));
    h->kept[h->kept_count++] = fd;
  }
  if (folder != NULL) closedir(folder);
}

bool wr_handover_take(struct wr_handover **out, struct wr_error *error)
{
  const char *variable = getenv(WR_HANDOVER_VARIABLE);
  const char *failure = getenv(WR_HANDOVER_FAILURE_VARIABLE);
  *out = NULL;
  if (variable == NULL) return true;
  int fd = read_fd(variable);
  json_t *root = fd > STDERR_FILENO ? read_document(fd) : NULL;
  if (root == NULL) {
    wr_error_set(error, WR_ERROR_INVALID,
                 WR_HANDOVER_VARIABLE
                 " is '%.20s', which is nothing that this weir can take over; it is set by "
                 "`weir upgrade` alone",
                 variable);
    return false;
  }
  struct wr_handover *h = wr_alloc(sizeof(*h));
  *h = (struct wr_handover){.document = fd, .root = root, .arena = -1, .bundle = -1};
  h->snapshot = h->previous = h->caller = -1;
  struct wr_archive a = {.in = root};
  archive_self(h, &a);
  h->is_back = failure != NULL;
  if (failure != NULL) h->failure = wr_strdup(failure);
  if (h->is_back) take_name(h->program);
  unsetenv(WR_HANDOVER_VARIABLE);
  unsetenv(WR_HANDOVER_FAILURE_VARIABLE);
  note_descriptors(h);
  close_on_exec();
  *out = h;
  return true;
}

void wr_handover_free(struct wr_handover *h)
{
  if (h == NULL) return;
  json_decref(h->root);
  wr_free(h->program);
  wr_free(h->failure);
  wr_free(h->kept);
  wr_free(h);
}

static void close_bells(const struct wr_handover *h)
{
  const json_t *bells = json_object_get(h->root, "bells");
  for (size_t i = 0; i < json_array_size(bells); i++) {
    close((int)json_integer_value(json_object_get(json_array_get(bells, i), "fd")));
  }
}

void wr_handover_forget(struct wr_handover *h, bool is_foreign)
{
  close(h->previous);
  close(h->document);
  h->previous = -1;
  if (h->snapshot >= 0) close(h->snapshot);
  if (!is_foreign) return;
  close(h->arena);
  close_bells(h);
}

static struct wr_listener *read_listener(struct wr_archive *a, uint32_t count)
{
  char address[PATH_MAX] = "";
  wr_archive_text(a, "address", address, sizeof(address));
  struct wr_listener *l = wr_listener_adopt(address, count);
  wr_archive_u32(a, "mode", &l->mode);
  wr_archive_u64s(a, "file", l->file, 2);
  archive_fds(a, "sockets", l->fds, count);
  return l;
}

static void read_listeners(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "listeners", 0);
  for (size_t i = 0; i < count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    wr_list_push(&m->listeners, &read_listener(&item, m->settings->workers)->link);
  }
  wr_archive_end(&list);
}

// A worker that died while there was nobody to hear of it has left its place.
static bool is_there(uint32_t pid)
{
  return pid > 0 && waitpid((pid_t)pid, NULL, WNOHANG) == 0;
}

static void read_worker(struct wr_master_worker *w, struct wr_archive *a)
{
  uint32_t pid = 0;
  uint64_t live = 0;
  int mailbox = -1;
  wr_archive_u32(a, "pid", &pid);
  wr_archive_u64(a, "live", &live);
  archive_fd(a, "mailbox", &mailbox);
  if (is_there(pid)) {
    wr_fleet_adopt(w, (pid_t)pid, mailbox, live);
  } else {
    if (mailbox >= 0) close(mailbox);
    wr_fleet_settle(w);
  }
}

static void read_fleet(struct wr_master *m, struct wr_master_worker *fleet, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "fleet", 0);
  for (size_t i = 0; i < count && i < m->settings->workers; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    read_worker(&fleet[i], &item);
  }
  wr_archive_end(&list);
}

static void read_quarantined(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "quarantined", 0);
  for (size_t i = 0; i < count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    struct wr_quarantine q = {.hash = 0};
    archive_quarantine(&q, &item);
    struct wr_quarantine *kept = wr_history_quarantine(&m->history, q.hash, q.since_ns);
    kept->number = q.number;
    memcpy(kept->why, q.why, sizeof(q.why));
  }
  wr_archive_end(&list);
}

static void read_past(struct wr_master *m, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "past", 0);
  for (size_t i = 0; i < count; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    struct wr_past past = {.bundle = -1};
    archive_past(&past, &item);
    if (past.bundle >= 0) wr_history_push(&m->history, &past);
  }
  wr_archive_end(&list);
}

void wr_handover_adopt(struct wr_master *m)
{
  const struct wr_handover *h = m->settings->handover;
  struct wr_archive a = {.in = h->root};
  struct wr_archive admin = wr_archive_open(&a, "admin");
  m->admin_listener = read_listener(&admin, 1);
  archive_facts(m, &a);
  m->bundle = h->bundle;
  read_listeners(m, &a);
  read_quarantined(m, &a);
  read_past(m, &a);
  if (h->is_back) {
    m->workers = wr_fleet_new(m, h->slot);
    read_fleet(m, m->workers, &a);
    return;
  }
  uint32_t other = h->slot == 0 ? m->settings->workers : 0;
  m->workers = wr_fleet_new(m, other);
  m->leaving = wr_fleet_new(m, h->slot);
  for (uint32_t i = 0; i < m->settings->workers; i++) m->leaving[i].is_leaving = true;
  read_fleet(m, m->leaving, &a);
}
