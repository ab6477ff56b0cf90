--- A program that drives a transport and a resolver (spec/native/transport_probe.c), as an object.
---
---     local p = probe.start { transport = "curl", requests = { port = 8080, total_ms = 10000 } }
---     local finish, head, body = p:call("/x", { method = "PUT", body = "x" })
---     local id = p:begin("/y", { idempotent = false })
---     local e = p:wait_end(id)          -- the event as a table: kind, message, ms, …
---     p:finish()                        -- fails on leaks, open handles, sanitizer reports
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local probe = {}
local Probe = {}
Probe.__index = Probe

local function encode(value)
  return (tostring(value):gsub("[^%w%-%._~/:]",
    function(ch) return ("%%%02x"):format(ch:byte()) end))
end

--- Options become those of the probe: `{ stale_after = 100 }` is `--stale-after 100`. `requests`:
--- what all that begin by `begin` and `call` have, besides `text` and `idempotent`.
function probe.start(options)
  local command = { "/bin/sh", "-c", 'exec "$0" "$@" <"$PROBE_INPUT"',
    process.program "transport_probe" }
  for name, value in pairs(options or {}) do
    if name ~= "env" and name ~= "requests" then
      command[#command + 1] = "--" .. name:gsub("_", "-")
      command[#command + 1] = tostring(value)
    end
  end
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute("mkfifo " .. fifo) == 0)
  command.env = { PROBE_INPUT = fifo }
  for name, value in pairs(options and options.env or {}) do command.env[name] = value end
  local self = setmetatable({ events = {}, by_id = {}, partial = "", begun = 0 }, Probe)
  self.requests = options and options.requests or {}
  self.process = process.spawn(command)
  self.input = assert(io.open(fifo, "w"))
  self.output = assert(io.open(self.process.out, "rb"))
  os.remove(fifo)
  return self
end

--- One command line; see the head of transport_probe.c.
function Probe:send(...)
  self.input:write(table.concat({ ... }, " "), "\n")
  self.input:flush()
end

--- Starts a transfer with nothing but `request`, whose `headers` are a list of { name, value }.
function Probe:go(id, request)
  local words = { "start", id }
  for key, value in pairs(request) do
    if key ~= "headers" then words[#words + 1] = key .. "=" .. encode(value) end
  end
  for _, field in ipairs(request.headers or {}) do
    words[#words + 1] = "header=" .. encode(field[1] .. ":" .. field[2])
  end
  self:send(unpack(words))
end

local function read_events(self)
  -- Reading at the end of a growing file needs the position set anew.
  self.output:seek("cur", 0)
  local bytes = self.output:read "*a" or ""
  if bytes == "" then return end
  local text = self.partial .. bytes
  local from = 1
  local stop = text:find("\n", from, true)
  -- A pattern would look for the end of an unfinished line from each of its bytes.
  while stop do
    local event = json.decode(text:sub(from, stop - 1))
    self.events[#self.events + 1] = event
    local id = event.id or ""
    self.by_id[id] = self.by_id[id] or {}
    table.insert(self.by_id[id], event)
    from = stop + 1
    stop = text:find("\n", from, true)
  end
  self.partial = text:sub(from)
end

--- All events of `id` so far, or those of one `kind`.
function Probe:of(id, kind)
  read_events(self)
  local list = {}
  for _, event in ipairs(self.by_id[id] or {}) do
    if not kind or event.event == kind then list[#list + 1] = event end
  end
  return list
end

--- Waits for the first (or `nth`) event of that kind.
function Probe:wait(id, kind, timeout, nth)
  return wait.for_(("event %s of %s"):format(kind, id), function()
    local found = self:of(id, kind)[nth or 1]
    if not found and self.process:is_over() then
      error("the probe ended first; stderr: " .. self.process:stderr(), 0)
    end
    return found
  end, timeout)
end

function Probe:wait_end(id, timeout)
  return self:wait(id, "end", timeout)
end

--- The body of a transfer started with `text = 1`.
function Probe:body(id)
  local pieces = {}
  for _, event in ipairs(self:of(id, "data")) do pieces[#pieces + 1] = event.text end
  return table.concat(pieces)
end

--- Starts a transfer of `target`, as `requests` and `more` say (false: without). Returns its id.
function Probe:begin(target, more)
  local request = { target = target, text = 1, idempotent = 1 }
  for key, value in pairs(self.requests) do request[key] = value end
  for key, value in pairs(more or {}) do request[key] = value or nil end
  self.begun = self.begun + 1
  local id = "t" .. self.begun
  self:go(id, request)
  return id
end

--- The same to its end: the `end` event, the `head`, the body, the id.
function Probe:call(target, more)
  local id = self:begin(target, more)
  return self:wait_end(id, 25), self:of(id, "head")[1], self:body(id), id
end

--- A `stat` event: longest turn since the last one, memory, descriptors, the resolver's counters.
function Probe:stat()
  local seen = #self:of("", "stat")
  self:send "stat"
  return self:wait("", "stat", nil, seen + 1)
end

--- Ends the probe; fails when it left anything open or a sanitizer spoke.
function Probe:finish()
  self:send "quit"
  self.process:wait()
  read_events(self)
  self:kill_files()
  self.process:finish()
end

function Probe:kill_files()
  if self.input then self.input:close() end
  if self.output then self.output:close() end
  self.input, self.output = nil, nil
end

--- For after_each: ends it whatever happened.
function Probe:kill()
  self:kill_files()
  self.process:kill()
end

return probe
