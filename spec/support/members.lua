--- Endpoints that do as they are told (spec/support/members.py): a on 127.0.0.1, b on 127.0.0.2, …
---
---     local m = members.start(3)
---     m:set("b", { status = 503, share = 0.3 });  m:url "b";  m:counts().b
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local members = {}
local Members = {}
Members.__index = Members

function members.start(count)
  local self = setmetatable({}, Members)
  self.process = process.spawn { "/usr/bin/python3", "spec/support/members.py", count }
  self.port = self.process:line "port (%d+)"
  self.control = self.process:line "control (%d+)"
  return self
end

--- The numeric address of one.
function members.address(letter)
  return "127.0.0." .. (letter:byte() - 96)
end

function Members:url(letter)
  return ("http://%s:%s"):format(members.address(letter), self.port)
end

--- What one does from now on: `status`, `share`, `delay`, `healthy`.
function Members:set(letter, state)
  local body = json.encode(state)
  if body == "[]" then body = "{}" end
  local r = raw.once(self.control, ("PUT /set/%s HTTP/1.1\r\nHost: m\r\nConnection: close\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(letter, #body, body))
  assert(r.status == 200)
end

--- Requests that each got since the last time.
function Members:counts()
  return json.decode(raw.once(self.control,
    "GET /counts HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").body)
end

function Members:kill()
  self.process:kill()
end

return members
