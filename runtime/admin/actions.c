#include "admin/actions.h"

#include "base/check.h"

#include <stdatomic.h>

static const struct wr_action actions[] = {
#define WR_ACTION(ENUM, KIND, kind, verb, argument, doc, told)                                     \
  {WR_KIND_##KIND, #verb, argument, told, wr_actions_##kind##_##verb},
#include "tables/actions.def"
#undef WR_ACTION
};

const struct wr_action *wr_action_find(enum wr_kind kind, struct wr_str verb)
{
  for (size_t i = 0; i < WR_COUNT(actions); i++) {
    if (actions[i].kind == kind && wr_str_eq(verb, wr_str_of(actions[i].verb))) return &actions[i];
  }
  return NULL;
}

bool wr_action_number(struct wr_str value, uint32_t max, uint32_t *out, struct wr_error *error)
{
  uint64_t number = 0;
  for (size_t i = 0; i < value.len && number <= max; i++) {
    bool is_digit = value.ptr[i] >= '0' && value.ptr[i] <= '9';
    number = is_digit ? number * 10 + (uint64_t)(value.ptr[i] - '0') : UINT32_MAX;
  }
  *out = (uint32_t)number;
  if (number >= 1 && number <= max) return true;
  wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is no whole number from 1 to %u", WR_STR_ARG(value),
               max);
  return false;
}

static bool check_value(const struct wr_action *action, struct wr_str value, struct wr_error *error)
{
  bool wants = action->argument[0] != '\0';
  if (value.ptr && !wants) {
    wr_error_set(error, WR_ERROR_INVALID, "%s takes no value", action->verb);
    return false;
  }
  if (value.ptr == NULL && wants && action->argument[0] != '[') {
    wr_error_set(error, WR_ERROR_INVALID, "%s needs a value: %s", action->verb, action->argument);
    return false;
  }
  return true;
}

// Whether it still stands the primitive knows; here is who it was.
static void sign(const struct wr_action_call *call)
{
  struct wr_entry *entry = call->entry;
  uint32_t generation = atomic_load(&entry->generation);
  if (!wr_registry_lock(call->registry, entry, generation, call->now_ns)) return;
  wr_order_note_set(&entry->ordered, call->by, call->now_ns);
  wr_registry_unlock(call->registry, entry);
}

bool wr_action_run(const struct wr_action *action, struct wr_str name,
                   const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_action_call found = *call;
  found.entry = wr_registry_find(call->registry, action->kind, name);
  if (found.entry == NULL) {
    wr_error_set(error, WR_ERROR_NO_ENDPOINT, "there is no %s '%.*s'",
                 wr_registry_kind_name(action->kind), WR_STR_ARG(name));
    return false;
  }
  if (!check_value(action, call->value, error) || !action->run(&found, error)) return false;
  sign(&found);
  return true;
}
