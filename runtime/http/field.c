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

// The bits of eight bytes that are free in `text`: the one of the case of each letter. The table
// has letters, digits and "-", of which only letters have 0x40.
static uint64_t free_bits(uint64_t text)
{
  return (text & UINT64_C(0x4040404040404040)) >> 1;
}

// Do eight bytes differ in more than the case of letters?
static bool differs(const char *name, const char *text)
{
  uint64_t a, b;
  memcpy(&a, name, sizeof(a));
  memcpy(&b, text, sizeof(b));
  return ((a ^ b) & ~free_bits(b)) != 0;
}

static bool differs_half(const char *name, const char *text)
{
  uint32_t a, b;
  memcpy(&a, name, sizeof(a));
  memcpy(&b, text, sizeof(b));
  return ((a ^ b) & ~free_bits(b)) != 0;
}

static bool is_same(const char *name, const char *text, size_t len)
{
  if (len < 4) {
    return wr_str_eq_nocase((struct wr_str){name, len}, (struct wr_str){text, len});
  }
  if (len < 8) {
    return !differs_half(name, text) && !differs_half(name + len - 4, text + len - 4);
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
