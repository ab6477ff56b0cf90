#include "script/trail.h"

void wr_trail_name(char field[WR_TRAIL_NAME_MAX], struct wr_str text)
{
  size_t len = text.len < WR_TRAIL_NAME_MAX ? text.len : WR_TRAIL_NAME_MAX - 1;
  if (len > 0) memcpy(field, text.ptr, len);
  field[len] = '\0';
}

void wr_trail_error(struct wr_trail *trail, const struct wr_error *error)
{
  if (trail == NULL || trail->error != WR_ERROR_NONE) return;
  trail->error = error->kind;
  if (trail->chain.region) trail->message = wr_chain_text(&trail->chain, wr_str_of(error->message));
}
