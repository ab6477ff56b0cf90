#include "arena/slot.h"

#include "base/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

size_t wr_slot_size(uint32_t slot_count)
{
  return slot_count * sizeof(struct wr_slot);
}

bool wr_slot_init(struct wr_slot *slots, uint32_t slot_count, struct wr_error *error)
{
  for (uint32_t i = 0; i < slot_count; i++) slots[i].bell_fd = -1;
  for (uint32_t i = 0; i < slot_count; i++) {
    slots[i].bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (slots[i].bell_fd >= 0) continue;
    wr_error_set(error, WR_ERROR_CLOSED, "arena: eventfd for slot %u of %u: %s", i, slot_count,
                 strerror(errno));
    wr_slot_fini(slots, slot_count);
    return false;
  }
  return true;
}

void wr_slot_fini(struct wr_slot *slots, uint32_t slot_count)
{
  for (uint32_t i = 0; i < slot_count; i++) {
    if (slots[i].bell_fd >= 0) close(slots[i].bell_fd);
  }
}

struct wr_slot *wr_slot_of(const struct wr_arena *a, uint32_t index)
{
  WR_CHECK(index < a->header->slot_count);
  return &a->header->slots[index];
}

uint32_t wr_slot_master(const struct wr_arena *a)
{
  return a->header->slot_count - 1;
}

// Readers take no lock: they may see old and new bytes mixed, but the last byte is always 0.
static void put_text(char *out, size_t size, struct wr_str text)
{
  size_t len = text.len < size ? text.len : size - 1;
  memcpy(out, text.ptr ? text.ptr : "", len);
  out[len] = '\0';
}

void wr_slot_take(struct wr_slot *s, int32_t pid, uint64_t now_ns)
{
  wr_slot_doing(s, (struct wr_str){NULL, 0}, (struct wr_str){NULL, 0});
  wr_tally_clear(s);
  atomic_store_explicit(&s->script, 0, memory_order_relaxed);
  atomic_store_explicit(&s->generation, 0, memory_order_relaxed);
  atomic_store_explicit(&s->started_ns, now_ns, memory_order_relaxed);
  atomic_store_explicit(&s->heartbeat_ns, now_ns, memory_order_relaxed);
  atomic_store_explicit(&s->pid, pid, memory_order_release);
}

void wr_slot_leave(struct wr_slot *s, bool in_order)
{
  wr_tally_clear(s);
  atomic_store_explicit(&s->lag_ns, 0, memory_order_relaxed);
  atomic_store_explicit(&s->in_flight, 0, memory_order_relaxed);
  atomic_store_explicit(&s->shed_permille, 0, memory_order_relaxed);
  atomic_store_explicit(&s->shed_shadow, 0, memory_order_relaxed);
  atomic_store_explicit(&s->pid, 0, memory_order_release);
  if (!in_order) atomic_fetch_add_explicit(&s->restarts, 1, memory_order_relaxed);
}

void wr_slot_beat(struct wr_slot *s, uint64_t now_ns)
{
  atomic_store_explicit(&s->heartbeat_ns, now_ns, memory_order_relaxed);
}

void wr_slot_doing(struct wr_slot *s, struct wr_str request, struct wr_str route)
{
  put_text(s->request, sizeof(s->request), request);
  put_text(s->route, sizeof(s->route), route);
}

void wr_slot_ring(const struct wr_arena *a, uint32_t index)
{
  if (a->is_private) return;
  struct wr_slot *s = wr_slot_of(a, index);
  atomic_fetch_add_explicit(&s->bells, 1, memory_order_relaxed);
  uint64_t one = 1;
  ssize_t rc;
  do {
    rc = write(s->bell_fd, &one, sizeof(one));
  } while (rc < 0 && errno == EINTR);
  // EAGAIN: the counter is full, so the bell rings already.
  WR_CHECK(rc == sizeof(one) || errno == EAGAIN);
}

void wr_slot_hush(const struct wr_arena *a, uint32_t index)
{
  if (a->is_private) return;
  uint64_t count;
  ssize_t rc;
  do {
    rc = read(wr_slot_of(a, index)->bell_fd, &count, sizeof(count));
  } while (rc < 0 && errno == EINTR);
  WR_CHECK(rc == sizeof(count) || errno == EAGAIN);
}
