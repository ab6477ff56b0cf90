#include "script/pattern.h"

#include "base/check.h"

enum { SLICE = 65536 }; // steps: a part of a millisecond

const char wr_pattern_too_complex[] = "pattern too complex";

// A choice that failure comes back to, or a change that failure takes back.
enum choice_kind { CHOICE_OPEN, CHOICE_CLOSE, CHOICE_GREEDY, CHOICE_LAZY, CHOICE_SKIP };

struct choice {
  enum choice_kind kind;
  int capture;     // CLOSE: which one to reopen
  size_t s;        // GREEDY: next shorter end + 1; LAZY, SKIP: where to go on
  size_t s_min;    // GREEDY: shortest end
  size_t item;     // GREEDY, LAZY: the single item
  size_t item_end; // its end, before the quantifier
};

struct matcher {
  struct wr_pattern *m;
  size_t s; // offset in the subject
  size_t p; // offset in the pattern
  int depth;
  struct choice choices[WR_PATTERN_DEPTH_MAX];
};

static bool fail_with(struct wr_pattern *m, const char *error)
{
  if (m->error == NULL) m->error = error;
  return false;
}

// Takes the next slice of what is left. False at the end of it, and when somebody wants us to stop.
static bool refill(struct wr_pattern *m)
{
  uint64_t slice = m->steps_behind < SLICE ? m->steps_behind : SLICE;
  if (m->stop != NULL && *m->stop != 0) return fail_with(m, "interrupted");
  if (slice == 0) return fail_with(m, wr_pattern_too_complex);
  m->steps_left += slice;
  m->steps_behind -= slice;
  return true;
}

static void spend(struct wr_pattern *m, size_t steps)
{
  while (m->steps_left <= steps) {
    if (!refill(m)) return;
  }
  m->steps_left -= steps;
}

// The pattern byte at `p`, or -1 past the end.
static int pat(const struct wr_pattern *m, size_t p)
{
  return p < m->pattern.len ? (unsigned char)m->pattern.ptr[p] : -1;
}

static int byte_at(const struct wr_pattern *m, size_t s)
{
  return (unsigned char)m->subject.ptr[s];
}

// Character classes, in ASCII whatever the locale.

static bool is_between(int c, int low, int high)
{
  return c >= low && c <= high;
}

static bool is_alpha(int c)
{
  return is_between(c | 0x20, 'a', 'z');
}

static bool is_digit(int c)
{
  return is_between(c, '0', '9');
}

static bool is_space(int c)
{
  return c == ' ' || is_between(c, '\t', '\r');
}

// Does `c` belong to the class named by a lower-case letter? `*known` is false for other letters.
static bool in_named_class(int c, int name, bool *known)
{
  *known = true;
  switch (name) {
  case 'a': return is_alpha(c);
  case 'c': return is_between(c, 0, 31) || c == 127;
  case 'd': return is_digit(c);
  case 'g': return is_between(c, 33, 126);
  case 'l': return is_between(c, 'a', 'z');
  case 'p': return is_between(c, 33, 126) && !is_alpha(c) && !is_digit(c);
  case 's': return is_space(c);
  case 'u': return is_between(c, 'A', 'Z');
  case 'w': return is_alpha(c) || is_digit(c);
  case 'x': return is_digit(c) || is_between(c | 0x20, 'a', 'f');
  case 'z': return c == 0;
  default: *known = false; return false;
  }
}

// `%name` against `c`: an upper-case name is the complement, anything else stands for itself.
static bool in_class(int c, int name)
{
  bool known = false;
  bool is_in = is_alpha(name) && in_named_class(c, name | 0x20, &known);
  if (!known) return c == name;
  return is_between(name, 'A', 'Z') ? !is_in : is_in;
}

// `c` against the set from `[` at `p` to its `]` at `last`.
static bool in_set(struct wr_pattern *m, int c, size_t p, size_t last)
{
  spend(m, last - p);
  bool found = true;
  if (pat(m, p + 1) == '^') {
    found = false;
    p++;
  }
  while (++p < last) {
    if (pat(m, p) == '%') {
      p++;
      if (in_class(c, pat(m, p))) return found;
    } else if (pat(m, p + 1) == '-' && p + 2 < last) {
      if (is_between(c, pat(m, p), pat(m, p + 2))) return found;
      p += 2;
    } else if (pat(m, p) == c) {
      return found;
    }
  }
  return !found;
}

