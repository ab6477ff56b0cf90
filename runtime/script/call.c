#include "script/call.h"

#include "base/check.h"
#include "base/duration.h"
#include "script/vm.h"
#include "script/watchdog.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

enum { TRACEBACK_LEVELS = 24 };

// Cuts at `size`; control bytes that a script put into a message do not reach a terminal.
static void copy(char *out, size_t size, struct wr_str text)
{
  size_t len = text.len < size ? text.len : size - 1;
  for (size_t i = 0; i < len; i++) {
    char c = text.ptr[i];
    out[i] = (c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == 127 ? '?' : c;
  }
  out[len] = '\0';
}

void wr_call_error_set(struct wr_script_error *e, const char *file, int line, const char *format,
                       ...)
{
  copy(e->file, sizeof(e->file), wr_str_of(file ? file : ""));
  e->line = line;
  e->traceback[0] = '\0';
  va_list args;
  va_start(args, format);
  vsnprintf(e->message, sizeof(e->message), format, args);
  va_end(args);
}

// Length of the digits followed by ": " at the start of `text`; 0 when it does not start so.
static size_t line_digits(struct wr_str text)
{
  size_t n = 0;
  while (n < text.len && n < 9 && text.ptr[n] >= '0' && text.ptr[n] <= '9') n++;
  bool ends = n > 0 && text.len >= n + 2 && text.ptr[n] == ':' && text.ptr[n + 1] == ' ';
  return ends ? n : 0;
}

void wr_call_error_parse(struct wr_script_error *e, struct wr_str message)
{
  for (size_t at = 1; at + 1 < message.len && message.ptr[at - 1] != '\n'; at++) {
    struct wr_str rest = {message.ptr + at + 1, message.len - at - 1};
    size_t digits = message.ptr[at] == ':' ? line_digits(rest) : 0;
    if (digits == 0) continue;
    copy(e->file, sizeof(e->file), (struct wr_str){message.ptr, at});
    e->line = 0;
    for (size_t i = 0; i < digits; i++) e->line = e->line * 10 + (rest.ptr[i] - '0');
    message = (struct wr_str){rest.ptr + digits + 2, rest.len - digits - 2};
    break;
  }
  copy(e->message, sizeof(e->message), message);
}

void wr_call_error_text(const struct wr_script_error *e, char *out, size_t size)
{
  if (e->file[0] == '\0') {
    snprintf(out, size, "%s", e->message);
  } else {
    snprintf(out, size, "%s:%d: %s", e->file, e->line, e->message);
  }
}

// Reading a stack. None of this allocates in the state, so it is safe when memory is what ran out.

// The innermost line of a policy; of the library when no policy is on the stack.
static void read_place(lua_State *L, struct wr_script_error *out)
{
  lua_Debug frame;
  out->line = 0;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    bool is_library = strncmp(frame.short_src, "weir/", 5) == 0;
    // A refused allocation leaves no line of the innermost function: then it is where that begins.
    int line = frame.currentline > 0 ? frame.currentline : frame.linedefined;
    if (line <= 0 || (is_library && out->line > 0)) continue;
    copy(out->file, sizeof(out->file), wr_str_of(frame.short_src));
    out->line = line;
    if (!is_library) return;
  }
}

static int print_frame(const lua_Debug *frame, char *out, size_t size)
{
  if (*frame->what == 'C')
    return snprintf(out, size, "C: in %s\n", frame->name ? frame->name : "?");
  if (*frame->what == 'm') {
    return snprintf(out, size, "%s:%d: in main chunk\n", frame->short_src, frame->currentline);
  }
  if (frame->name != NULL) {
    return snprintf(out, size, "%s:%d: in %s\n", frame->short_src, frame->currentline, frame->name);
  }
  return snprintf(out, size, "%s:%d: in function at line %d\n", frame->short_src,
                  frame->currentline, frame->linedefined);
}

static void read_traceback(lua_State *L, struct wr_script_error *out)
{
  size_t at = 0;
  bool has_lua = false; // frames of C alone say nothing
  lua_Debug frame;
  for (int level = 0; level < TRACEBACK_LEVELS && lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sln", &frame);
    has_lua |= frame.currentline > 0;
    size_t room = sizeof(out->traceback) - at;
    int len = print_frame(&frame, out->traceback + at, room);
    if (len < 0 || (size_t)len >= room) break;
    at += (size_t)len;
  }
  out->traceback[has_lua ? at - 1 : 0] = '\0'; // without the last newline
}

// The raw string field `key` of the table on top, or the absent slice.
static struct wr_str raw_field(lua_State *L, const char *key)
{
  lua_pushstring(L, key); // interned since wr_vm_open, so this allocates nothing
  lua_rawget(L, -2);
  struct wr_str text = {NULL, 0};
  if (lua_type(L, -1) == LUA_TSTRING) text.ptr = lua_tolstring(L, -1, &text.len);
  lua_pop(L, 1);
  return text;
}

