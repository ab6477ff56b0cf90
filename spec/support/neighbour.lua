--- What a well-behaved client of the same weir has from it meanwhile, and what weir holds.
---
---     local n = neighbour.start(g.port, 5)       -- wrk on /small for 5 s
---     … hostile things …
---     n:expect_unaffected()                      -- every request 200, no connection lost
local load = require "spec.support.load"

local neighbour = {}
local Neighbour = {}
Neighbour.__index = Neighbour

--- Begins to ask for /small with 4 connections for `seconds`.
function neighbour.start(port, seconds)
  local wrk = load.wrk(port, { path = "/small", connections = 4, threads = 1, seconds = seconds })
  return setmetatable({ wrk = wrk }, Neighbour)
end

function Neighbour:is_over() return self.wrk:is_over() end

--- Waits for its end; fails unless all its requests were answered with 200. Returns wrk's result.
function Neighbour:expect_unaffected()
  local r = self.wrk:result()
  assert(r.requests > 100, "hardly a request: " .. r.output)
  assert(r.bad == 0 and r.socket_errors == 0 and r.statuses["200"] >= r.requests,
    "the neighbour was affected: " .. r.output)
  return r
end

function Neighbour:kill()
  self.wrk.process:kill()
end

local function number_in(path, pattern)
  local file = io.open(path)
  if not file then return 0 end
  local value = tonumber(file:read("*a"):match(pattern))
  file:close()
  return value or 0
end

--- Open descriptors of all workers.
function neighbour.descriptors(g)
  local count = 0
  for _, pid in ipairs(g:pids()) do
    local pipe = io.popen("ls /proc/" .. pid .. "/fd | wc -l")
    count = count + tonumber(pipe:read "*a")
    pipe:close()
  end
  return count
end

--- Memory of all workers that is theirs alone, in bytes.
function neighbour.memory(g)
  local kilobytes = 0
  for _, pid in ipairs(g:pids()) do
    kilobytes = kilobytes + number_in("/proc/" .. pid .. "/status", "RssAnon:%s*(%d+)")
  end
  return kilobytes * 1024
end

return neighbour
