--- One client connection of HTTP/2, as bytes: what a request of HTTP/1.1 says is said in frames,
--- and what comes back is told as responses. It opens no socket: spec/support/wire.lua moves the
--- bytes.
---
---     local c = wire_h2.new()
---     out = out .. c:hello()
---     out = out .. c:say "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
---     out = out .. c:frames { fields = { { ":method", "GET" }, … }, "body", trailers = … }
---     out = out .. c:hear(bytes)
---     c.streams[1].responses[1].status; c.streams[1].reset; c.goaway
---
--- Requests are written without compression and without any check, so that they can be wrong;
--- responses are read by libnghttp2's inflater, and judged by RFC 9113 8.1 and 8.2.
local bit = require "bit"
local ffi = require "ffi"

ffi.cdef [[
  typedef struct spec_inflater spec_inflater;
  typedef struct { const char *name, *value; size_t name_size, value_size; uint8_t flags; } spec_nv;
  int nghttp2_hd_inflate_new(spec_inflater **out);
  void nghttp2_hd_inflate_del(spec_inflater *inflater);
  long nghttp2_hd_inflate_hd2(spec_inflater *inflater, spec_nv *out, int *flags, const char *in,
                              size_t size, int is_final);
  int nghttp2_hd_inflate_end_headers(spec_inflater *inflater);
]]
local nghttp2 = ffi.load "nghttp2"

local wire_h2 = {}
local Client = {}
Client.__index = Client

local DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
local END_STREAM, ACK, END_HEADERS = 1, 1, 4
local INITIAL_WINDOW = 4
local FRAME_MAX, WINDOW_MAX = 16384, 0x7FFFFFFF
local EMIT, FINAL = 2, 1

-- Bytes.

