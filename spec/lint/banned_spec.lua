--- Calls that runtime/ does not make, each with what to use instead.
local tree = require "spec.lint.tree"

local CLOCK = "now_ns as an argument, or wr_loop_now (wr_loop_wall for stamps and dates)"
local HEAP = "wr_alloc and wr_free for what is small, a buf or a region for what an outsider sizes"
local OUTPUT = "the log (wr_log_begin), or return the text to cli/"
local NUMBER = "read the digits with a bound, as base/duration.c does"
local WAIT = "start a wr_timer: nothing may hold the loop"
local RANDOM = "the worker's seeded wr_rng; seeds come from wr_loop_entropy"

-- Names of one rule share the reason and the files (Lua patterns of paths) that may.
local RULES = {
  { "malloc calloc realloc free strdup strndup asprintf vasprintf", HEAP,
    "^runtime/base/alloc%.c$" },
  { "strcpy stpcpy strcat strncat strncpy sprintf vsprintf gets",
    "memcpy with a length that was checked, snprintf with the array's size, or a buf" },
  { "strtok strtok_r strsep", "wr_str_split" },
  { "atoi atol atoll atof strtol strtoll strtoul strtoull", NUMBER },
  { "alloca", "a fixed array with a named size, or the region" },
  { "assert", "WR_CHECK, which stays on in release" },
  -- lock.c: how long to sleep before asking for a lock again; nothing is decided by it.
  { "time gettimeofday clock_gettime clock", CLOCK, "^runtime/loop/loop%.c$",
    "^runtime/arena/lock%.c$" },
  { "uv_now uv_hrtime uv_gettimeofday uv_clock_gettime", CLOCK, "^runtime/loop/loop%.c$" },
  { "sleep usleep nanosleep clock_nanosleep uv_sleep", WAIT },
  { "rand srand random srandom drand48 getrandom getentropy", RANDOM, "^runtime/loop/loop%.c$" },
  { "printf fprintf vprintf vfprintf dprintf puts fputs putchar putc fputc perror", OUTPUT,
    "^runtime/base/log%.c$", "^runtime/cli/", "^runtime/main%.c$" },
  { "setjmp longjmp sigsetjmp siglongjmp", "return an error" },
  { "system popen", "posix_spawn with an argument vector" },
  { "gmtime localtime asctime ctime",
    "the _r variant: the plain one answers from one static buffer" },
}

local BANNED = {}
for _, rule in ipairs(RULES) do
  for name in rule[1]:gmatch "%S+" do BANNED[name] = rule end
end

local function is_allowed(rule, path)
  for i = 3, #rule do if path:match(rule[i]) then return true end end
  return false
end

local function check(path, text)
  local problems = {}
  for i, line in ipairs(tree.lines(tree.code(text))) do
    -- A member (`x->free(`) and a longer name are other things; an attribute is none of our calls.
    line = line:gsub("__attribute__%s*%b()%)?", ""):gsub("format%s*%(%s*printf", "")
    for before, name in (" " .. line):gmatch "([^%w_]?)%f[%a_]([%a_][%w_]*)%s*%(" do
      local rule = BANNED[name]
      if rule and before ~= "." and before ~= ">" and not is_allowed(rule, path) then
        problems[#problems + 1] = tree.at(path, i, "banned: %s: use %s", name, rule[2])
      end
    end
  end
  return problems
end

describe("banned calls", function()
  it("are not made", function()
    tree.expect_none(tree.gather(tree.files("^runtime/.*%.[ch]$"), check))
  end)

  it("are told from names that look alike, and from comments and strings", function()
    local cases = {
      { "  char *p = malloc(5);", "runtime/http/uri.c", 1 },
      { "  free (p);", "runtime/http/uri.c", 1 },
      { "  if (!strcpy(a, b)) return (time(NULL));", "runtime/http/uri.c", 2 },
      { "  void *p = (char *)malloc(1);", "runtime/http/uri.c", 1 },
      { "  void *p = malloc(1);", "runtime/base/alloc.c", 0 },
      { "  clock_gettime(id, &t);", "runtime/loop/loop.c", 0 },
      { "  clock_gettime(id, &t);", "runtime/loop/timer.c", 1 },
      { '  printf("x");', "runtime/cli/run.c", 0 },
      { '  printf("x");', "runtime/worker.c", 1 },
      { "  wr_free(p); a->free(p); a.time(p);", "runtime/http/uri.c", 0 },
      { '  // malloc(5)\n  x("free(p)"); /* gets(p)\n gets(p) */', "runtime/http/uri.c", 0 },
      { "__attribute__((format(printf, 4, 5))) void wr_log_text(int a);", "runtime/base/log.h", 0 },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], #check(case[2], case[1]), case[2] .. ": " .. case[1])
    end
  end)

  it("are seen in every spelling that the rules list", function()
    for name in pairs(BANNED) do
      assert.equal(1, #check("runtime/http/uri.c", "  x = " .. name .. "(y);"), name)
    end
  end)
end)
