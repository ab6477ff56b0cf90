// string.find, match, gmatch and gsub over script/pattern.h, with the arguments and results of
// Lua's. No Lua function is called from here: gsub with a function or table is
// lua/weir/core/text.lua.
#include "script/bind.h"

#include "script/pattern.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <math.h>

// Lua's optional start position as an offset, at most `len`.
static size_t check_init(lua_State *L, int index, size_t len)
{
  double init = luaL_optnumber(L, index, 1);
  if (init < 0) init += (double)len + 1;
  if (!(init > 1)) return 0;
  return init > (double)len ? len : (size_t)init - 1;
}

// Pushes the matcher's error, when there is one, after the place of the caller at `level`.
static bool push_error(lua_State *L, const struct wr_pattern *m, int level)
{
  if (m->error == NULL) return false;
  luaL_where(L, level);
  if (m->error == wr_pattern_too_complex) {
    lua_pushfstring(L, "pattern too complex (%f steps)", (lua_Number)m->steps);
  } else {
    lua_pushstring(L, m->error);
  }
  lua_concat(L, 2);
  return true;
}

static void prepare(lua_State *L, struct wr_pattern *m, struct wr_str subject,
                    struct wr_str pattern)
{
  wr_pattern_init(m, subject, pattern);
  m->stop = &wr_vm_of(L)->stop;
}

static bool cut_anchor(struct wr_str *pattern)
{
  if (pattern->len == 0 || pattern->ptr[0] != '^') return false;
  pattern->ptr++;
  pattern->len--;
  return true;
}

// One search from `*at`, at `*at` only when anchored; raises the matcher's errors.
static bool search(lua_State *L, struct wr_pattern *m, bool anchored, size_t *at, size_t *end)
{
  bool found = anchored ? wr_pattern_at(m, *at, end) : wr_pattern_find(m, at, end);
  if (push_error(L, m, 1)) lua_error(L);
  return found;
}

static void push_capture(lua_State *L, const struct wr_pattern *m, int i)
{
  const struct wr_pattern_capture *c = &m->capture[i];
  if (c->len == WR_PATTERN_POSITION) {
    lua_pushnumber(L, (lua_Number)(c->start + 1));
  } else {
    lua_pushlstring(L, m->subject.ptr + c->start, (size_t)c->len);
  }
}

// Pushes all captures, or the whole match when there are none; returns how many.
static int push_captures(lua_State *L, const struct wr_pattern *m, size_t start, size_t end)
{
  luaL_checkstack(L, WR_PATTERN_CAPTURES_MAX, "too many captures");
  if (m->captures == 0) {
    lua_pushlstring(L, m->subject.ptr + start, end - start);
    return 1;
  }
  for (int i = 0; i < m->captures; i++) push_capture(L, m, i);
  return m->captures;
}

static int push_range(lua_State *L, size_t start, size_t end)
{
  lua_pushnumber(L, (lua_Number)(start + 1));
  lua_pushnumber(L, (lua_Number)end);
  return 2;
}

static int find_plain(lua_State *L, struct wr_str subject, struct wr_str needle, size_t at)
{
  const char *hit = needle.len == 0
                        ? subject.ptr + at
                        : memmem(subject.ptr + at, subject.len - at, needle.ptr, needle.len);
  if (hit == NULL) {
    lua_pushnil(L);
    return 1;
  }
  size_t start = (size_t)(hit - subject.ptr);
  return push_range(L, start, start + needle.len);
}

// find and match have the same arguments; `wants_range` tells them apart.
static int find_or_match(lua_State *L, bool wants_range)
{
  struct wr_str subject = wr_bind_str(L, 1);
  struct wr_str pattern = wr_bind_str(L, 2);
  size_t start = check_init(L, 3, subject.len);
  if (wants_range && (lua_toboolean(L, 4) || wr_pattern_is_plain(pattern))) {
    return find_plain(L, subject, pattern, start);
  }
  bool anchored = cut_anchor(&pattern);
  struct wr_pattern m;
  prepare(L, &m, subject, pattern);
  size_t end = 0;
  if (!search(L, &m, anchored, &start, &end)) {
    lua_pushnil(L);
    return 1;
  }
  if (!wants_range) return push_captures(L, &m, start, end);
  int n = push_range(L, start, end);
  return m.captures > 0 ? n + push_captures(L, &m, start, end) : n;
}

// core.find(s, pattern [, init [, plain]])
static int l_find(lua_State *L)
{
  return find_or_match(L, true);
}

// core.match(s, pattern [, init])
static int l_match(lua_State *L)
{
  return find_or_match(L, false);
}

// core.pattern_next(s, pattern, from): first, last and captures (or the whole match) of the next
// match at or after `from`; with an anchor only at `from`. False and a message when the pattern is
// at fault: the caller is library code and knows whose line to name.
static int l_pattern_next(lua_State *L)
{
  struct wr_str subject = wr_bind_str(L, 1);
  struct wr_str pattern = wr_bind_str(L, 2);
  size_t start = check_init(L, 3, subject.len);
  bool anchored = cut_anchor(&pattern);
  struct wr_pattern m;
  prepare(L, &m, subject, pattern);
  size_t end = 0;
  bool found = anchored ? wr_pattern_at(&m, start, &end) : wr_pattern_find(&m, &start, &end);
  if (m.error != NULL) {
    lua_pushboolean(L, 0);
    push_error(L, &m, 0);
    return 2;
  }
  if (!found) return 0;
  return push_range(L, start, end) + push_captures(L, &m, start, end);
}

