--- A client that sends bytes as told and gives bytes back as they came: no HTTP library in between.
---
---     local raw = require "spec.support.raw"
---     local c = raw.connect(port)
---     c:send "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
---     local r = c:response()         -- { status, reason, version, headers, body, bytes }
---     assert.equal("5", r.headers["content-length"])
---
--- Every wait is bounded by `timeout` seconds (10); a failure to get what was asked for raises with
--- the bytes seen so far. `c.buffer` holds what has arrived and was not asked for yet.
local ffi = require "ffi"
local socket = require "socket"

-- LuaSocket calls a reset "closed"; what a spec is about is often just that difference.
ffi.cdef [[
  struct spec_pollfd { int fd; short events; short revents; };
  int poll(struct spec_pollfd *fds, unsigned long count, int timeout_ms);
  long recv(int fd, void *into, size_t size, int flags);
]]

local raw = {}
local Client = {}
Client.__index = Client

local POLLIN, ECONNRESET = 1, 104
local SIZE = 65536
local bytes_in = ffi.new("char[?]", SIZE)

local function open_socket(port, options)
  if type(port) == "string" and port:find "^/" then return require "socket.unix".stream() end
  local host = options.host or "127.0.0.1"
  local sock = assert(host:find ":" and socket.tcp6() or socket.tcp4())
  if options.from then assert(sock:bind(options.from, 0)) end
  if options.receive_buffer then sock:setoption("recv-buffer-size", options.receive_buffer) end
  sock:setoption("tcp-nodelay", true)
  return sock, host
end

--- Connects to 127.0.0.1:`port`, or to the Unix socket whose path `port` is. Options: `host`
--- ("::1"), `from` (the address to come from), `timeout` in seconds, `receive_buffer` in bytes (a
--- small one makes a slow reader slow at once).
function raw.connect(port, options)
  options = options or {}
  local sock, host = open_socket(port, options)
  sock:settimeout(options.timeout or 10)
  assert(sock:connect(host or port, host and tonumber(port)))
  return setmetatable({ sock = sock, buffer = "", timeout = options.timeout or 10 }, Client)
end

