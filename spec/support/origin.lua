--- The misbehaving origin (spec/support/origin.py) as an object.
---
---     local o = origin.start()
---     o:run { "send:HTTP/1.1 200 OK\r\n…", "close" }   -- the target that makes it do so
---     o:counts().methods.POST
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local origin = {}
local Origin = {}
Origin.__index = Origin

function origin.start(options)
  local self = setmetatable({}, Origin)
  self.process = process.spawn { "/usr/bin/python3", "spec/support/origin.py",
    options and options.seed and "--seed" or nil, options and options.seed or nil }
  self.port = self.process:line "port (%d+)"
  return self
end

local function encode(text)
  return (text:gsub("[^%w%-._~:/]", function(ch) return ("%%%02X"):format(ch:byte()) end))
end

--- The target that makes the origin take these steps (see the head of origin.py).
function origin.target(steps)
  local parts = {}
  for i, step in ipairs(steps) do parts[i] = encode(step) end
  return "/run?" .. table.concat(parts, ";")
end

--- A step that sends a whole response.
function origin.answer(status, body, headers)
  return ("send:HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, #body, headers or "",
    body)
end

--- What the origin has seen.
function Origin:counts()
  return json.decode(raw.once(self.port,
    "GET /counts HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n").body)
end

local function put(self, path, body)
  local r = raw.once(self.port, ("PUT %s HTTP/1.1\r\nHost: o\r\nConnection: close\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(path, #body, body))
  assert(r.status == 200, r.body)
end

--- What the requests for `/plan/NAME` get, in turn: a list of steps each, or of whole responses
--- (strings).
function Origin:plan(name, responses)
  local lines = {}
  for i, steps in ipairs(responses) do
    if type(steps) == "string" then steps = { steps } end
    local parts = {}
    for j, step in ipairs(steps) do parts[j] = encode(step) end
    lines[i] = table.concat(parts, ";")
  end
  put(self, "/planning/" .. name, table.concat(lines, "\n"))
end

--- The heads of the requests for `/plan/NAME` so far.
function Origin:seen(name)
  return json.decode(raw.once(self.port,
    ("GET /seen/%s HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n"):format(name)).body)
end

--- Lets the steps `until:NAME` go on.
function Origin:release(name)
  put(self, "/release/" .. name, "")
end

function Origin:kill()
  self.process:kill()
end

return origin
