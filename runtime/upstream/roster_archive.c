// What of a roster outlives the program: its members, who of them is out and since when. What is
// declared again or resolved anew sets the members; those who stay keep what is known of them.

#include "base/archive.h"
#include "upstream/roster.h"

static const char *const causes[WR_OUTLIER_CAUSES] = {
#define WR_OUTLIER_CAUSE(ENUM, name, meaning) [WR_OUTLIER_##ENUM] = name,
#include "tables/states.def"
};

static void archive_flag(struct wr_archive *a, const char *key, bool *value)
{
  uint8_t byte = *value;
  wr_archive_flag(a, key, &byte);
  *value = byte != 0;
}

static void archive_member(struct wr_roster_member *m, struct wr_outlier_row *row,
                           struct wr_archive *a)
{
  wr_archive_text(a, "zone", m->zone, sizeof(m->zone));
  wr_archive_u32(a, "weight", &m->weight);
  archive_flag(a, "far", &m->is_far);
  wr_archive_time(a, "ramp", &m->ramp_ns);
  wr_archive_u32(a, "good", &m->good);
  wr_archive_u32(a, "bad", &m->bad);
  archive_flag(a, "unhealthy", &row->is_unhealthy);
  archive_flag(a, "ejected", &row->is_ejected);
  wr_archive_word(a, "cause", &row->cause, causes, WR_OUTLIER_CAUSES);
  wr_archive_u32(a, "level", &row->level);
  wr_archive_u32(a, "failures_in_row", &row->consecutive);
  wr_archive_u32(a, "ejections", &row->ejections);
  wr_archive_time(a, "since", &row->since_ns);
  wr_archive_time(a, "until", &row->until_ns);
}

static void write_members(struct wr_roster *r, struct wr_archive *list)
{
  struct wr_outlier *o = wr_roster_outlier(r);
  size_t count = 0;
  for (uint32_t i = 0; i < r->capacity; i++) {
    struct wr_roster_member *m = wr_roster_member(r, i);
    if (!o->rows[i].is_used) continue;
    struct wr_archive item = wr_archive_item(list, count++);
    wr_archive_text(&item, "url", m->url, sizeof(m->url));
    archive_member(m, &o->rows[i], &item);
    wr_archive_close(&item);
  }
}

// The row of an endpoint, or a free one; the capacity when there is none.
static uint32_t place_of(const struct wr_roster *r, uint64_t id)
{
  const struct wr_outlier *o = wr_roster_outlier(r);
  uint32_t free_row = r->capacity;
  for (uint32_t i = r->capacity; i-- > 0;) {
    if (!o->rows[i].is_used) {
      free_row = i;
    } else if (wr_roster_member(r, i)->id == id) {
      return i;
    }
  }
  return free_row;
}

static void read_member(struct wr_roster *r, struct wr_archive *a)
{
  char url[WR_ROSTER_URL_MAX] = "";
  wr_archive_text(a, "url", url, sizeof(url));
  uint64_t id = wr_roster_id(wr_str_of(url));
  uint32_t at = place_of(r, id);
  if (url[0] == '\0' || at == r->capacity) return;
  struct wr_roster_member *m = wr_roster_member(r, at);
  struct wr_outlier_row *row = &wr_roster_outlier(r)->rows[at];
  *m = (struct wr_roster_member){.id = id, .weight = 1};
  *row = (struct wr_outlier_row){.is_used = true};
  memcpy(m->url, url, sizeof(url));
  archive_member(m, row, a);
}

void wr_roster_archive(struct wr_roster *r, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "members", 0);
  if (wr_archive_is_reading(a)) {
    for (size_t i = 0; i < count && i < r->capacity; i++) {
      struct wr_archive item = wr_archive_item(&list, i);
      read_member(r, &item);
    }
  } else {
    write_members(r, &list);
  }
  wr_archive_end(&list);
}
