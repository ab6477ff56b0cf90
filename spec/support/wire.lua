--- A client and an upstream in one process, both in raw bytes, with weir in between: what each of
--- them sends, when, and every byte that it gets is the spec's business. Nothing sleeps: one loop
--- waits for the sockets of both sides, and steps wait for bytes.
---
---     local w = wire.new()                         -- an upstream on w.port
---     local t = w:talk(g.port, { send = "GET / HTTP/1.1\r\nHost: a\r\n\r\n" })
---     t.responses[1].status; t.seen[1].head; t.ended
---
--- Steps of a client (`send`) and of an upstream (`answers`, one list for each request in turn):
---
---     "bytes"                sends them
---     { client = "text" }    waits until the client has got the text
---     { upstream = "text" }  waits until upstreams have got the text in this talk
---     { when = function }    waits until it returns true
---     { drip = "bytes" }     sends byte by byte, each in a segment of its own
---     wire.FIN               ends its sending side
---     wire.CLOSE             closes
---     wire.RESET             closes with RST
---     { frames = request }   of a client of HTTP/2: spec/support/wire_h2.lua
---
--- A client that talks HTTP/2 says in frames what its steps say in HTTP/1.1; FIN resets the
--- stream.
local ffi = require "ffi"
local socket = require "socket"
local strict = require "spec.support.strict"
local wire_h2 = require "spec.support.wire_h2"

ffi.cdef [[
  struct wire_pollfd { int fd; short events; short revents; };
  int wire_poll(struct wire_pollfd *fds, unsigned long count, int ms) __asm__("poll");
  long wire_recv(int fd, void *into, size_t size, int flags) __asm__("recv");
  long wire_send(int fd, const void *bytes, size_t size, int flags) __asm__("send");
]]

local wire = { FIN = {}, CLOSE = {}, RESET = {} }
local Wire, Peer = {}, {}
Wire.__index, Peer.__index = Wire, Peer

local POLLIN, POLLOUT, ECONNRESET, EAGAIN = 1, 4, 104, 11
local MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
local PATIENCE = 15
local SIZE = 65536
local bytes_in = ffi.new("char[?]", SIZE)

--- What an upstream answers when nothing else is said.
wire.OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

-- One socket: what came is in `buffer`, what is still to be sent in `out`; `ended` tells how the
-- other side stopped sending ("closed", "reset").

local function peer(sock)
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  return setmetatable({ sock = sock, fd = sock:getfd(), buffer = "", out = "" }, Peer)
end