// End of the set that starts with `[` at `p`, or 0 with the error set.
static size_t set_end(struct wr_pattern *m, size_t p)
{
  size_t start = p;
  if (pat(m, ++p) == '^') p++;
  do { // the first `]` stands for itself
    if (p >= m->pattern.len) {
      fail_with(m, "malformed pattern (missing ']')");
      return 0;
    }
    if (m->pattern.ptr[p++] == '%') p++;
  } while (pat(m, p) != ']');
  spend(m, p - start);
  return p + 1;
}

// End of the single item at `p` (one byte, `%x`, a set), or 0 with the error set.
static size_t item_end(struct wr_pattern *m, size_t p)
{
  if (pat(m, p) == '[') return set_end(m, p);
  if (pat(m, p) != '%') return p + 1;
  if (p + 1 < m->pattern.len) return p + 2;
  fail_with(m, "malformed pattern (ends with '%')");
  return 0;
}

// Does the subject byte at `s` match the single item [p, end)?
static bool single(struct wr_pattern *m, size_t s, size_t p, size_t end)
{
  spend(m, 1);
  if (s >= m->subject.len) return false;
  int c = byte_at(m, s);
  switch (pat(m, p)) {
  case '.': return true;
  case '%': return in_class(c, pat(m, p + 1));
  case '[': return in_set(m, c, p, end - 1);
  default: return pat(m, p) == c;
  }
}

// The items that are more than one byte. Each moves `s` and `p` on, or returns false.

static struct choice *push(struct matcher *t, enum choice_kind kind)
{
  if (t->depth == WR_PATTERN_DEPTH_MAX) {
    fail_with(t->m, "pattern too complex (more than 200 choices)");
    t->depth--; // the match is over: what is in the last one does not matter any more
  }
  struct choice *c = &t->choices[t->depth++];
  c->kind = kind;
  return c;
}

static bool open_capture(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  if (m->captures == WR_PATTERN_CAPTURES_MAX) return fail_with(m, "too many captures");
  bool is_position = pat(m, t->p + 1) == ')';
  m->capture[m->captures++] =
      (struct wr_pattern_capture){t->s, is_position ? WR_PATTERN_POSITION : WR_PATTERN_UNFINISHED};
  push(t, CHOICE_OPEN);
  t->p += is_position ? 2 : 1;
  return true;
}

static bool close_capture(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  int i = m->captures - 1;
  while (i >= 0 && m->capture[i].len != WR_PATTERN_UNFINISHED) i--;
  if (i < 0) return fail_with(m, "invalid pattern capture");
  m->capture[i].len = (ptrdiff_t)(t->s - m->capture[i].start);
  push(t, CHOICE_CLOSE)->capture = i;
  t->p++;
  return true;
}

static bool match_balance(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  int open = pat(m, t->p + 2);
  int close = pat(m, t->p + 3);
  if (open < 0 || close < 0) return fail_with(m, "unbalanced pattern");
  if (t->s >= m->subject.len || byte_at(m, t->s) != open) return false;
  size_t nesting = 1;
  size_t s = t->s + 1;
  for (; s < m->subject.len && m->error == NULL; s++) {
    spend(m, 1);
    int c = byte_at(m, s);
    if (c == close) {
      if (--nesting == 0) break;
    } else if (c == open) {
      nesting++;
    }
  }
  if (s >= m->subject.len || m->error != NULL) return false;
  t->s = s + 1;
  t->p += 4;
  return true;
}

static bool match_frontier(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  size_t set = t->p + 2;
  if (pat(m, set) != '[') return fail_with(m, "missing '[' after '%f' in pattern");
  size_t end = set_end(m, set);
  if (end == 0) return false;
  int before = t->s == 0 ? 0 : byte_at(m, t->s - 1);
  int here = t->s < m->subject.len ? byte_at(m, t->s) : 0;
  if (in_set(m, before, set, end - 1) || !in_set(m, here, set, end - 1)) return false;
  t->p = end;
  return true;
}

static bool match_back_reference(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  int i = pat(m, t->p + 1) - '1';
  if (i < 0 || i >= m->captures || m->capture[i].len == WR_PATTERN_UNFINISHED) {
    return fail_with(m, "invalid capture index");
  }
  size_t len = m->capture[i].len == WR_PATTERN_POSITION ? SIZE_MAX : (size_t)m->capture[i].len;
  if (len > m->subject.len - t->s) return false;
  spend(m, len);
  if (memcmp(m->subject.ptr + m->capture[i].start, m->subject.ptr + t->s, len) != 0) return false;
  t->s += len;
  t->p += 2;
  return true;
}

