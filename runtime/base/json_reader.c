#include "base/json_reader.h"

#include "base/json_plain.h"
#include "base/utf8.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  PIECE = 32 * 1024,    // bytes of a string between two looks at `stop`
  DIGITS_EXACT = 15,    // a double holds every integer of so many
  SURROGATES = 0xd800,  // \u of the first half of a pair
  SURROGATES2 = 0xdc00, // and of the second
  SURROGATES_END = 0xe000,
};

void wr_json_reader_init(struct wr_json_reader *r, struct wr_str text, const _Atomic int *stop)
{
  *r = (struct wr_json_reader){.text = text, .stop = stop};
  wr_buf_init(&r->unescaped, text.len + 1);
}

void wr_json_reader_fini(struct wr_json_reader *r)
{
  wr_buf_fini(&r->unescaped);
}

__attribute__((format(printf, 2, 3))) static enum wr_json_token wrong(struct wr_json_reader *r,
                                                                      const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(r->why, sizeof(r->why), format, args);
  va_end(args);
  return WR_JSON_WRONG;
}

static bool fault(struct wr_json_reader *r, const char *text)
{
  wrong(r, "%s", text);
  return false;
}

static bool is_stopped(const struct wr_json_reader *r)
{
  return r->stop != NULL && atomic_load_explicit(r->stop, memory_order_relaxed) != 0;
}

// The NUL behind the text is in no token: nothing here looks past it.
static char here(const struct wr_json_reader *r)
{
  return r->text.ptr[r->at];
}

static void skip_space(struct wr_json_reader *r)
{
  for (;; r->at++) {
    char c = here(r);
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
  }
}

// --- strings ------------------------------------------------------------------------------------

static void skip_plain(struct wr_json_reader *r, size_t end)
{
  for (uint64_t v; r->at + sizeof(v) <= end; r->at += sizeof(v)) {
    memcpy(&v, r->text.ptr + r->at, sizeof(v));
    if (wr_json_special(v) != 0) break;
  }
  while (r->at < end && wr_json_is_plain((unsigned char)here(r))) r->at++;
}

// Goes on to the next quote or backslash, or for a piece. False: there is neither.
static bool skip_string(struct wr_json_reader *r)
{
  size_t end = r->text.len - r->at > PIECE ? r->at + PIECE : r->text.len;
  while (r->at < end) {
    skip_plain(r, end);
    if (r->at == end || here(r) == '"' || here(r) == '\\') return true;
    const unsigned char *at = (const unsigned char *)r->text.ptr + r->at;
    size_t length = wr_utf8_length(at, r->text.len - r->at);
    if (*at < 0x20) return fault(r, "control character in a string");
    if (length == 0) {
      wrong(r, "unable to decode byte 0x%x", *at);
      return false;
    }
    r->at += length;
  }
  return true;
}

// Four hexadecimal digits; negative when they are not.
static int hexadecimal(struct wr_json_reader *r)
{
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = here(r);
    int digit = c >= '0' && c <= '9' ? c - '0' : ((c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10 : 16);
    if (digit > 15) return -1;
    value = value * 16 + digit;
    r->at++;
  }
  return value;
}

static void put_character(struct wr_buf *b, int c)
{
  char out[4];
  size_t len = 0;
  if (c < 0x80) {
    out[len++] = (char)c;
  } else if (c < 0x800) {
    out[len++] = (char)(0xc0 | c >> 6);
  } else if (c < 0x10000) {
    out[len++] = (char)(0xe0 | c >> 12);
  } else {
    out[len++] = (char)(0xf0 | c >> 18);
    out[len++] = (char)(0x80 | (c >> 12 & 0x3f));
  }
  if (c >= 0x800) out[len++] = (char)(0x80 | (c >> 6 & 0x3f));
  if (c >= 0x80) out[len++] = (char)(0x80 | (c & 0x3f));
  (void)wr_buf_append(b, out, len); // never longer than what stands for it
}

