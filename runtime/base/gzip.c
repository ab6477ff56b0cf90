#include "base/gzip.h"

#include "base/check.h"

#include <limits.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 }; // zlib's usual ones; 16 asks for gzip's frame

bool wr_gzip_pack(struct wr_str in, struct wr_buf *out)
{
  z_stream z = {0};
  if (in.len > UINT_MAX) return false;
  int rc =
      deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
  WR_CHECK(rc == Z_OK);
  size_t room = deflateBound(&z, in.len);
  char *at = wr_buf_reserve(out, room);
  if (at != NULL) {
    z.next_in = (unsigned char *)(uintptr_t)in.ptr;
    z.avail_in = (uInt)in.len;
    z.next_out = (unsigned char *)at;
    z.avail_out = (uInt)room;
    WR_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    wr_buf_grow(out, room - z.avail_out);
  }
  deflateEnd(&z);
  return at != NULL;
}
