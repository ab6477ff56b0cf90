#include "http/body.h"

#include "base/check.h"
#include "http/chars.h"

enum {
  SIZE_DIGITS_MAX = 16, // 64 bits: they cannot overflow
};

// The largest size of a chunk and of a whole body: what a signed 64-bit count can hold.
static const uint64_t size_max = INT64_MAX;

// What the next byte of a chunked body must be.
enum state {
  SIZE,          // a digit; after the first also ";" or CR
  SIZE_LF,       // LF that ends the size line
  NAME_FIRST,    // an extension's name, first character
  NAME,          // … more of it
  VALUE_FIRST,   // an extension's value, first character
  VALUE,         // … more of it
  QUOTED,        // inside a quoted value
  QUOTED_PAIR,   // after a backslash in there
  QUOTED_END,    // after its closing quote
  DATA,          // payload
  DATA_CR,       // CRLF that closes the chunk
  DATA_LF,       //
  TRAILER_FIRST, // a trailer's name, or CR of the empty line
  TRAILER_NAME,  // … more of it
  TRAILER_VALUE, // its value
  TRAILER_LF,    // LF that ends a trailer
  END_LF,        // LF that ends the body
  COMPLETE,
  BROKEN,
};

void wr_body_init(struct wr_body *b, enum wr_framing framing, uint64_t content_length)
{
  *b = (struct wr_body){.framing = framing};
  if (framing == WR_FRAMING_LENGTH) b->left = content_length;
}

// The size line. Each step returns NULL, or why the byte is refused.

static const char *end_size_line(struct wr_body *b)
{
  b->state = b->left > 0 ? DATA : TRAILER_FIRST;
  b->line = 0;
  return NULL;
}

static const char *step_size(struct wr_body *b, char c)
{
  int digit = wr_chars_hex(c);
  if (digit >= 0) {
    if (++b->line > SIZE_DIGITS_MAX) return "the chunk size is too large";
    b->left = b->left << 4 | (uint64_t)digit;
    return NULL;
  }
  if (b->line == 0) return "a chunk without a size";
  if (b->left > size_max - b->total) return "the body is too large";
  if (c != '\r' && c != ';') return "the chunk size is not a hexadecimal number";
  b->state = c == ';' ? NAME_FIRST : SIZE_LF;
  return NULL;
}

// The state after `c` inside the value of an extension, from its first character on.
static enum state value_next(enum state state, char c)
{
  if (state == QUOTED && c == '"') return QUOTED_END;
  if (state == QUOTED && c == '\\') return QUOTED_PAIR;
  if (state != VALUE_FIRST) return wr_chars_is(c, WR_CHARS_FIELD) ? QUOTED : BROKEN;
  if (c == '"') return QUOTED;
  return wr_chars_is(c, WR_CHARS_TOKEN) ? VALUE : BROKEN;
}

// The state after `c` inside an extension: ;name, ;name=token or ;name="quoted". BROKEN when none.
static enum state extension_next(enum state state, char c)
{
  if (state == VALUE_FIRST || state == QUOTED || state == QUOTED_PAIR) return value_next(state, c);
  bool is_token = wr_chars_is(c, WR_CHARS_TOKEN);
  if (state == NAME_FIRST) return is_token ? NAME : BROKEN;
  if (is_token && state != QUOTED_END) return state;
  if (c == '=' && state == NAME) return VALUE_FIRST;
  if (c == ';') return NAME_FIRST;
  return c == '\r' ? SIZE_LF : BROKEN;
}

static const char *step_extension(struct wr_body *b, char c)
{
  if (++b->line > WR_BODY_EXTENSION_MAX) return "a chunk extension is too long";
  if (++b->extensions > WR_BODY_EXTENSIONS_MAX) return "too many chunk extensions";
  b->state = (int)extension_next((enum state)b->state, c);
  return b->state == BROKEN ? "a chunk extension is malformed" : NULL;
}

// Trailers. Even where they are dropped, one that pretends to frame or route the message tells of
// an attempt to smuggle (RFC 9110 6.5.1).

static bool is_forbidden_trailer(const struct wr_body *b)
{
  if (b->name_len > sizeof(b->name)) return false;
  struct wr_str name = {b->name, b->name_len};
  return wr_headers_is_hop(name) || wr_str_eq_nocase(name, WR_STR("Host"));
}

static const char *step_trailer_name(struct wr_body *b, char c)
{
  if (c == '\r' && b->state == TRAILER_FIRST) {
    b->state = END_LF;
    return NULL;
  }
  if (b->state == TRAILER_FIRST) b->name_len = 0;
  if (c == ':' && b->state == TRAILER_NAME) {
    b->state = TRAILER_VALUE;
    return is_forbidden_trailer(b) ? "a trailer that frames or routes the message" : NULL;
  }
  if (!wr_chars_is(c, WR_CHARS_TOKEN)) return "a trailer's name is not a token";
  if (b->name_len < sizeof(b->name)) b->name[b->name_len] = c;
  if (b->name_len <= sizeof(b->name)) b->name_len++;
  b->state = TRAILER_NAME;
  return NULL;
}

static void keep(struct wr_body *b, char c)
{
  if (c == '\r') c = '\n';
  if (b->trailers) wr_buf_append(b->trailers, &c, 1);
}

