#include "http/field.h"

// Longer than the longest name, so that words of eight bytes can be read from its start.
enum { TEXT_SIZE = 24 };

static const struct {
  char text[TEXT_SIZE];
  uint8_t len;
} names[WR_FIELD_COUNT] = {
    {"", 0},
#define WR_FIELD(name, text, rules, doc) {text, sizeof(text) - 1},
#include "tables/fields.def"
#undef WR_FIELD
};

const uint8_t wr_field_rules[WR_FIELD_COUNT] = {
    0,
#define WR_FIELD(name, text, rules, doc) (rules),
#include "tables/fields.def"
#undef WR_FIELD
};

// The last row of each length: of several for one length the last is what stays, which is meant.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint8_t last_of[TEXT_SIZE] = {
    WR_FIELD_OTHER,
#define WR_FIELD(name, text, rules, doc) [sizeof(text) - 1] = WR_FIELD_##name,
#include "tables/fields.def"
#undef WR_FIELD
};
#pragma GCC diagnostic pop

// Do eight bytes differ in more than the case of letters? The table has letters, digits and "-", of
// which only letters have the bit that becomes the one of their case.
static bool differs(const char *name, const char *text)
{
  uint64_t a, b;
  memcpy(&a, name, sizeof(a));
  memcpy(&b, text, sizeof(b));
  uint64_t letter_case = (b & UINT64_C(0x4040404040404040)) >> 1;
  return ((a ^ b) & ~letter_case) != 0;
}

static bool is_same(const char *name, const char *text, size_t len)
{
  if (len < 8) {
    return wr_str_eq_nocase((struct wr_str){name, len}, (struct wr_str){text, len});
  }
  if (differs(name, text) || differs(name + len - 8, text + len - 8)) return false;
  return len <= 16 || !differs(name + 8, text + 8);
}

enum wr_field wr_field_of(struct wr_str name)
{
  if (name.len == 0 || name.len >= TEXT_SIZE) return WR_FIELD_OTHER;
  for (unsigned i = last_of[name.len]; names[i].len == name.len; i--) {
    bool may_be = ((name.ptr[0] ^ names[i].text[0]) & ~0x20) == 0;
    if (may_be && is_same(name.ptr, names[i].text, name.len)) return (enum wr_field)i;
  }
  return WR_FIELD_OTHER;
}

struct wr_str wr_field_name(enum wr_field field)
{
  return (struct wr_str){names[field].text, names[field].len};
}