function Peer:flush()
  while self.sock and #self.out > 0 do
    local flags = MSG_DONTWAIT + MSG_NOSIGNAL
    local sent = tonumber(ffi.C.wire_send(self.fd, self.out, #self.out, flags))
    if sent < 0 then
      -- The other side is gone: what it did not take is of no interest.
      if ffi.errno() ~= EAGAIN then self.out = "" end
      return
    end
    self.out = self.out:sub(sent + 1)
  end
end

function Peer:receive()
  local got = tonumber(ffi.C.wire_recv(self.fd, bytes_in, SIZE, MSG_DONTWAIT))
  if got > 0 then
    self.buffer = self.buffer .. ffi.string(bytes_in, got)
    self.total = (self.total or 0) + got
  elseif got == 0 then
    self.ended = "closed"
  elseif ffi.errno() ~= EAGAIN then
    self.ended = ffi.errno() == ECONNRESET and "reset" or "error " .. ffi.errno()
  end
end

function Peer:close(is_reset)
  if not self.sock then return end
  if is_reset then self.sock:setoption("linger", { on = true, timeout = 0 }) end
  self.sock:close()
  self.sock = nil
end

-- The loop.

--- An upstream that listens on `port` of 127.0.0.1 (0: any), and the loop that serves it.
function wire.new()
  local listener = assert(socket.bind("127.0.0.1", 0, 1024))
  listener:settimeout(0)
  local _, port = listener:getsockname()
  return setmetatable({
    listener = listener, port = tonumber(port), peers = {}, actors = {}, accepted = 0,
    seen = {}, faults = {}, answers = {}, heard = "",
  }, Wire)
end

local function watched(self)
  local all = { { fd = self.listener:getfd(), events = POLLIN } }
  local who = { false }
  for p in pairs(self.peers) do
    local events = (p.ended or p.is_deaf) and 0 or POLLIN
    if #p.out > 0 then events = events + POLLOUT end
    if p.sock and events > 0 then
      all[#all + 1] = { fd = p.fd, events = events }
      who[#all] = p
    end
  end
  return all, who
end

local function accept(self)
  local sock = self.listener:accept()
  if not sock then return end
  local p = peer(sock)
  self.accepted = self.accepted + 1
  p.number, p.is_upstream, p.served = self.accepted, true, 0
  self.peers[p] = true
  local answer = self.answers[1]
  if type(answer) == "table" and answer.on == "accept" then
    table.remove(self.answers, 1)
    self:act(p, answer)
  end
end

-- Runs steps as a coroutine that yields conditions.
function Wire:act(p, steps)
  if type(steps) == "string" then steps = { steps } end
  p.acting = (p.acting or 0) + 1
  local co = coroutine.create(function()
    for _, step in ipairs(steps) do
      if p.sock then self:step(p, step) end
    end
    p.acting = p.acting - 1
  end)
  self.actors[#self.actors + 1] = { co = co, ready = function() return true end }
end

function Wire:step(p, step)
  local function until_(ready) coroutine.yield(ready) end
  local function is_sent() return #p.out == 0 end
  local function send(bytes)
    p.out = p.out .. bytes
    p:flush()
  end
  if type(step) == "string" then
    send(p.h2 and p.h2:say(step) or step)
  elseif step.frames then
    send(p.h2:frames(step.frames))
  elseif step == wire.FIN and p.h2 then
    send(p.h2:leave())
  elseif step == wire.FIN then
    until_(is_sent)
    if p.sock then p.sock:shutdown "send" end
  elseif step == wire.CLOSE or step == wire.RESET then
    if step == wire.CLOSE then until_(is_sent) end
    p:close(step == wire.RESET)
  elseif step.client then
    until_(function() return self.client.got:lower():find(step.client:lower(), 1, true) end)
  elseif step.upstream then
    until_(function() return self.heard:find(step.upstream, 1, true) end)
  elseif step.drip then
    for i = 1, #step.drip do
      local byte = step.drip:sub(i, i)
      send(p.h2 and p.h2:say(byte) or byte)
      until_(is_sent)
    end
  elseif step.when then
    until_(step.when)
  else
    error "no such step"
  end
end

local function run_actors(self)
  local moved = false
  for i = #self.actors, 1, -1 do
    local a = self.actors[i]
    if a.ready() then
      moved = true
      local ok, ready = coroutine.resume(a.co)
      if not ok then error(ready, 0) end
      a.ready = ready
      if coroutine.status(a.co) == "dead" then table.remove(self.actors, i) end
    end
  end
  return moved
end

-- The upstream's side: requests are read strictly, noted, and answered in turn.

local function note(self, p, m, is_whole)
  local entry = p.open
  if not entry then
    entry = { head = m.head, method = m.method, target = m.target, fields = m.fields,
      lines = m.lines, is_chunked = m.is_chunked, length = m.length, connection = p.number,
        place = p.served + 1 }
    self.seen[#self.seen + 1] = entry
    p.served = p.served + 1
    entry.answer = table.remove(self.answers, 1) or wire.OK
    local is_early = type(entry.answer) == "table" and entry.answer.on == "head"
    if is_early then self:act(p, entry.answer) end
    entry.is_answered = is_early
    p.open = entry
  end
  if not is_whole then return end
  entry.body, entry.is_whole, entry.chunks = m.body, true, m.chunks
  p.open = nil
  if not entry.is_answered then self:act(p, entry.answer) end
end

local function serve(self, p)
  local ok, fault = pcall(function()
    while p.sock do
      local m, rest = strict.request(p.buffer)
      if m then
        note(self, p, m, true)
        p.buffer = rest
      else
        local head = not p.open and strict.request_head(p.buffer)
        if head then note(self, p, head, false) end
        return
      end
    end
  end)
  if ok then return end
  self.faults[#self.faults + 1] = fault
  p:close()
end

local function on_readable(self, p)
  local before = #p.buffer
  p:receive()
  local came = p.buffer:sub(before + 1)
  if p.is_upstream then
    self.heard = self.heard .. came
    serve(self, p)
  elseif p.h2 then
    p.buffer = ""
    p.out = p.out .. p.h2:hear(came)
    p:flush()
    p.got = p.h2.last and p.h2.last.got or ""
  else
    p.got = p.got .. came
  end
end

--- One turn: waits at most `ms` for something to happen.
function Wire:turn(ms)
  if run_actors(self) then ms = 0 end
  local all, who = watched(self)
  local fds = ffi.new("struct wire_pollfd[?]", #all)
  for i, one in ipairs(all) do fds[i - 1].fd, fds[i - 1].events = one.fd, one.events end
  ffi.C.wire_poll(fds, #all, ms)
  for i = 1, #all do
    local p = who[i]
    if fds[i - 1].revents ~= 0 then
      if not p then
        accept(self)
      else
        p:flush()
        if p.sock and not p.ended and not p.is_deaf then on_readable(self, p) end
      end
    end
  end
  for p in pairs(self.peers) do
    -- Upstream connections that weir has given up are closed from here too.
    if p.is_upstream and p.ended and #p.out == 0 and (p.acting or 0) == 0 then p:close() end
    if not p.sock then self.peers[p] = nil end
  end
end

--- Turns until `ready()`; raises after 15 s, naming `what`.
function Wire:until_(what, ready)
  local deadline = socket.gettime() + PATIENCE
  while not ready() do
    if socket.gettime() > deadline then
      error(("waited in vain for %s; the client got %q, upstreams %q"):format(what,
        self.client and self.client.got:sub(-2000) or "", self.heard:sub(-2000)), 0)
    end
    self:turn(20)
  end
end

-- The client's side.

--- A new client, connected to `port`; the one that steps call `client` from now on. With `h2` it
--- talks HTTP/2.
function Wire:connect(port, options)
  local sock = assert(socket.tcp4())
  if options and options.receive_buffer then
    sock:setoption("recv-buffer-size", options.receive_buffer)
  end
  assert(sock:connect("127.0.0.1", port))
  local p = peer(sock)
  p.got = ""
  if options and options.h2 then
    p.h2 = wire_h2.new()
    p.out = p.h2:hello()
    p:flush()
  end
  self.peers[p] = true
  self.client = p
  return p
end

-- Takes whole responses out of what the client got; interim ones are kept apart.
local function take_responses(t, p, is_head)
  if p.h2 then
    t.responses, t.interims = {}, {}
    for _, s in ipairs(p.h2.order) do
      for _, r in ipairs(s.responses) do t.responses[#t.responses + 1] = r end
      for _, r in ipairs(s.interims) do t.interims[#t.interims + 1] = r end
    end
    return
  end
  while true do
    local r, rest = strict.response(p.buffer, is_head[#t.responses + 1], p.ended ~= nil)
    if not r then return end
    p.buffer = rest
    table.insert(r.status < 200 and t.interims or t.responses, r)
  end
end

--- A talk: connects to `port`, does the steps `send` (bytes or a list), and takes responses until
--- there are `count` (1) of them or the connection has ended. `answers`: what upstreams answer to
--- the requests in turn, `wire.OK` to those that follow; a list with `on = "head"` begins before
--- the body is read, with `on = "accept"` before a byte is. `is_head`: set of the places of
--- responses to HEAD. `wants_end`: goes on until weir has ended the connection.
---
--- Returns `responses`, `interims`, `ended` ("closed", "reset" or nil), `rest` (bytes that are no
--- whole response), `seen`: the requests that reached an upstream, with `head`, `lines`, `body`
--- (decoded), `is_whole`, `connection` and `place` on it. Raises when anything but strict HTTP/1.1
--- came to either side. With `h2`, it goes on until all of the client's streams are over.
function Wire:talk(port, options)
  self.seen, self.faults, self.heard = {}, {}, ""
  self.answers = options.answers or {}
  local p = self:connect(port, options)
  local t = { responses = {}, interims = {}, client = p }
  self:act(p, options.send)
  self:more(t, options)
  return t
end

--- Goes on with a talk: waits for `count` responses in all, or the end.
function Wire:more(t, options)
  local p, is_head = t.client, options.is_head or {}
  local function is_done()
    take_responses(t, p, is_head)
    if p.ended or not p.sock then return true end
    if p.h2 then return p.h2:is_quiet() and (p.acting or 0) == 0 end
    if options.wants_end then return false end
    return #t.responses >= (options.count or 1) and (p.acting or 0) == 0
  end
  self:until_("the answer", is_done)
  t.ended, t.rest, t.seen = p.ended, p.buffer, self.seen
  if #self.faults > 0 then error("an upstream got " .. table.concat(self.faults, "; "), 0) end
end

--- Forgets what upstreams were to answer, closes the client, and with `all` every connection.
function Wire:reset(all)
  self.actors = {}
  for p in pairs(self.peers) do
    p.acting = 0
    if all or not p.is_upstream or p.open then p:close() end
    if not p.sock then self.peers[p] = nil end
  end
end

function Wire:close()
  self:reset(true)
  self.listener:close()
end

return wire