void wr_body_keep_trailers(struct wr_body *b, struct wr_buf *lines)
{
  b->trailers = lines;
}

void wr_body_read_trailers(const struct wr_body *b, struct wr_headers *out)
{
  struct wr_str rest = b->trailers ? wr_buf_str(b->trailers) : (struct wr_str){NULL, 0};
  while (rest.len > 0) {
    struct wr_str value = wr_str_split(&rest, '\n');
    struct wr_str name = wr_str_split(&value, ':');
    if (name.len > 0) wr_headers_add(out, name, wr_str_trim(value));
  }
}

static const char *step_trailer(struct wr_body *b, char c)
{
  if (++b->line > WR_BODY_TRAILERS_MAX) return "the trailers are too long";
  keep(b, c);
  if (b->state != TRAILER_VALUE) return step_trailer_name(b, c);
  if (c == '\r')
    b->state = TRAILER_LF;
  else if (!wr_chars_is(c, WR_CHARS_FIELD))
    return "a control character in a trailer";
  return NULL;
}

static const char *expect(struct wr_body *b, char c, char wanted, enum state next)
{
  b->state = (int)next;
  if (c == wanted) return NULL;
  return wanted == '\n' ? "CR without LF in the chunked framing" : "a chunk is not closed by CRLF";
}

// One byte of framing.
static const char *step(struct wr_body *b, char c)
{
  switch ((enum state)b->state) {
  case SIZE: return step_size(b, c);
  case SIZE_LF:
    if (c != '\n') return "CR without LF in the chunked framing";
    return end_size_line(b);
  case DATA_CR: return expect(b, c, '\r', DATA_LF);
  case DATA_LF: return expect(b, c, '\n', SIZE);
  case TRAILER_FIRST:
  case TRAILER_NAME:
  case TRAILER_VALUE: return step_trailer(b, c);
  case TRAILER_LF: return expect(b, c, '\n', TRAILER_FIRST);
  case END_LF: return expect(b, c, '\n', COMPLETE);
  case DATA:
  case COMPLETE:
  case BROKEN: WR_UNREACHABLE("no framing byte is due");
  default: return step_extension(b, c);
  }
}

static enum wr_body_status broken(struct wr_body *b, const char *reason)
{
  b->state = BROKEN;
  b->reason = reason;
  return WR_BODY_BAD;
}

// The next piece of payload, as much as is due.
static size_t take(struct wr_body *b, const char *bytes, size_t len, struct wr_str *payload)
{
  size_t size = b->left < len ? (size_t)b->left : len;
  *payload = (struct wr_str){bytes, size};
  b->left -= size;
  b->total += size;
  return size;
}

static enum wr_body_status feed_chunked(struct wr_body *b, const char *bytes, size_t len,
                                        size_t *used, struct wr_str *payload)
{
  size_t at = 0;
  while (at < len && b->state != COMPLETE) {
    if (b->state == DATA) {
      if (payload->ptr != NULL) break;
      at += take(b, bytes + at, len - at, payload);
      if (b->left == 0) b->state = DATA_CR;
      continue;
    }
    const char *reason = step(b, bytes[at]);
    if (reason != NULL) {
      *used = at;
      *payload = (struct wr_str){NULL, 0};
      return broken(b, reason);
    }
    at++;
  }
  *used = at;
  return b->state == COMPLETE ? WR_BODY_DONE : WR_BODY_MORE;
}

enum wr_body_status wr_body_feed(struct wr_body *b, const char *bytes, size_t len, size_t *used,
                                 struct wr_str *payload)
{
  *used = 0;
  *payload = (struct wr_str){NULL, 0};
  if (b->state == BROKEN) return WR_BODY_BAD;
  switch (b->framing) {
  case WR_FRAMING_NONE: return WR_BODY_DONE;
  case WR_FRAMING_LENGTH:
    if (len > 0 && b->left > 0) *used = take(b, bytes, len, payload);
    return b->left == 0 ? WR_BODY_DONE : WR_BODY_MORE;
  case WR_FRAMING_CHUNKED: return feed_chunked(b, bytes, len, used, payload);
  case WR_FRAMING_CLOSE:
    if (len > 0) *payload = (struct wr_str){bytes, len};
    b->total += len;
    *used = len;
    return WR_BODY_MORE;
  }
  WR_UNREACHABLE("a framing that does not exist");
}

enum wr_body_status wr_body_eof(struct wr_body *b)
{
  if (b->state == BROKEN) return WR_BODY_BAD;
  switch (b->framing) {
  case WR_FRAMING_NONE:
  case WR_FRAMING_CLOSE: return WR_BODY_DONE;
  case WR_FRAMING_LENGTH:
    if (b->left == 0) return WR_BODY_DONE;
    break;
  case WR_FRAMING_CHUNKED:
    if (b->state == COMPLETE) return WR_BODY_DONE;
    break;
  }
  return broken(b, "the connection closed before the end of the body");
}

size_t wr_body_chunk_head(char out[WR_BODY_CHUNK_HEAD_MAX], uint64_t size)
{
  static const char digits[] = "0123456789abcdef";
  WR_CHECK(size > 0);
  size_t len = 0;
  int shift = 60;
  while (size >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) out[len++] = digits[size >> shift & 15];
  out[len++] = '\r';
  out[len++] = '\n';
  return len;
}
