// An operator's hand on a feature flag.

#include "admin/actions.h"
#include "script/guard.h"

#include <stdlib.h>

static bool order(const struct wr_action_call *call, const struct wr_guard_flag_order *what,
                  struct wr_error *error)
{
  if (wr_guard_flag_order(call->registry, call->entry, what, call->now_ns)) return true;
  wr_error_set(error, WR_ERROR_CLOSED, "the flag is gone");
  return false;
}

bool wr_actions_flag_on(const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_guard_flag_order on = {
      .share = WR_FLAG_WHOLE, .actor = WR_FLAG_ACTOR_OPERATOR, .why = call->value};
  return order(call, &on, error);
}

bool wr_actions_flag_off(const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_guard_flag_order off = {
      .share = 0, .actor = WR_FLAG_ACTOR_OPERATOR, .why = call->value};
  return order(call, &off, error);
}

bool wr_actions_flag_reset(const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_guard_flag_order reset = {.is_reset = true, .why = call->value};
  return order(call, &reset, error);
}

// "12.5", "12.5%", "10 for the beta".
bool wr_actions_flag_percent(const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_str why = call->value;
  struct wr_str number = wr_str_split(&why, ' ');
  if (number.len > 0 && number.ptr[number.len - 1] == '%') number.len--;
  char text[16] = "";
  if (number.len > 0 && number.len < sizeof(text)) memcpy(text, number.ptr, number.len);
  char *end = text;
  bool is_plain = text[strspn(text, "0123456789.")] == '\0';
  double percent = strtod(text, &end);
  if (!is_plain || end == text || *end != '\0' || !(percent >= 0 && percent <= 100)) {
    wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is no percentage from 0 to 100",
                 WR_STR_ARG(number));
    return false;
  }
  struct wr_guard_flag_order share = {.share = (uint32_t)(percent * WR_FLAG_WHOLE / 100 + 0.5),
                                      .actor = WR_FLAG_ACTOR_OPERATOR,
                                      .why = why};
  return order(call, &share, error);
}
