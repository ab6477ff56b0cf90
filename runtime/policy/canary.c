#include "policy/canary.h"

#include "base/hash.h"
#include "script/trust.h"

// A percentage in hundredths; 0: it is none.
static uint32_t parse_share(struct wr_str text)
{
  uint32_t number = 0;
  int decimals = -1;
  if (text.len > 0 && text.ptr[text.len - 1] == '%') text.len--;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9' || decimals == 2 || number > WR_CANARY_WHOLE) return 0;
    number = number * 10 + (uint32_t)(c - '0');
    if (decimals >= 0) decimals++;
  }
  for (int i = decimals < 0 ? 0 : decimals; i < 2; i++) number *= 10;
  return number;
}

bool wr_canary_plan_parse(struct wr_str share, struct wr_str header, struct wr_canary_plan *plan,
                          struct wr_error *error)
{
  *plan = (struct wr_canary_plan){.share = parse_share(share)};
  if (plan->share == 0 || plan->share > WR_CANARY_WHOLE / 2) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "canary: '%.*s' is no share: give a percentage from 0.01%% to 50%%",
                 WR_STR_ARG(share));
    return false;
  }
  bool is_name = header.len == 0 || wr_headers_is_token(header);
  if (header.len >= sizeof(plan->header) || !is_name) {
    wr_error_set(error, WR_ERROR_INVALID, "canary: '%.*s' is no name of a header of up to %d bytes",
                 WR_STR_ARG(header), WR_CANARY_HEADER_SIZE - 1);
    return false;
  }
  memcpy(plan->header, header.ptr ? header.ptr : "", header.len);
  return true;
}

static struct wr_str key_of(const struct wr_canary *c, const struct wr_generation *live,
                            const struct wr_exchange_info *info)
{
  const struct wr_headers *headers = &info->head->headers;
  struct wr_str value = {NULL, 0};
  if (c->plan.header[0]) value = wr_headers_get(headers, wr_str_of(c->plan.header));
  if (value.ptr != NULL && value.len > 0) return value;
  return wr_trust_client(&live->script->declared.trust, info->client, headers);
}

bool wr_canary_picks(const struct wr_canary *c, const struct wr_generation *live,
                     const struct wr_exchange_info *info)
{
  const struct wr_generation *g = c->generation;
  if (g == NULL) return false;
  // The same in all workers; another for each generation, or the same clients would always be it.
  struct wr_hash_key key = {g->script->env->arena->header->hash_key.k0, g->number};
  return wr_hash_sip(&key, key_of(c, live, info)) % WR_CANARY_WHOLE < c->plan.share;
}
