--- A name server of a spec (spec/support/dns.py) with a zone that can be changed at any moment.
---
---     local z = zone.start { ["a.test"] = { a = { "127.0.0.1" }, ttl = 1 } }
---     z:set("a.test", { rcode = "SERVFAIL" });  z:queries "a.test"  -- questions for A so far
local json = require "cjson"
local process = require "spec.support.process"

local zone = {}
local Zone = {}
Zone.__index = Zone

local function save(self)
  local draft = self.path .. ".new"
  local file = assert(io.open(draft, "w"))
  file:write(json.encode(self.names))
  file:close()
  assert(os.rename(draft, self.path))
end

function zone.start(names)
  local self = setmetatable({ names = names or {}, path = os.tmpname() }, Zone)
  save(self)
  self.process = process.spawn { "/usr/bin/python3", "spec/support/dns.py", self.path }
  self.port = self.process:line "port (%d+)"
  self.servers = "127.0.0.1:" .. self.port
  return self
end

--- What `name` answers from now on; nil: it does not exist.
function Zone:set(name, entry)
  self.names[name] = entry
  save(self)
end

--- How many questions of `type` (A) came for `name`.
function Zone:queries(name, type)
  local _, count = self.process:stdout():gsub("query " .. name:gsub("%p", "%%%0") .. " "
    .. (type or "A") .. "\n", "")
  return count
end

function Zone:kill()
  self.process:kill()
  os.remove(self.path)
end

return zone
