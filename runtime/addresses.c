#include "addresses.h"

#include "fleet.h"
#include "reload.h"

#include <stdio.h>

static struct wr_listener *find_listener(struct wr_master *m, const char *address)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    if (strcmp(l->address, address) == 0) return l;
  }
  return NULL;
}

const struct wr_candidate_listen *wr_addresses_open(struct wr_master *m, struct wr_error *error)
{
  const struct wr_candidate_report *report = &m->reload.report;
  if (m->upgrade.is_rehearsal) return NULL; // the program that rehearses listens there
  WR_LIST_EACH(&m->listeners, node) {
    WR_CONTAINER(node, struct wr_listener, link)->is_wanted = false;
  }
  for (uint32_t i = 0; i < report->listen_count; i++) {
    const struct wr_candidate_listen *listen = &report->listens[i];
    struct wr_listener *l = find_listener(m, listen->address);
    if (l == NULL) {
      l = wr_listener_open(listen->address, m->settings->workers, listen->mode, error);
      if (l == NULL) return listen;
      l->is_new = true;
      wr_list_push(&m->listeners, &l->link);
    }
    l->is_wanted = true;
    l->mode = listen->mode;
  }
  return NULL;
}

const char *wr_addresses_change(const struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    const struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    if (l->is_new || !l->is_wanted) return l->address;
  }
  return NULL;
}

void wr_addresses_discard(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    if (l->is_new) wr_listener_close(l);
  }
}

void wr_addresses_send(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    for (uint32_t i = 0; l->is_new && i < m->settings->workers; i++) {
      // The others get all listeners when they are live.
      if (!m->workers[i].is_listening) continue;
      wr_fleet_send(&m->workers[i], WR_WORKER_LISTEN, 0, wr_str_of(l->address), l->fds[i]);
    }
  }
}

void wr_addresses_commit(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    l->is_new = false;
    if (l->is_wanted) {
      wr_listener_keep_mode(l);
      continue;
    }
    for (uint32_t i = 0; i < m->settings->workers; i++) {
      wr_fleet_send(&m->workers[i], WR_WORKER_UNLISTEN, 0, wr_str_of(l->address), -1);
    }
    wr_listener_close(l);
  }
}

// An address is listened on, or not; a share of it is not.
bool wr_addresses_bar_probation(struct wr_master *m)
{
  char text[WR_SCRIPT_MESSAGE_MAX];
  if (wr_addresses_change(m) == NULL) return false;
  snprintf(text, sizeof(text),
           "it listens on other addresses (%s): reload without --canary or --shadow",
           wr_addresses_change(m));
  wr_reload_fail(m, "canary", text);
  return true;
}
