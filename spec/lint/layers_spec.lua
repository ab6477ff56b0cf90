--- The layer rule (DESIGN.md §3): includes never point up; each foreign library has its folders.
local tree = require "spec.lint.tree"

-- base, tables <- arena, loop, resilience, confine <- http, upstream <- script <- policy <-
-- observe/admin/store/notify <- services, selftest <- worker, candidate, listeners <- master <-
-- process <- cli <- main
local LEVEL = {
  base = 0, tables = 0,
  arena = 1, loop = 1, resilience = 1, confine = 1,
  http = 2, upstream = 2,
  script = 3,
  policy = 4,
  observe = 5, admin = 5, store = 5, notify = 5,
  services = 6, selftest = 6,
  worker = 7, candidate = 7, listeners = 7,
  master = 8, fleet = 8, heartbeat = 8, reload = 8, addresses = 8, verdict = 8, history = 8,
  strike = 8, status = 8, console = 8, state = 8, trial = 8, orders = 8, inspect = 8,
  generations = 8,
  demand = 8, probation = 8, follow = 8, exports = 8, handover = 8, estate = 8,
  succession = 8, rehearsal = 8, upgrade = 8,
  upgrade_verdict = 8,
  process = 9, cli = 10, main = 11,
}

-- Folders of one level do not know each other, but for these.
local SIDEWAYS = {
  ["selftest -> services"] = "each test has services of its own",
  ["base -> tables"] = "the tables are the data of base/error.c and its like",
  ["master -> fleet"] = "the master is one object in several files, because it is several ideas",
  ["fleet -> master"] = "see above",
  ["fleet -> reload"] = "see above",
  ["reload -> fleet"] = "see above",
  ["reload -> master"] = "see above",
  ["status -> master"] = "see above",
  ["master -> history"] = "see above",
  ["master -> heartbeat"] = "see above",
  ["heartbeat -> master"] = "see above",
  ["heartbeat -> strike"] = "see above",
  ["reload -> verdict"] = "see above",
  ["reload -> addresses"] = "see above",
  ["addresses -> master"] = "see above",
  ["addresses -> fleet"] = "see above",
  ["verdict -> master"] = "see above",
  ["master -> state"] = "see above",
  ["reload -> state"] = "see above",
  ["state -> master"] = "see above",
  ["state -> handover"] = "see above",
  ["fleet -> trial"] = "see above",
  ["fleet -> upgrade"] = "see above",
  ["trial -> master"] = "see above",
  ["trial -> fleet"] = "see above",
  ["reload -> upgrade"] = "see above",
  ["heartbeat -> fleet"] = "see above",
  ["demand -> reload"] = "see above",
  ["demand -> master"] = "see above",
  ["demand -> trial"] = "see above",
  ["demand -> upgrade"] = "see above",
  ["demand -> verdict"] = "see above",
  ["reload -> demand"] = "see above",
  ["master -> demand"] = "see above",
  ["console -> demand"] = "see above",
  ["follow -> demand"] = "see above",
  ["strike -> demand"] = "see above",
  ["upgrade -> demand"] = "see above",
  ["estate -> fleet"] = "see above",
  ["estate -> handover"] = "see above",
  ["estate -> master"] = "see above",
  ["handover -> estate"] = "see above",
  ["generations -> fleet"] = "see above",
  ["reload -> strike"] = "see above",
  ["addresses -> reload"] = "see above",
  ["status -> fleet"] = "see above",
  ["master -> handover"] = "see above",
  ["master -> upgrade"] = "see above",
  ["handover -> master"] = "see above",
  ["succession -> handover"] = "see above",
  ["rehearsal -> master"] = "see above",
  ["rehearsal -> handover"] = "see above",
  ["rehearsal -> succession"] = "see above",
  ["upgrade -> master"] = "see above",
  ["upgrade -> fleet"] = "see above",
  ["upgrade -> handover"] = "see above",
  ["upgrade -> rehearsal"] = "see above",
  ["upgrade -> reload"] = "see above",
  ["upgrade -> succession"] = "see above",
  ["upgrade -> upgrade_verdict"] = "see above",
  ["upgrade_verdict -> master"] = "see above",
  ["fleet -> strike"] = "see above",
  ["strike -> master"] = "see above",
  ["strike -> reload"] = "see above",
  ["master -> generations"] = "see above",
  ["generations -> master"] = "see above",
  ["master -> console"] = "see above",
  ["console -> master"] = "see above",
  ["console -> fleet"] = "see above",
  ["console -> generations"] = "see above",
  ["console -> inspect"] = "see above",
  ["console -> probation"] = "see above",
  ["console -> status"] = "see above",
  ["console -> upgrade"] = "see above",
  ["master -> inspect"] = "see above",
  ["inspect -> master"] = "see above",
  ["inspect -> trial"] = "see above",
  ["inspect -> verdict"] = "see above",
  ["master -> trial"] = "see above",
  ["master -> orders"] = "see above",
  ["master -> exports"] = "see above",
  ["exports -> master"] = "see above",
  ["console -> exports"] = "see above",
  ["exports -> fleet"] = "see above",
  ["fleet -> exports"] = "see above",
  ["master -> probation"] = "see above",
  ["probation -> master"] = "see above",
  ["probation -> reload"] = "see above",
  ["probation -> fleet"] = "see above",
  ["reload -> probation"] = "see above",
  ["strike -> probation"] = "see above",
  ["verdict -> probation"] = "see above",
  ["master -> follow"] = "see above",
  ["reload -> follow"] = "see above",
  ["follow -> master"] = "see above",
  ["upstream -> http"] = "requests and responses share one parser and one header list",
}

