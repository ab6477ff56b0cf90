#include "store/snapshot.h"

#include "base/alloc.h"
#include "base/archive.h"

#include <jansson.h>

struct wr_snapshot {
  json_t *root;
  uint64_t written_ns; // Unix time
  uint64_t seed;
};

// --- writing ------------------------------------------------------------------------------------

static void write_entry(struct wr_registry *r, struct wr_entry *entry, struct wr_archive *a)
{
  const struct wr_kind_ops *ops = r->kinds[entry->kind];
  if (ops == NULL || ops->archive == NULL) return;
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, a->now_ns)) return;
  wr_json_object(a->out);
  wr_json_field_cstr(a->out, "kind", wr_registry_kind_name((enum wr_kind)entry->kind));
  wr_json_field_str(a->out, "name", (struct wr_str){entry->name, entry->name_len});
  ops->archive(entry->state, a);
  wr_json_object_end(a->out);
  wr_registry_unlock(r, entry);
}

bool wr_snapshot_write(struct wr_registry *r, uint64_t now_ns, uint64_t wall_ns, struct wr_buf *out)
{
  struct wr_json j;
  struct wr_archive a = {.out = &j, .now_ns = now_ns};
  struct wr_entry *entry;
  uint32_t at = 0;
  uint64_t seed = r->arena->header->seed;
  wr_json_init(&j, out);
  wr_json_object(&j);
  wr_json_field_uint(&j, "weir_state", WR_SNAPSHOT_VERSION);
  wr_json_field_cstr(&j, "version", WEIR_VERSION);
  wr_json_field_uint(&j, "written_ns", wall_ns);
  wr_archive_hash(&a, "seed", &seed);
  wr_json_key(&j, "primitives");
  wr_json_array(&j);
  while ((entry = wr_registry_each(r, &at)) != NULL) write_entry(r, entry, &a);
  wr_json_array_end(&j);
  wr_json_object_end(&j);
  return !j.failed;
}

// --- reading ------------------------------------------------------------------------------------

static json_t *load(struct wr_str text, struct wr_error *error)
{
  json_error_t where;
  json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &where);
  if (root == NULL) {
    wr_error_set(error, WR_ERROR_INVALID, "line %d, column %d: %s", where.line, where.column,
                 where.text);
  }
  return root;
}

static bool check(const json_t *root, struct wr_error *error)
{
  const json_t *version = json_object_get(root, "weir_state");
  if (!json_is_integer(version)) {
    wr_error_set(error, WR_ERROR_INVALID, "there is no \"weir_state\": it is no state of weir's");
    return false;
  }
  if (json_integer_value(version) != WR_SNAPSHOT_VERSION) {
    wr_error_set(error, WR_ERROR_INVALID, "weir_state is %lld; this weir reads %d",
                 (long long)json_integer_value(version), WR_SNAPSHOT_VERSION);
    return false;
  }
  return true;
}

struct wr_snapshot *wr_snapshot_parse(struct wr_str text, struct wr_error *error)
{
  json_t *root = load(text, error);
  if (root == NULL) return NULL;
  if (!check(root, error)) {
    json_decref(root);
    return NULL;
  }
  struct wr_snapshot *s = wr_alloc(sizeof(*s));
  struct wr_archive a = {.in = root};
  s->root = root;
  wr_archive_u64(&a, "written_ns", &s->written_ns);
  wr_archive_hash(&a, "seed", &s->seed);
  return s;
}

uint64_t wr_snapshot_seed(const struct wr_snapshot *s)
{
  return s->seed;
}

uint64_t wr_snapshot_age(const struct wr_snapshot *s, uint64_t wall_ns)
{
  return wall_ns > s->written_ns ? wall_ns - s->written_ns : 0;
}

size_t wr_snapshot_count(const struct wr_snapshot *s)
{
  return json_array_size(json_object_get(s->root, "primitives"));
}

void wr_snapshot_free(struct wr_snapshot *s)
{
  if (s == NULL) return;
  json_decref(s->root);
  wr_free(s);
}

// --- restoring ----------------------------------------------------------------------------------

static enum wr_kind kind_of(const char *name)
{
  for (int kind = 0; kind < WR_KINDS; kind++) {
    if (strcmp(wr_registry_kind_name((enum wr_kind)kind), name) == 0) return (enum wr_kind)kind;
  }
  return WR_KINDS;
}

static struct wr_entry *find_entry(struct wr_registry *r, const json_t *primitive)
{
  const char *kind_name = json_string_value(json_object_get(primitive, "kind"));
  const char *name = json_string_value(json_object_get(primitive, "name"));
  if (kind_name == NULL || name == NULL) return NULL;
  enum wr_kind kind = kind_of(kind_name);
  bool has_archive = kind < WR_KINDS && r->kinds[kind] != NULL && r->kinds[kind]->archive != NULL;
  return has_archive ? wr_registry_find(r, kind, wr_str_of(name)) : NULL;
}

// As after a death inside: whatever was read, the state is valid afterwards.
static bool restore(struct wr_registry *r, struct wr_entry *entry, struct wr_archive *a)
{
  const struct wr_kind_ops *ops = r->kinds[entry->kind];
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, a->now_ns)) return false;
  ops->archive(entry->state, a);
  if (r->repair) {
    r->repair(r, entry, a->now_ns);
  } else {
    ops->repair(entry->state, 0, 0, a->now_ns);
  }
  ops->reconfigure(entry->state, entry->config, a->now_ns);
  if (r->changed) r->changed(r, entry, a->now_ns);
  wr_registry_unlock(r, entry);
  return true;
}

size_t wr_snapshot_restore(const struct wr_snapshot *s, struct wr_registry *r, uint64_t now_ns,
                           uint64_t wall_ns)
{
  const json_t *primitives = json_object_get(s->root, "primitives");
  size_t count = 0;
  for (size_t i = 0; i < json_array_size(primitives); i++) {
    const json_t *primitive = json_array_get(primitives, i);
    struct wr_archive a = {
        .in = primitive, .now_ns = now_ns, .elapsed_ns = wr_snapshot_age(s, wall_ns)};
    struct wr_entry *entry = find_entry(r, primitive);
    if (entry != NULL) count += restore(r, entry, &a);
  }
  return count;
}
