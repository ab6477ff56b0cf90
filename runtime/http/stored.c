#include "http/stored.h"

struct head {
  uint32_t status;
  uint32_t fields;
  struct wr_freshness freshness;
};

static bool write_field(const struct wr_header *field, struct wr_buf *out)
{
  uint32_t sizes[2] = {(uint32_t)field->name.len, (uint32_t)field->value.len};
  return wr_buf_append(out, sizes, sizeof(sizes)) && wr_buf_append_str(out, field->name) &&
         wr_buf_append_str(out, field->value);
}

bool wr_stored_write(int status, const struct wr_freshness *f, const struct wr_headers *fields,
                     struct wr_buf *out)
{
  struct head head;
  memset(&head, 0, sizeof(head)); // padding too: the bytes are shared
  head.status = (uint32_t)status;
  head.fields = (uint32_t)fields->count;
  head.freshness = *f;
  bool ok = wr_buf_append(out, &head, sizeof(head));
  for (size_t i = 0; ok && i < fields->count; i++) ok = write_field(&fields->items[i], out);
  return ok;
}

bool wr_stored_read(struct wr_str record, int *status, struct wr_freshness *f,
                    struct wr_headers *fields, struct wr_str *body)
{
  struct head head;
  if (!wr_str_take_copy(&record, sizeof(head), &head) || head.status < 200 || head.status > 999)
    return false;
  for (uint32_t i = 0; i < head.fields; i++) {
    uint32_t sizes[2];
    struct wr_str name;
    struct wr_str value;
    if (!wr_str_take_copy(&record, sizeof(sizes), sizes) ||
        !wr_str_take(&record, sizes[0], &name) || !wr_str_take(&record, sizes[1], &value) ||
        !wr_headers_add_copy(fields, name, value)) {
      return false;
    }
  }
  *status = (int)head.status;
  *f = head.freshness;
  *body = record;
  return true;
}
