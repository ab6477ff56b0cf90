#include "handover.h"

#include "base/alloc.h"
#include "base/archive.h"
#include "base/memfd.h"
#include "estate.h"
#include "store/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DOCUMENT_MAX = 4 * 1024 * 1024 };

// --- descriptors --------------------------------------------------------------------------------

// Those above the standard ones.
static void close_on_exec(void)
{
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
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
  wr_estate_fd(a, "arena", &h->arena);
  wr_estate_fd(a, "bundle", &h->bundle);
  wr_estate_fd(a, "snapshot", &h->snapshot);
  wr_estate_fd(a, "previous", &h->previous);
  wr_estate_fd(a, "caller", &h->caller);
  if (!wr_archive_is_reading(a)) return;
  h->is_rehearsal = is_rehearsal;
  h->program = wr_strdup(program);
}

// --- leaving it ---------------------------------------------------------------------------------

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
  if (!plan->is_rehearsal) wr_estate_write(m, &a);
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

void wr_handover_adopt(struct wr_master *m)
{
  const struct wr_handover *h = m->settings->handover;
  struct wr_archive a = {.in = h->root};
  m->bundle = h->bundle;
  wr_estate_read(m, &a);
}
