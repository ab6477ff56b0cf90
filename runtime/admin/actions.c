#include "admin/actions.h"

#include "base/check.h"

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
  return check_value(action, call->value, error) && action->run(&found, error);
}