// The iterator of gmatch. upvalues: subject, pattern, offset to go on at
static int gmatch_next(lua_State *L)
{
  struct wr_str subject = wr_bind_str(L, lua_upvalueindex(1));
  struct wr_str pattern = wr_bind_str(L, lua_upvalueindex(2));
  size_t start = (size_t)lua_tonumber(L, lua_upvalueindex(3));
  if (start > subject.len) return 0;
  struct wr_pattern m;
  prepare(L, &m, subject, pattern);
  size_t end = 0;
  if (!search(L, &m, false, &start, &end)) {
    end = subject.len; // nothing further: the next call ends at once
    start = end;
    lua_pushnumber(L, (lua_Number)(end + 1));
    lua_replace(L, lua_upvalueindex(3));
    return 0;
  }
  lua_pushnumber(L, (lua_Number)(end == start ? end + 1 : end));
  lua_replace(L, lua_upvalueindex(3));
  return push_captures(L, &m, start, end);
}

// core.gmatch(s, pattern): an iterator. As in Lua 5.1, '^' has no special meaning here.
static int l_gmatch(lua_State *L)
{
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushnumber(L, 0);
  lua_pushcclosure(L, gmatch_next, 3);
  return 1;
}

// gsub with a replacement text.

struct output {
  luaL_Buffer buffer;
  size_t size;
  size_t size_max;
};

static void add(lua_State *L, struct output *out, const char *text, size_t len)
{
  out->size += len;
  if (out->size > out->size_max) {
    luaL_error(L, "string.gsub: the result is longer than script_string allows (%d)",
               (int)out->size_max);
  }
  luaL_addlstring(&out->buffer, text, len);
}

static void add_capture(lua_State *L, struct output *out, const struct wr_pattern *m, int i)
{
  const struct wr_pattern_capture *c = &m->capture[i];
  if (c->len != WR_PATTERN_POSITION) {
    add(L, out, m->subject.ptr + c->start, (size_t)c->len);
    return;
  }
  lua_pushnumber(L, (lua_Number)(c->start + 1));
  luaL_addvalue(&out->buffer);
}

// The replacement with its %0 to %9 filled in.
static void add_replacement(lua_State *L, struct output *out, const struct wr_pattern *m,
                            struct wr_str repl, struct wr_str whole)
{
  for (size_t i = 0; i < repl.len; i++) {
    const char *escape = memchr(repl.ptr + i, '%', repl.len - i);
    size_t plain = escape ? (size_t)(escape - repl.ptr) - i : repl.len - i;
    add(L, out, repl.ptr + i, plain);
    i += plain + 1;
    if (escape == NULL) return;
    char c = i < repl.len ? repl.ptr[i] : '\0';
    if (c < '0' || c > '9') {
      add(L, out, &c, 1);
    } else if (c == '0' || (c == '1' && m->captures == 0)) {
      add(L, out, whole.ptr, whole.len);
    } else if (c - '1' < m->captures) {
      add_capture(L, out, m, c - '1');
    } else {
      luaL_error(L, "invalid capture index");
    }
  }
}

// core.gsub(s, pattern, text [, n])
static int l_gsub(lua_State *L)
{
  struct wr_str subject = wr_bind_str(L, 1);
  struct wr_str pattern = wr_bind_str(L, 2);
  int type = lua_type(L, 3);
  luaL_argcheck(L, type == LUA_TSTRING || type == LUA_TNUMBER, 3, "string/function/table expected");
  struct wr_str repl = wr_bind_str(L, 3);
  double limit = luaL_optnumber(L, 4, (lua_Number)subject.len + 1);
  bool anchored = cut_anchor(&pattern);
  struct output out = {.size = 0, .size_max = wr_vm_of(L)->limits.string_bytes};
  luaL_buffinit(L, &out.buffer);
  struct wr_pattern m;
  prepare(L, &m, subject, pattern);
  size_t from = 0;
  int count = 0;
  while (count < limit && from <= subject.len) {
    size_t start = from;
    size_t end = 0;
    if (!search(L, &m, anchored, &start, &end)) break;
    count++;
    add(L, &out, subject.ptr + from, start - from);
    add_replacement(L, &out, &m, repl, (struct wr_str){subject.ptr + start, end - start});
    from = end;
    if (start == end) { // an empty match takes the next character along
      if (end < subject.len) add(L, &out, subject.ptr + end, 1);
      from++;
    }
    if (anchored) break;
  }
  if (from < subject.len) add(L, &out, subject.ptr + from, subject.len - from);
  luaL_pushresult(&out.buffer);
  lua_pushinteger(L, count);
  return 2;
}

static bool shows_address(struct wr_str f)
{
  for (size_t i = 0; i < f.len; i++) {
    if (f.ptr[i] != '%') continue;
    for (i++; i < f.len && memchr("-+ #0123456789.", f.ptr[i], 15) != NULL;) i++;
    if (i < f.len && f.ptr[i] == 'p') return true;
  }
  return false;
}

// core.format_needs(format, ...): nil when string.format may have these arguments as they are;
// "address" when the format has a %p, "text" when some argument is an object.
static int l_format_needs(lua_State *L)
{
  if (lua_type(L, 1) == LUA_TSTRING && shows_address(wr_bind_str(L, 1))) {
    lua_pushliteral(L, "address");
    return 1;
  }
  for (int i = lua_gettop(L); i > 1; i--) {
    int type = lua_type(L, i);
    if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING) {
      continue;
    }
    lua_pushliteral(L, "text");
    return 1;
  }
  return 0;
}

static const luaL_Reg functions[] = {
    {"find", l_find},
    {"match", l_match},
    {"gmatch", l_gmatch},
    {"gsub", l_gsub},
    {"pattern_next", l_pattern_next},
    {"format_needs", l_format_needs},
    {NULL, NULL},
};

int wr_bind_pattern(lua_State *L)
{
  lua_settop(L, 1);
  luaL_setfuncs(L, functions, 0);
  return 0;
}