-- Narrower than its level would allow.
local ONLY = { resilience = { base = true, tables = true, resilience = true } }

-- Foreign headers, by pattern, and the folders that may include them.
local FOREIGN = {
  { "^lua%.h$", "script" }, { "^lauxlib%.h$", "script" }, { "^lualib%.h$", "script" },
  { "^luajit%.h$", "script" },
  { "^uv%.h$", "loop" },
  { "^curl/", "upstream", "cli" },
  { "^ares", "upstream" },
  { "^openssl/", "http" },
  { "^seccomp%.h$", "confine" },
}

-- "runtime/http/uri.c" -> http; files directly below runtime/ are a layer each.
local function layer_of(path)
  path = path:gsub("^runtime/", "")
  return path:match "^([^/]+)/" or path:match "^([%w_]-)%.[ch]$"
end

local function judge_own(from, to)
  if LEVEL[to] == nil then
    return ("'%s' is no layer: add it to spec/lint/layers_spec.lua and DESIGN.md §3"):format(to)
  end
  if from == to then return nil end
  if ONLY[from] and not ONLY[from][to] then
    return ("%s/ includes only base/ and tables/: pass what it needs as an argument"):format(from)
  end
  if LEVEL[to] < LEVEL[from] or SIDEWAYS[from .. " -> " .. to] then return nil end
  return ("%s may not include %s, which is no lower layer: hand it a table of functions instead")
    :format(from, to)
end

local function judge_foreign(from, header)
  for _, rule in ipairs(FOREIGN) do
    if header:match(rule[1]) then
      for i = 2, #rule do if rule[i] == from then return nil end end
      return ("<%s> belongs to %s/ alone: use what that folder offers"):format(
        header, table.concat(rule, "/, ", 2))
    end
  end
end

local function check(path, text)
  local problems, from = {}, layer_of(path)
  if LEVEL[from] == nil then
    return { tree.at(path, 1, "layers: '%s' is no layer: use a folder of DESIGN.md §3", from) }
  end
  local code = tree.lines(tree.code(text))
  for i, line in ipairs(tree.lines(text)) do
    local own = line:match '^%s*#%s*include%s+"([^"]+)"'
    local foreign = line:match "^%s*#%s*include%s+<([^>]+)>"
    local problem
    if own and own:find("..", 1, true) then
      problem = "includes are written from runtime/, without '..'"
    elseif own then
      -- A foreign header in quotes is still a foreign header.
      problem = judge_foreign(from, own) or judge_own(from, layer_of(own))
    elseif foreign then
      problem = judge_foreign(from, foreign)
    end
    if from ~= "script" and code[i]:match "%f[%w_]luaL?_%w+%s*%(" then
      problem = "Lua is called from script/ alone: use what script/ offers"
    end
    if problem then problems[#problems + 1] = tree.at(path, i, "layers: %s", problem) end
  end
  return problems
end

describe("layers", function()
  it("never point up", function()
    tree.expect_none(tree.gather(tree.files("^runtime/.*%.[ch]$"), check))
  end)

  it("are judged by what a file includes and calls", function()
    local cases = {
      { "runtime/http/uri.c", '#include "http/uri.h"', nil, "a folder includes itself" },
      { "runtime/http/uri.c", '#include "base/str.h"', nil, "and lower ones" },
      { "runtime/base/error.c", '#include "tables/errors.def"', nil, "base reads the tables" },
      { "runtime/upstream/pool.c", '#include "http/parser.h"', nil, "the one edge sideways" },
      { "runtime/worker.c", '#include "admin/admin.h"', nil, "files below runtime/ are layers" },
      { "runtime/base/str.c", '#include "loop/loop.h"', "may not include", "up" },
      { "runtime/http/uri.c", '#include "upstream/pool.h"', "may not include", "sideways" },
      { "runtime/resilience/breaker.c", '#include "loop/loop.h"', "only base/", "pure" },
      { "runtime/resilience/breaker.c", '#include "arena/arena.h"', "only base/", "pure" },
      { "runtime/admin/admin.c", '#include "worker.h"', "may not include", "up, to a file" },
      { "runtime/http/uri.c", '#include "nowhere/x.h"', "no layer", "unknown folder" },
      { "runtime/nowhere/x.c", "", "no layer", "file in an unknown folder" },
      { "runtime/http/uri.c", '#include "../base/str.h"', "without '..'", "relative" },
      { "runtime/policy/route.c", "#include <lua.h>", "script/", "Lua outside script/" },
      { "runtime/policy/route.c", "  lua_pushnil(L);", "script/", "a call without the header" },
      { "runtime/policy/route.c", "  // lua_pushnil(L)", nil, "a comment is no call" },
      { "runtime/script/vm.c", "  luaL_newstate();", nil, "script/ may" },
      { "runtime/http/server.c", "#include <uv.h>", "loop/", "uv outside loop/" },
      { "runtime/http/server.c", '#include "uv.h"', "loop/", "in quotes too" },
      { "runtime/cli/status.c", "#include <curl/curl.h>", nil, "the client verbs may use curl" },
      { "runtime/http/server.c", "#include <curl/curl.h>", "upstream/", "others may not" },
      { "runtime/cli/status.c", "#include <ares.h>", "upstream/", "nor c-ares" },
    }
    for _, case in ipairs(cases) do
      local problem = check(case[1], case[2])[1]
      if case[3] then
        assert.is_truthy(problem and problem:find(case[3], 1, true), case[4])
      else
        assert.is_nil(problem, case[4])
      end
    end
  end)
end)
