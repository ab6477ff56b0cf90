#include "upstream/upload.h"

#include "base/check.h"

void wr_upload_init(struct wr_upload *u, const struct wr_transfer_request *rq)
{
  *u = (struct wr_upload){.kind = rq->body_kind};
  wr_buf_init(&u->buf, WR_UPLOAD_MAX);
  if (rq->body_kind == WR_TRANSFER_BODY_BYTES) u->bytes = rq->body;
  if (rq->body_kind == WR_TRANSFER_BODY_STREAM) {
    u->has_length = rq->has_length;
    u->length = rq->length;
  } else {
    u->is_ended = true;
  }
}

void wr_upload_fini(struct wr_upload *u)
{
  wr_buf_fini(&u->buf);
}

bool wr_upload_write(struct wr_upload *u, struct wr_str data, const char **reason)
{
  if (u->is_ended) {
    *reason = "the body was written to after its end";
  } else if (u->has_length && data.len > u->length - u->written) {
    *reason = "the body is longer than announced";
  } else if (!wr_buf_append_str(&u->buf, data)) {
    *reason = "the body was written faster than it could be sent";
  } else {
    u->written += data.len;
    if (u->buf.len >= WR_TRANSFER_UPLOAD_HIGH) u->is_full = true;
    return true;
  }
  return false;
}

bool wr_upload_end(struct wr_upload *u, const char **reason)
{
  u->is_ended = true;
  if (!u->has_length || u->written == u->length) return true;
  *reason = "the body is shorter than announced";
  return false;
}

size_t wr_upload_take(struct wr_upload *u, char *out, size_t size)
{
  bool is_bytes = u->kind == WR_TRANSFER_BODY_BYTES;
  struct wr_str rest = is_bytes ? u->bytes : wr_buf_str(&u->buf);
  if (is_bytes) {
    rest.ptr += u->taken;
    rest.len -= (size_t)u->taken;
  }
  if (size > rest.len) size = rest.len;
  if (size > 0) memcpy(out, rest.ptr, size);
  if (!is_bytes) wr_buf_drop(&u->buf, size);
  u->taken += size;
  return size;
}

bool wr_upload_is_done(const struct wr_upload *u)
{
  switch (u->kind) {
  case WR_TRANSFER_BODY_NONE: return true;
  case WR_TRANSFER_BODY_BYTES: return u->taken == u->bytes.len;
  case WR_TRANSFER_BODY_STREAM:
    return u->has_length ? u->taken == u->length : u->is_ended && u->buf.len == 0;
  }
  WR_UNREACHABLE("body kind");
}

bool wr_upload_rewind(struct wr_upload *u)
{
  if (u->kind == WR_TRANSFER_BODY_STREAM && u->taken > 0) return false;
  u->taken = 0;
  return true;
}
