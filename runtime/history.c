#include "history.h"

#include "base/alloc.h"

#include <stdio.h>
#include <unistd.h>

void wr_history_init(struct wr_history *h)
{
  *h = (struct wr_history){0};
  wr_list_init(&h->past);
  wr_list_init(&h->quarantined);
}

static void forget_past(struct wr_history *h, struct wr_past *p)
{
  wr_list_remove(&p->link);
  h->past_count--;
  close(p->bundle);
  wr_free(p);
}

static void forget_quarantine(struct wr_history *h, struct wr_quarantine *q)
{
  wr_list_remove(&q->link);
  h->quarantined_count--;
  wr_free(q);
}

static struct wr_past *oldest_past(struct wr_history *h)
{
  return WR_CONTAINER(h->past.next, struct wr_past, link);
}

static struct wr_quarantine *oldest_quarantine(struct wr_history *h)
{
  return WR_CONTAINER(h->quarantined.next, struct wr_quarantine, link);
}

void wr_history_fini(struct wr_history *h)
{
  while (h->past_count > 0) forget_past(h, oldest_past(h));
  while (h->quarantined_count > 0) forget_quarantine(h, oldest_quarantine(h));
}

static void forget_bundle(struct wr_history *h, uint64_t hash)
{
  WR_LIST_EACH(&h->past, node) {
    struct wr_past *p = WR_CONTAINER(node, struct wr_past, link);
    if (p->report.hash == hash) forget_past(h, p);
  }
}

void wr_history_push(struct wr_history *h, const struct wr_past *was)
{
  h->strike_count = 0;
  forget_bundle(h, was->report.hash);
  if (wr_history_find(h, was->report.hash) != NULL) {
    close(was->bundle);
    return;
  }
  struct wr_past *p = wr_alloc(sizeof(*p));
  *p = *was;
  wr_list_push(&h->past, &p->link);
  h->past_count++;
  if (h->past_count > WR_HISTORY_PAST_MAX) forget_past(h, oldest_past(h));
}

const struct wr_past *wr_history_newest(const struct wr_history *h)
{
  for (struct wr_list *node = h->past.prev; node != &h->past; node = node->prev) {
    const struct wr_past *p = WR_CONTAINER(node, struct wr_past, link);
    if (wr_history_find(h, p->report.hash) == NULL) return p;
  }
  return NULL;
}

static struct wr_past *find_past(const struct wr_history *h, uint64_t number)
{
  WR_LIST_EACH(&h->past, node) {
    struct wr_past *p = WR_CONTAINER(node, struct wr_past, link);
    if (p->number == number) return p;
  }
  return NULL;
}

const struct wr_past *wr_history_past(const struct wr_history *h, uint64_t number)
{
  return find_past(h, number);
}

void wr_history_forget(struct wr_history *h, uint64_t number)
{
  struct wr_past *p = find_past(h, number);
  if (p != NULL) forget_past(h, p);
}

size_t wr_history_strikes(const struct wr_history *h, uint64_t now_ns)
{
  size_t count = 0;
  for (size_t i = 0; i < h->strike_count; i++) {
    count += now_ns - h->strikes[i] < WR_HISTORY_STRIKES_NS;
  }
  return count;
}

bool wr_history_strike(struct wr_history *h, uint64_t now_ns)
{
  if (h->strike_count == WR_HISTORY_STRIKES_MAX) {
    memmove(h->strikes, h->strikes + 1, sizeof(h->strikes) - sizeof(h->strikes[0]));
    h->strike_count--;
  }
  h->strikes[h->strike_count++] = now_ns;
  return wr_history_strikes(h, now_ns) == WR_HISTORY_STRIKES_MAX;
}

struct wr_quarantine *wr_history_quarantine(struct wr_history *h, uint64_t hash, uint64_t now_ns)
{
  struct wr_quarantine *q = wr_history_find(h, hash);
  if (q == NULL) {
    q = wr_alloc(sizeof(*q));
    wr_list_push(&h->quarantined, &q->link);
    h->quarantined_count++;
  }
  q->hash = hash;
  q->since_ns = now_ns;
  if (h->quarantined_count > WR_HISTORY_QUARANTINED_MAX) forget_quarantine(h, oldest_quarantine(h));
  return q;
}

struct wr_quarantine *wr_history_find(const struct wr_history *h, uint64_t hash)
{
  WR_LIST_EACH(&h->quarantined, node) {
    struct wr_quarantine *q = WR_CONTAINER(node, struct wr_quarantine, link);
    if (q->hash == hash) return q;
  }
  return NULL;
}

bool wr_history_refuses(const struct wr_history *h, uint64_t hash, uint64_t now_ns,
                        char text[WR_SCRIPT_MESSAGE_MAX])
{
  const struct wr_quarantine *q = wr_history_find(h, hash);
  char age[WR_DURATION_TEXT];
  if (q == NULL) return false;
  uint64_t since = (now_ns - q->since_ns) / WR_SECOND * WR_SECOND;
  snprintf(
      text, WR_SCRIPT_MESSAGE_MAX,
      "this bundle was quarantined %s ago, as generation %llu, for its %d strikes in 60 s (%s): "
      "change it, or insist with `weir reload --force`",
      wr_duration_text(since, age), (unsigned long long)q->number, WR_HISTORY_STRIKES_MAX, q->why);
  return true;
}

void wr_history_pardon(struct wr_history *h, uint64_t hash)
{
  struct wr_quarantine *q = wr_history_find(h, hash);
  if (q == NULL) return;
  forget_quarantine(h, q);
  h->strike_count = 0;
}
