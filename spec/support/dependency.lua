--- Servers for health checks to ask: spec/support/dependency.py, and its modes.
---
---     local d = dependency.start { "redis", "db" }
---     d:set("redis", "pong")        -- from now on; before, it refuses connections
---     d.ports.redis                 -- d:count "redis": connections so far
---     d:stop()
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local dependency = {}
local Dependency = {}
Dependency.__index = Dependency

--- Starts one server for each name.
function dependency.start(names)
  local command = { "python3", "spec/support/dependency.py" }
  for _, name in ipairs(names) do command[#command + 1] = name end
  local self = setmetatable({ ports = {}, process = process.spawn(command) }, Dependency)
  self.control = self.process:line "control (%d+)"
  for _, name in ipairs(names) do
    self.ports[name] = self.process:line("port " .. name:gsub("%p", "%%%0") .. " (%d+)")
  end
  return self
end

local function ask(self, line)
  local c = raw.connect(self.control)
  c:send(line .. "\n")
  local count = tonumber((c:read_until "\n"))
  c:close()
  return count
end

--- Changes the mode of a server, for connections from now on.
function Dependency:set(name, mode)
  return ask(self, name .. " " .. mode)
end

--- How many connections a server has had.
function Dependency:count(name)
  return ask(self, name)
end

--- Ends them.
function Dependency:stop()
  self.process:kill()
end

return dependency