local function number(value, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(bytes)
end

local function value_of(bytes, at, size)
  local value = 0
  for i = at, at + size - 1 do value = value * 256 + bytes:byte(i) end
  return value
end

--- The bytes of a frame.
function wire_h2.frame(kind, flags, stream, payload)
  return number(#payload, 3) .. string.char(kind, flags) .. number(stream, 4) .. payload
end
local frame = wire_h2.frame

-- A string of RFC 7541 5.2, without Huffman's code.
local function text(value)
  if #value < 127 then return string.char(#value) .. value end
  local rest, bytes = #value - 127, { "\127" }
  while rest >= 128 do
    bytes[#bytes + 1] = string.char(rest % 128 + 128)
    rest = math.floor(rest / 128)
  end
  return table.concat(bytes) .. string.char(rest) .. value
end

--- The block of a list of { name, value }: literals that enter no table (RFC 7541 6.2.2).
function wire_h2.block(fields)
  local parts = {}
  for i, field in ipairs(fields) do parts[i] = "\0" .. text(field[1]) .. text(field[2]) end
  return table.concat(parts)
end

-- Saying.

--- A connection that has said nothing.
function wire_h2.new()
  local out = ffi.new "spec_inflater *[1]"
  assert(nghttp2.nghttp2_hd_inflate_new(out) == 0)
  return setmetatable({
    inflater = ffi.gc(out[0], nghttp2.nghttp2_hd_inflate_del), buffer = "", text = "", queue = {},
    next = 1, window = 65535, initial_window = 65535, streams = {}, order = {},
  }, Client)
end

--- The preface, with windows that nothing in a spec fills.
function Client:hello() -- luacheck: no self
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    .. frame(SETTINGS, 0, 0, number(INITIAL_WINDOW, 2) .. number(WINDOW_MAX, 4))
    .. frame(WINDOW, 0, 0, number(WINDOW_MAX - 65535, 4))
end

local function open_stream(self)
  local s = { id = self.next, window = self.initial_window, responses = {}, interims = {},
    body = {}, got = "" }
  self.next = self.next + 2
  self.streams[s.id] = s
  self.order[#self.order + 1] = s
  self.last = s
  return s
end

local function head_frames(stream, fields, is_end)
  local block = wire_h2.block(fields)
  local flags = is_end and END_STREAM or 0
  if #block <= FRAME_MAX then return frame(HEADERS, flags + END_HEADERS, stream, block) end
  local parts = { frame(HEADERS, flags, stream, block:sub(1, FRAME_MAX)) }
  for at = FRAME_MAX + 1, #block, FRAME_MAX do
    local is_last = at + FRAME_MAX > #block
    parts[#parts + 1] = frame(CONTINUATION, is_last and END_HEADERS or 0, stream,
      block:sub(at, at + FRAME_MAX - 1))
  end
  return table.concat(parts)
end

-- As much of what waits as the windows take.
local function flow(self)
  local parts = {}
  while self.queue[1] do
    local one = self.queue[1]
    local s = self.streams[one.stream]
    local size = math.min(#one.bytes, FRAME_MAX, self.window, s.window)
    if size <= 0 and #one.bytes > 0 and not s.is_over then break end
    local piece = one.bytes:sub(1, size)
    one.bytes = one.bytes:sub(size + 1)
    local is_last = #one.bytes == 0
    if not s.reset then
      parts[#parts + 1] = frame(DATA, is_last and one.is_end and END_STREAM or 0, s.id, piece)
      self.window, s.window = self.window - size, s.window - size
    end
    if is_last or s.reset then table.remove(self.queue, 1) end
  end
  return table.concat(parts)
end

local function add_data(self, stream, bytes, is_end)
  self.queue[#self.queue + 1] = { stream = stream, bytes = bytes, is_end = is_end }
  return flow(self)
end

--- One request, field by field: `fields` with the pseudo fields, then pieces of body, a DATA frame
--- each, and `trailers`. With `open` its end is not said.
function Client:frames(request)
  local s = open_stream(self)
  local has_more = #request > 0 or request.trailers or request.open
  local out = head_frames(s.id, request.fields, not has_more)
  for i, piece in ipairs(request) do
    local is_end = i == #request and not request.trailers and not request.open
    out = out .. add_data(self, s.id, piece, is_end)
  end
  if request.trailers then out = out .. head_frames(s.id, request.trailers, true) end
  return out
end

-- The fields of a head of HTTP/1.1, and the length that it tells: nil for none, false for nonsense.
local function translate(head)
  local method, target = head:match "^(%S+) (%S+) HTTP/1%.1\r\n"
  assert(method, "no request that HTTP/2 could say: " .. head)
  local fields = { { ":method", method }, { ":scheme", "http" }, { ":path", target } }
  local length
  for name, value in head:sub(head:find("\n", 1, true) + 1):gmatch "([^:\r\n]+): ?([^\r\n]*)" do
    name = name:lower()
    if name == "host" then
      table.insert(fields, 4, { ":authority", value })
    else
      fields[#fields + 1] = { name, value }
    end
    if name == "content-length" then
      length = length == nil and value:find "^%d+$" and #value < 16 and tonumber(value) or false
    end
  end
  return fields, length
end

--- What these bytes of HTTP/1.1 say, in frames; a message may come in pieces.
function Client:say(bytes)
  local out = ""
  self.text = self.text .. bytes
  -- A body that is not wanted any more is not finished.
  if self.open and self.streams[self.open.stream].is_over then self.open = nil end
  while #self.text > 0 do
    local open = self.open
    if not open then
      local _, stop = self.text:find("\r\n\r\n", 1, true)
      if not stop then return out end
      local fields, length = translate(self.text:sub(1, stop))
      self.text = self.text:sub(stop + 1)
      -- A body of no length that anybody could know ends where the bytes do.
      if length == false then length = #self.text end
      out = out .. head_frames(open_stream(self).id, fields, length == nil)
      open = length and { stream = self.last.id, left = length }
    end
    if open then
      local piece = self.text:sub(1, open.left)
      self.text = self.text:sub(#piece + 1)
      open.left = open.left - #piece
      if #piece > 0 or open.left == 0 then
        out = out .. add_data(self, open.stream, piece, open.left == 0)
      end
      self.open = open.left > 0 and open or nil
    end
  end
  return out
end

--- The client gives up what it still wants.
function Client:leave()
  self.open, self.text = nil, ""
  if not self.last or self.last.is_over then return "" end
  self.last.is_over = true
  return frame(RST, 0, self.last.id, number(8, 4))
end

--- Is every stream over?
function Client:is_quiet()
  for _, s in ipairs(self.order) do
    if not s.is_over then return false end
  end
  return #self.order > 0
end

-- Hearing.

local FORBIDDEN = { connection = true, ["keep-alive"] = true, ["proxy-connection"] = true,
  ["transfer-encoding"] = true, upgrade = true }

local function judge(name, value)
  if name:find "%u" or not name:find "^:?[%w!#$%%&'*+%-.^_`|~]+$" or FORBIDDEN[name]
    or value:find "[%z\r\n]" or value:find "^[ \t]" or value:find "[ \t]$" then
    error(("not a field of HTTP/2: %q: %q"):format(name, value), 0)
  end
end

local function inflate(self, block)
  local nv, flags = ffi.new "spec_nv", ffi.new "int[1]"
  local fields, at = {}, 0
  local bytes = ffi.cast("const char *", block)
  repeat
    local used = tonumber(nghttp2.nghttp2_hd_inflate_hd2(self.inflater, nv, flags, bytes + at,
      #block - at, 1))
    assert(used >= 0, "a block that is no HPACK")
    at = at + used
    if bit.band(flags[0], EMIT) ~= 0 then
      local name = ffi.string(nv.name, nv.name_size)
      local value = ffi.string(nv.value, nv.value_size)
      judge(name, value)
      fields[#fields + 1] = { name, value }
    end
  until bit.band(flags[0], FINAL) ~= 0
  nghttp2.nghttp2_hd_inflate_end_headers(self.inflater)
  return fields
end

local function lines_of(fields, from)
  local lines = {}
  for i = from, #fields do lines[#lines + 1] = fields[i][1] .. ": " .. fields[i][2] end
  return lines
end

local function response_of(fields)
  assert(fields[1] and fields[1][1] == ":status", "the first field is not :status")
  local r = { status = tonumber(fields[1][2]), lines = lines_of(fields, 2), fields = {}, body = "" }
  for i = 2, #fields do
    local name, value = unpack(fields[i])
    assert(name:sub(1, 1) ~= ":", "a pseudo field in the middle")
    r.fields[name] = r.fields[name] and r.fields[name] .. ", " .. value or value
  end
  r.head = ("HTTP/2 %d\r\n%s\r\n\r\n"):format(r.status, table.concat(r.lines, "\r\n"))
  return r
end

local function end_stream(s)
  if s.is_over then return end
  s.response.body = table.concat(s.body)
  s.responses[1], s.is_over = s.response, true
end

local function on_head(self, id, block, flags)
  local fields = inflate(self, block)
  local s = assert(self.streams[id], "a stream that nobody opened")
  if s.response then
    s.response.trailers = lines_of(fields, 1)
  else
    local r = response_of(fields)
    s.got = s.got .. r.head .. (r.status == 100 and "100 Continue" or "")
    if r.status < 200 then s.interims[#s.interims + 1] = r else s.response = r end
  end
  if bit.band(flags, END_STREAM) ~= 0 then end_stream(s) end
end

local function on_settings(self, payload)
  for at = 1, #payload, 6 do
    if value_of(payload, at, 2) == INITIAL_WINDOW then
      local before = self.initial_window
      self.initial_window = value_of(payload, at + 2, 4)
      for _, s in ipairs(self.order) do s.window = s.window + self.initial_window - before end
    end
  end
end

local function take(self, kind, flags, id, payload)
  local s = self.streams[id]
  if kind == HEADERS or kind == CONTINUATION then
    self.block = { (self.block and self.block[1] or "") .. payload,
      kind == HEADERS and flags or self.block[2] }
    if bit.band(flags, END_HEADERS) ~= 0 then
      local block = self.block
      self.block = nil
      on_head(self, id, block[1], block[2])
    end
  elseif kind == DATA then
    s.body[#s.body + 1], s.got = payload, s.got .. payload
    if bit.band(flags, END_STREAM) ~= 0 then end_stream(s) end
  elseif kind == RST then
    -- One that follows a whole response says only that the rest of the request is not wanted.
    if s and not s.is_over then s.reset, s.is_over = value_of(payload, 1, 4), true end
  elseif kind == SETTINGS and flags % 2 == 0 then
    on_settings(self, payload)
    return frame(SETTINGS, ACK, 0, "")
  elseif kind == PING and flags % 2 == 0 then
    return frame(PING, ACK, 0, payload)
  elseif kind == GOAWAY then
    self.goaway = value_of(payload, 5, 4)
  elseif kind == WINDOW then
    local more = value_of(payload, 1, 4)
    if s then s.window = s.window + more elseif id == 0 then self.window = self.window + more end
  end
  return ""
end

--- Takes what came; returns what is to be sent for it.
function Client:hear(bytes)
  self.buffer = self.buffer .. bytes
  local out = {}
  while #self.buffer >= 9 do
    local size = value_of(self.buffer, 1, 3)
    if #self.buffer < 9 + size then break end
    local kind, flags = self.buffer:byte(4, 5)
    local id, payload = value_of(self.buffer, 6, 4), self.buffer:sub(10, 9 + size)
    self.buffer = self.buffer:sub(10 + size)
    out[#out + 1] = take(self, kind, flags, id, payload) or ""
  end
  out[#out + 1] = flow(self)
  return table.concat(out)
end

return wire_h2