// Behind "\u".
static bool unescape_unicode(struct wr_json_reader *r)
{
  int c = hexadecimal(r);
  if (c >= SURROGATES && c < SURROGATES2 && here(r) == '\\' && r->text.ptr[r->at + 1] == 'u') {
    r->at += 2;
    int second = hexadecimal(r);
    bool is_pair = second >= SURROGATES2 && second < SURROGATES_END;
    c = is_pair ? 0x10000 + ((c - SURROGATES) << 10) + (second - SURROGATES2) : SURROGATES;
  }
  if (c < 0) return fault(r, "\\u without four digits");
  if (c >= SURROGATES && c < SURROGATES_END) return fault(r, "half of a surrogate pair");
  put_character(&r->unescaped, c);
  return true;
}

// At a backslash.
static bool unescape(struct wr_json_reader *r)
{
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  char c = r->text.ptr[r->at + 1];
  const char *letter = c == '\0' ? NULL : strchr(letters, c);
  if (c != 'u' && letter == NULL) return fault(r, "no such escape");
  r->at += 2;
  if (c == 'u') return unescape_unicode(r);
  return wr_buf_append(&r->unescaped, &meanings[letter - letters], 1);
}

// One with escapes, whose first `begin` is before, in pieces.
static enum wr_json_token read_escaped(struct wr_json_reader *r, size_t begin,
                                       enum wr_json_token token)
{
  wr_buf_clear(&r->unescaped);
  for (size_t from = begin;; from = r->at) {
    if (is_stopped(r)) return WR_JSON_STOPPED;
    if (from != begin || here(r) != '\\') {
      if (!skip_string(r)) return WR_JSON_WRONG;
    }
    (void)wr_buf_append(&r->unescaped, r->text.ptr + from, r->at - from);
    if (r->at == r->text.len) return wrong(r, "the text ends in a string");
    if (here(r) == '"') break;
    if (here(r) == '\\' && !unescape(r)) return WR_JSON_WRONG;
  }
  r->at++;
  r->string = wr_buf_str(&r->unescaped);
  return token;
}

static enum wr_json_token read_string(struct wr_json_reader *r, enum wr_json_token token)
{
  size_t begin = ++r->at;
  do {
    if (is_stopped(r)) return WR_JSON_STOPPED;
    if (!skip_string(r)) return WR_JSON_WRONG;
    if (here(r) == '\\') return read_escaped(r, begin, token);
  } while (here(r) != '"' && r->at < r->text.len);
  if (r->at == r->text.len) return wrong(r, "the text ends in a string");
  r->string = (struct wr_str){r->text.ptr + begin, r->at - begin};
  r->at++;
  return token;
}

// --- numbers and words --------------------------------------------------------------------------

static size_t skip_digits(struct wr_json_reader *r)
{
  size_t begin = r->at;
  while (here(r) >= '0' && here(r) <= '9') r->at++;
  return r->at - begin;
}

static bool skip_fraction(struct wr_json_reader *r)
{
  if (here(r) == '.') {
    r->at++;
    if (skip_digits(r) == 0) return false;
  }
  if ((here(r) | 0x20) == 'e') {
    r->at++;
    if (here(r) == '+' || here(r) == '-') r->at++;
    if (skip_digits(r) == 0) return false;
  }
  return true;
}

static enum wr_json_token read_number(struct wr_json_reader *r)
{
  const char *begin = r->text.ptr + r->at;
  bool is_negative = here(r) == '-';
  r->at += is_negative;
  const char *first = r->text.ptr + r->at;
  size_t digits = skip_digits(r);
  if (digits == 0 || (*first == '0' && digits > 1)) return wrong(r, "not a number");
  const char *end = r->text.ptr + r->at;
  if (!skip_fraction(r)) return wrong(r, "not a number");
  if (digits <= DIGITS_EXACT && end == r->text.ptr + r->at) {
    int64_t value = 0;
    while (first < end) value = value * 10 + (*first++ - '0');
    r->number = is_negative ? -(double)value : (double)value;
    return WR_JSON_NUMBER;
  }
  r->number = strtod(begin, NULL);
  return isfinite(r->number) ? WR_JSON_NUMBER : wrong(r, "a number too large for a double");
}

