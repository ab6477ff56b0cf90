/// libFuzzer harness: the PROXY header at the start of a connection.
///
/// What must hold for any bytes: no header takes what is not its own, what is done stays done with
/// more bytes behind it, and every shorter piece of it is unfinished.
// sources: runtime/http/proxy_protocol.c runtime/base/network.c runtime/base/check.c
// sources: runtime/base/error.c

#include "base/check.h"
#include "http/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum wr_proxy_protocol_status read_at(const uint8_t *data, size_t len,
                                             struct wr_proxy_protocol *out)
{
  return wr_proxy_protocol_read((struct wr_str){(const char *)data, len}, out);
}

static void check_pieces(const uint8_t *data, const struct wr_proxy_protocol *whole)
{
  for (size_t len = 0; len < whole->used; len++) {
    struct wr_proxy_protocol piece;
    WR_CHECK(read_at(data, len, &piece) == WR_PROXY_PROTOCOL_MORE);
  }
  struct wr_proxy_protocol again;
  WR_CHECK(read_at(data, whole->used, &again) == WR_PROXY_PROTOCOL_DONE);
  WR_CHECK(again.used == whole->used && again.port == whole->port);
  WR_CHECK(memcmp(again.address, whole->address, sizeof(again.address)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct wr_proxy_protocol out;
  switch (read_at(data, size, &out)) {
  case WR_PROXY_PROTOCOL_MORE: WR_CHECK(size < WR_PROXY_PROTOCOL_MAX); break;
  case WR_PROXY_PROTOCOL_BAD: WR_CHECK(out.reason != NULL && !out.has_client); break;
  case WR_PROXY_PROTOCOL_DONE: {
    char text[WR_NETWORK_TEXT_SIZE];
    WR_CHECK(out.used > 0 && out.used <= size && out.used <= WR_PROXY_PROTOCOL_MAX);
    wr_network_text(out.address, text);
    check_pieces(data, &out);
    break;
  }
  }
  return 0;
}
