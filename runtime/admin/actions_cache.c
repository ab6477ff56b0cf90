// An operator's hand on a cache.

#include "admin/actions.h"
#include "arena/cache.h"

bool wr_actions_cache_purge(const struct wr_action_call *call, struct wr_error *error)
{
  if (call->value.ptr == NULL || call->value.len == 0) {
    wr_cache_purge_tag(call->registry->arena, call->entry, WR_STR(""));
    return true;
  }
  if (wr_cache_purge(call->registry->arena, call->entry, call->value)) return true;
  wr_error_set(error, WR_ERROR_NO_ENDPOINT, "the cache has no value under that key");
  return false;
}

bool wr_actions_cache_purge_tag(const struct wr_action_call *call, struct wr_error *error)
{
  if (call->value.len == 0) {
    wr_error_set(error, WR_ERROR_INVALID, "the tag is empty");
    return false;
  }
  wr_cache_purge_tag(call->registry->arena, call->entry, call->value);
  return true;
}