static enum wr_json_token read_word(struct wr_json_reader *r, struct wr_str word,
                                    enum wr_json_token token)
{
  if (r->text.len - r->at < word.len) return wrong(r, "no such word");
  if (memcmp(r->text.ptr + r->at, word.ptr, word.len) != 0) return wrong(r, "no such word");
  r->at += word.len;
  return token;
}

// --- structure ----------------------------------------------------------------------------------

static enum wr_json_token open_container(struct wr_json_reader *r, bool is_object)
{
  r->at++;
  if (r->depth == WR_JSON_DEPTH_MAX) {
    r->at--;
    return wrong(r, "more than %d levels deep", WR_JSON_DEPTH_MAX);
  }
  r->is_object[r->depth++] = is_object;
  r->state = is_object ? WR_JSON_READS_FIRST_KEY : WR_JSON_READS_FIRST;
  return is_object ? WR_JSON_OBJECT : WR_JSON_ARRAY;
}

static enum wr_json_token close_container(struct wr_json_reader *r)
{
  r->at++;
  r->state = WR_JSON_READS_MORE;
  return r->is_object[--r->depth] ? WR_JSON_OBJECT_END : WR_JSON_ARRAY_END;
}

static enum wr_json_token read_value(struct wr_json_reader *r)
{
  r->state = WR_JSON_READS_MORE;
  switch (here(r)) {
  case '{': return open_container(r, true);
  case '[': return open_container(r, false);
  case '"': return read_string(r, WR_JSON_STRING);
  case 't': return read_word(r, WR_STR("true"), WR_JSON_TRUE);
  case 'f': return read_word(r, WR_STR("false"), WR_JSON_FALSE);
  case 'n': return read_word(r, WR_STR("null"), WR_JSON_NULL);
  case '-': return read_number(r);
  default:
    if (here(r) >= '0' && here(r) <= '9') return read_number(r);
    return wrong(r, r->at == r->text.len ? "the text ends where a value should be"
                                         : "no value begins like this");
  }
}

static enum wr_json_token read_key(struct wr_json_reader *r)
{
  if (here(r) != '"') return wrong(r, "a key in quotes expected");
  enum wr_json_token token = read_string(r, WR_JSON_KEY);
  if (token != WR_JSON_KEY) return token;
  skip_space(r);
  if (here(r) != ':') return wrong(r, "':' expected");
  r->at++;
  r->state = WR_JSON_READS_VALUE;
  return token;
}

// Behind a value: what comes next, or the end of what it is in.
static enum wr_json_token read_more(struct wr_json_reader *r)
{
  if (r->depth == 0) return r->at == r->text.len ? WR_JSON_END : wrong(r, "more than one value");
  bool is_object = r->is_object[r->depth - 1];
  if (here(r) == (is_object ? '}' : ']')) return close_container(r);
  if (here(r) != ',') return wrong(r, "',' or '%c' expected", is_object ? '}' : ']');
  r->at++;
  skip_space(r);
  return is_object ? read_key(r) : read_value(r);
}

enum wr_json_token wr_json_reader_next(struct wr_json_reader *r)
{
  if (is_stopped(r)) return WR_JSON_STOPPED;
  skip_space(r);
  switch (r->state) {
  case WR_JSON_READS_VALUE: return read_value(r);
  case WR_JSON_READS_FIRST: return here(r) == ']' ? close_container(r) : read_value(r);
  case WR_JSON_READS_FIRST_KEY: return here(r) == '}' ? close_container(r) : read_key(r);
  case WR_JSON_READS_MORE: return read_more(r);
  }
  return WR_JSON_WRONG;
}

void wr_json_reader_place(const struct wr_json_reader *r, size_t *line, size_t *column)
{
  *line = 1;
  *column = 0;
  size_t end = r->at < r->text.len ? r->at + 1 : r->text.len;
  for (size_t i = 0; i < end; i++) {
    unsigned char c = (unsigned char)r->text.ptr[i];
    if (c == '\n' && i < r->at) {
      *line += 1;
      *column = 0;
    } else if ((c & 0xc0) != 0x80) {
      *column += 1;
    }
  }
}
