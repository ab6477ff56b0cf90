#include "script/trust.h"

// The last element of a comma-separated list, cut off `*list`; absent when the list is empty.
static struct wr_str last_element(struct wr_str *list)
{
  if (list->ptr == NULL) return (struct wr_str){NULL, 0};
  const char *comma = list->len > 0 ? memrchr(list->ptr, ',', list->len) : NULL;
  struct wr_str last = *list;
  if (comma == NULL) {
    *list = (struct wr_str){NULL, 0};
  } else {
    last = (struct wr_str){comma + 1, list->len - (size_t)(comma + 1 - list->ptr)};
    list->len = (size_t)(comma - list->ptr);
  }
  return wr_str_trim(last);
}

struct wr_str wr_trust_client(const struct wr_networks *t, struct wr_str peer,
                              const struct wr_headers *headers)
{
  struct wr_str client = peer;
  struct wr_str fields[8];
  size_t count = 0;
  size_t at = 0;
  if (!wr_networks_has(t, peer)) return peer;
  // Several fields are one list, in their order; more than eight is nobody's proxy chain.
  while (count < 8 &&
         (fields[count] = wr_headers_each(headers, WR_STR("X-Forwarded-For"), &at)).ptr != NULL) {
    count++;
  }
  while (count > 0) {
    struct wr_str list = fields[--count];
    struct wr_str element;
    while ((element = last_element(&list)).ptr != NULL) {
      unsigned char bytes[16];
      if (!wr_network_address(element, bytes)) return client;
      client = element;
      if (!wr_networks_has(t, element)) return client;
    }
  }
  return client;
}