--- Sends all of `bytes`; raises when the peer does not take them.
function Client:send(bytes)
  local sent, why, at = self.sock:send(bytes)
  if not sent then error(("sent %d of %d bytes: %s"):format(at, #bytes, why), 2) end
  return self
end

--- Sends what the peer takes; returns the count and, when it was not all, why ("closed",
--- "timeout").
function Client:try_send(bytes)
  local sent, why, at = self.sock:send(bytes)
  return sent or at, why
end

local function is_readable(self, seconds)
  local fds = ffi.new("struct spec_pollfd[1]", { { fd = self.sock:getfd(), events = POLLIN } })
  return ffi.C.poll(fds, 1, seconds * 1000) == 1
end

-- Waits for bytes and returns how many came into `bytes_in`, or nil and why not.
local function receive(self, most)
  if not is_readable(self, self.timeout) then return nil, "timeout" end
  local count = tonumber(ffi.C.recv(self.sock:getfd(), bytes_in, math.min(most, SIZE), 0))
  if count > 0 then return count end
  if count < 0 and ffi.errno() == ECONNRESET then return nil, "reset" end
  return nil, count == 0 and "closed" or "error " .. ffi.errno()
end

-- Appends what has arrived. Returns nil and why when nothing more comes: "closed", "reset",
-- "timeout".
local function fill(self)
  local count, why = receive(self, SIZE)
  if not count then return nil, why end
  self.buffer = self.buffer .. ffi.string(bytes_in, count)
  return true
end

local function fail(self, wanted, why)
  local seen = self.buffer:sub(1, 2000)
  error(("wanted %s: %s; %d bytes seen: %q"):format(wanted, why, #self.buffer, seen), 3)
end

local function take(self, count)
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

--- The next `count` bytes.
function Client:read(count)
  while #self.buffer < count do
    local ok, why = fill(self)
    if not ok then fail(self, count .. " bytes", why) end
  end
  return take(self, count)
end

--- Everything up to and with the plain text `mark`.
function Client:read_until(mark)
  while true do
    local _, stop = self.buffer:find(mark, 1, true)
    if stop then return take(self, stop) end
    local ok, why = fill(self)
    if not ok then fail(self, ("%q"):format(mark), why) end
  end
end

--- Everything until the peer closes; the second value is how it did: "closed" (FIN) or "reset".
function Client:read_all()
  while true do
    local ok, why = fill(self)
    if why == "closed" or why == "reset" then return take(self, #self.buffer), why end
    if not ok then fail(self, "the end of the connection", why) end
  end
end

--- Reads and drops `count` bytes; returns how many came, and why when they were fewer.
function Client:skip(count)
  local left = count - #take(self, math.min(count, #self.buffer))
  while left > 0 do
    local got, why = receive(self, left)
    if not got then return count - left, why end
    left = left - got
  end
  return count
end

--- Is nothing to be read for `seconds` (0.05)? Proves silence as far as that can be proved.
function Client:is_silent(seconds)
  return #self.buffer == 0 and not is_readable(self, seconds or 0.05)
end

local function parse_head(bytes)
  local version, status, reason = bytes:match "^(HTTP/%d%.%d) (%d%d%d) ([^\r\n]*)\r\n"
  assert(version, ("not a response head: %q"):format(bytes))
  local head = { version = version, status = tonumber(status), reason = reason }
  head.headers, head.names = {}, {}
  for name, value in bytes:gmatch "\r\n([^:\r\n]+):[ \t]*([^\r\n]*)" do
    local key = name:lower()
    head.names[#head.names + 1] = name
    head.headers[key] = head.headers[key] and head.headers[key] .. ", " .. value or value
  end
  head.bytes = bytes
  return head
end

--- A response head: status, reason, version, headers (lower-case names, repeats joined by ", "),
--- names (as sent, in order), bytes.
function Client:head()
  return parse_head(self:read_until "\r\n\r\n")
end

local function read_chunked(self, response)
  local pieces = {}
  response.chunks = {}
  while true do
    local line = self:read_until "\r\n"
    response.bytes = response.bytes .. line
    local size = tonumber(line:match "^(%x+)", 16)
    assert(size, ("not a chunk size: %q"):format(line))
    local data = self:read(size + 2)
    response.bytes = response.bytes .. data
    assert(data:sub(-2) == "\r\n", "a chunk does not end in CRLF")
    if size == 0 then break end
    pieces[#pieces + 1] = data:sub(1, -3)
    response.chunks[#response.chunks + 1] = size
  end
  response.body = table.concat(pieces)
end

--- A whole response: its head and `body` as the head frames it; `bytes` is all of it as sent,
--- `chunks` the sizes when it was chunked. Tell with `for_head = true` that it answers HEAD.
function Client:response(for_head)
  local r = self:head()
  local status = r.status
  if for_head or status < 200 or status == 204 or status == 304 then
    r.body = ""
  elseif r.headers["transfer-encoding"] == "chunked" then
    read_chunked(self, r)
  elseif r.headers["content-length"] then
    r.body = self:read(tonumber(r.headers["content-length"]))
    r.bytes = r.bytes .. r.body
  else
    r.body, r.ended = self:read_all()
    r.bytes = r.bytes .. r.body
  end
  return r
end

--- Sends FIN: no more bytes from us, but we still read.
function Client:half_close()
  self.sock:shutdown "send"
  return self
end

--- Closes with RST, as a client that was killed with data unread does.
function Client:reset()
  self.sock:setoption("linger", { on = true, timeout = 0 })
  self.sock:close()
end

function Client:close()
  self.sock:close()
end

--- One request on a connection of its own; `bytes` is the whole request, `options` are those of
--- raw.connect.
function raw.once(port, bytes, options)
  local c = raw.connect(port, options)
  c:send(bytes)
  local r = c:response(bytes:match "^HEAD ")
  c:close()
  return r
end

return raw