// The single item at `p` with its quantifier: takes the first choice, leaves the others.
static bool match_single(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  size_t p = t->p;
  size_t end = item_end(m, p);
  if (end == 0) return false;
  int quantifier = pat(m, end);
  size_t s = t->s;
  if (quantifier == '*' || quantifier == '+') {
    size_t min = quantifier == '+' ? s + 1 : s;
    while (m->error == NULL && single(m, s, p, end)) s++;
    if (s < min) return false;
    if (s > min) {
      struct choice *c = push(t, CHOICE_GREEDY);
      c->s = s;
      c->s_min = min;
      c->item_end = end;
    }
  } else if (quantifier == '-') {
    struct choice *c = push(t, CHOICE_LAZY);
    c->s = s;
    c->item = p;
    c->item_end = end;
  } else if (quantifier == '?') {
    if (single(m, s, p, end)) {
      struct choice *c = push(t, CHOICE_SKIP);
      c->s = s++;
      c->item_end = end;
    }
  } else {
    if (!single(m, s, p, end)) return false;
    t->s = s + 1;
    t->p = end;
    return true;
  }
  t->s = s;
  t->p = end + 1;
  return true;
}

// The next item of the pattern. False: this way does not match.
static bool match_item(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  switch (pat(m, t->p)) {
  case '(': return open_capture(t);
  case ')': return close_capture(t);
  case '$':
    if (t->p + 1 != m->pattern.len) return match_single(t);
    t->p++;
    return t->s == m->subject.len;
  case '%': break;
  default: return match_single(t);
  }
  int next = pat(m, t->p + 1);
  if (next == 'b') return match_balance(t);
  if (next == 'f') return match_frontier(t);
  return is_digit(next) ? match_back_reference(t) : match_single(t);
}

// Goes back to the last choice that has something left. False: there is none.
static bool back_track(struct matcher *t)
{
  struct wr_pattern *m = t->m;
  while (t->depth > 0 && m->error == NULL) {
    spend(m, 1);
    struct choice *c = &t->choices[t->depth - 1];
    if (c->kind == CHOICE_OPEN) {
      m->captures--;
    } else if (c->kind == CHOICE_CLOSE) {
      m->capture[c->capture].len = WR_PATTERN_UNFINISHED;
    } else if (c->kind == CHOICE_SKIP || (c->kind == CHOICE_GREEDY && c->s > c->s_min)) {
      t->s = c->kind == CHOICE_SKIP ? c->s : --c->s;
      t->p = c->item_end + 1;
      if (c->kind == CHOICE_SKIP) t->depth--;
      return true;
    } else if (c->kind == CHOICE_LAZY && single(m, c->s, c->item, c->item_end)) {
      t->s = ++c->s;
      t->p = c->item_end + 1;
      return true;
    }
    t->depth--;
  }
  return false;
}

void wr_pattern_init(struct wr_pattern *m, struct wr_str subject, struct wr_str pattern)
{
  m->subject = subject;
  m->pattern = pattern;
  m->steps = WR_PATTERN_STEPS + (uint64_t)WR_PATTERN_STEPS_PER_BYTE * subject.len;
  m->stop = NULL;
  m->steps_left = 0;
  m->steps_behind = m->steps;
  m->error = NULL;
  m->captures = 0;
}

bool wr_pattern_at(struct wr_pattern *m, size_t at, size_t *end)
{
  struct matcher t; // not cleared as a whole: the choices are 10 KB and mostly unused
  t.m = m;
  t.s = at;
  t.p = 0;
  t.depth = 0;
  m->captures = 0;
  while (m->error == NULL) {
    if (t.p >= m->pattern.len) break;
    spend(m, 1);
    if (!match_item(&t) && !back_track(&t)) return false;
  }
  if (m->error != NULL) return false;
  for (int i = 0; i < m->captures; i++) {
    if (m->capture[i].len == WR_PATTERN_UNFINISHED) return fail_with(m, "unfinished capture");
  }
  *end = t.s;
  return true;
}

bool wr_pattern_find(struct wr_pattern *m, size_t *at, size_t *end)
{
  for (size_t s = *at; s <= m->subject.len && m->error == NULL; s++) {
    if (!wr_pattern_at(m, s, end)) continue;
    *at = s;
    return true;
  }
  return false;
}

bool wr_pattern_is_plain(struct wr_str pattern)
{
  for (size_t i = 0; i < pattern.len; i++) {
    if (memchr("^$*+?.([%-", pattern.ptr[i], 10) != NULL) return false;
  }
  return true;
}