static void read_object(lua_State *L, struct wr_script_error *out)
{
  struct wr_str kind = raw_field(L, "kind");
  struct wr_str message = raw_field(L, "message");
  if (message.ptr == NULL) {
    copy(out->message, sizeof(out->message), WR_STR("raised a table without a message"));
  } else if (kind.ptr == NULL) {
    wr_call_error_parse(out, message);
  } else {
    snprintf(out->message, sizeof(out->message), "%.*s: %.*s", WR_STR_ARG(kind),
             WR_STR_ARG(message));
  }
}

// What tells an error from another: the object, or the text, of which there is one in a state.
static const void *identity(lua_State *L, int index)
{
  bool is_text = lua_type(L, index) == LUA_TSTRING;
  return is_text ? (const void *)lua_tostring(L, index) : lua_topointer(L, index);
}

// Where the error on top of `L` was raised first, if that was noted.
static bool read_noted(lua_State *L, struct wr_script_error *out)
{
  struct wr_vm *vm = wr_vm_of(L);
  if (lua_gettop(L) == 0 || vm->raised == NULL || vm->raised != identity(L, -1)) return false;
  copy(out->file, sizeof(out->file), wr_str_of(vm->raised_file));
  out->line = vm->raised_line;
  vm->raised = NULL;
  return true;
}

// Describes the error value on top of `L`, whose stack is still that of the error.
static void read_error(lua_State *L, struct wr_script_error *out)
{
  out->file[0] = '\0';
  out->line = 0;
  read_traceback(L, out);
  int type = lua_gettop(L) > 0 ? lua_type(L, -1) : LUA_TNIL;
  if (type == LUA_TSTRING) {
    struct wr_str text;
    text.ptr = lua_tolstring(L, -1, &text.len);
    wr_call_error_parse(out, text);
  } else if (type == LUA_TTABLE && lua_checkstack(L, 2)) {
    read_object(L, out);
  } else if (type == LUA_TNUMBER) {
    snprintf(out->message, sizeof(out->message), "%.14g", lua_tonumber(L, -1));
  } else {
    snprintf(out->message, sizeof(out->message), "raised a %s value", lua_typename(L, type));
  }
  if (out->file[0] == '\0' && !read_noted(L, out)) read_place(L, out);
}

void wr_call_note(lua_State *L)
{
  struct wr_vm *vm = wr_vm_of(L);
  const void *value = identity(L, 1);
  if (value == NULL || value == vm->raised) return;
  struct wr_script_error place = {0};
  read_place(L, &place);
  vm->raised = value;
  vm->raised_line = place.line;
  snprintf(vm->raised_file, sizeof(vm->raised_file), "%s", place.file);
}

static void tell_limit(const struct wr_vm *vm, int stop, struct wr_script_error *out)
{
  char text[WR_DURATION_TEXT];
  const char *limit = wr_vm_stop_limit((enum wr_vm_stop)stop);
  uint64_t ns = stop == WR_VM_STOP_TIME ? WR_WATCHDOG_BURST_NS : WR_WATCHDOG_BUDGET_NS;
  if (stop == WR_VM_STOP_MEMORY) {
    snprintf(out->message, sizeof(out->message), "used more memory than %s allows (%zu bytes)",
             limit, vm->limits.soft_bytes);
  } else if (stop == WR_VM_STOP_GROWTH) {
    snprintf(out->message, sizeof(out->message),
             "the request added more memory than %s allows (%zu bytes)", limit,
             vm->limits.growth_bytes);
  } else if (vm->load_until_ns != 0) {
    snprintf(out->message, sizeof(out->message), "ran longer than script_load_time allows (%s)",
             wr_duration_text(vm->limits.load_ns, text));
  } else {
    snprintf(out->message, sizeof(out->message), "ran longer than %s allows (%s)%s", limit,
             wr_duration_text(ns, text), stop == WR_VM_STOP_TIME ? " without waiting" : "");
  }
}

static void read_stop(lua_State *L, int stop, struct wr_script_error *out)
{
  const struct wr_vm *vm = wr_vm_of(L);
  read_traceback(L, out);
  out->file[0] = '\0';
  if (vm->stop_line > 0) {
    copy(out->file, sizeof(out->file), wr_str_of(vm->stop_file));
    out->line = vm->stop_line;
  } else {
    read_place(L, out);
  }
  tell_limit(vm, stop, out);
}

void wr_call_describe(lua_State *L, int stop, struct wr_script_error *out)
{
  if (stop == WR_VM_RUNS) {
    read_error(L, out);
  } else {
    read_stop(L, stop, out);
  }
}

int wr_call_catch(lua_State *L)
{
  read_error(L, wr_vm_of(L)->catching);
  return 1;
}

bool wr_vm_call(lua_State *L, int nargs, int nresults, struct wr_script_error *out)
{
  struct wr_vm *vm = wr_vm_of(L);
  struct wr_script_error *outer = vm->catching;
  int base = lua_gettop(L) - nargs;
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->catch_ref);
  lua_insert(L, base);
  vm->catching = out;
  // Out of memory does not reach the handler, so its text stands ready.
  wr_call_error_set(out, "", 0, "not enough memory (script_memory)");
  int status = lua_pcall(L, nargs, nresults, base);
  vm->catching = outer;
  lua_remove(L, base);
  if (status == 0) return true;
  lua_pop(L, 1);
  return false;
}
