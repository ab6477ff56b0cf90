--- HTTP/1.1 messages read as RFC 9112 writes them and not a byte more leniently: what weir sends to
--- an upstream, and what it sends to a client, must pass here.
---
---     local request, rest = strict.request(bytes)   -- nil, "more" until it is whole
---
--- A message that is not strict raises with what is wrong.
local strict = {}

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"

local function wrong(what, bytes)
  error(("not strict HTTP/1.1: %s: %q"):format(what, bytes:sub(1, 400)), 0)
end

local function read_fields(head, bytes)
  local fields, list = {}, {}
  for line in bytes:gmatch "([^\n]*)\n" do
    if line:sub(-1) ~= "\r" then wrong("bare LF", line) end
    local name, value = line:sub(1, -2):match "^([^:]*):(.*)$"
    if not name or not name:find(TOKEN) then wrong("a field's name", line) end
    if value ~= "" and not value:find "^ [^ \t]" then wrong("white space", line) end
    if value:find "[%z\1-\8\10-\31\127]" or value:find "[ \t]$" then wrong("a value", line) end
    local key = name:lower()
    fields[key] = fields[key] and fields[key] .. ", " .. value:sub(2) or value:sub(2)
    list[#list + 1] = line:sub(1, -2)
  end
  head.fields, head.lines = fields, list
end

local function read_framing(m)
  local length, coding = m.fields["content-length"], m.fields["transfer-encoding"]
  if length and coding then wrong("both framings", m.head) end
  if length and not length:find "^%d+$" then wrong("Content-Length", m.head) end
  if coding and coding ~= "chunked" then wrong("Transfer-Encoding", m.head) end
  m.length, m.is_chunked = tonumber(length), coding ~= nil
end

-- The body, and what follows the trailers; nil while they are not whole.
local function read_trailers(m, body, bytes)
  if bytes:sub(1, 2) == "\r\n" then return body, bytes:sub(3) end
  local _, stop = bytes:find("\r\n\r\n", 1, true)
  if not stop then return nil end
  local section = {}
  read_fields(section, bytes:sub(1, stop - 2))
  m.trailers = section.lines
  return body, bytes:sub(stop + 1)
end

-- The decoded body and the rest; nil while it is not whole.
local function read_chunks(m, bytes)
  local pieces = {}
  m.chunks = {}
  while true do
    local line, at = bytes:match "^([^\n]*\n)()"
    if not line then return nil end
    local digits = line:match "^(%x+)\r\n$"
    if not digits then wrong("a chunk's size", line) end
    local size = tonumber(digits, 16)
    if size == 0 then return read_trailers(m, table.concat(pieces), bytes:sub(at)) end
    if #bytes < at + size + 1 then return nil end
    if bytes:sub(at + size, at + size + 1) ~= "\r\n" then wrong("a chunk's end", bytes) end
    local data = bytes:sub(at, at + size - 1)
    bytes = bytes:sub(at + size + 2)
    pieces[#pieces + 1] = data
    m.chunks[#m.chunks + 1] = size
  end
end

local function read_body(m, bytes)
  if m.is_chunked then
    m.body, bytes = read_chunks(m, bytes)
  elseif #bytes >= (m.length or 0) then
    m.body, bytes = bytes:sub(1, m.length or 0), bytes:sub((m.length or 0) + 1)
  end
  if not m.body then return nil, "more" end
  return m, bytes
end

-- Head and what follows it; nil while it is not whole.
local function split_head(bytes)
  local _, stop = bytes:find("\r\n\r\n", 1, true)
  if not stop then return nil end
  return bytes:sub(1, stop), bytes:sub(stop + 1)
end

--- The head of a request at the beginning of `bytes` and what follows it, or nil and "more". It has
--- `method`, `target`, `fields` (lower-case names, repeats joined), `lines` (as they came), `head`
--- (its bytes), `length`, `is_chunked`. A message that is whole may have `trailers`, lines too.
function strict.request_head(bytes)
  local head, rest = split_head(bytes)
  if not head then return nil, "more" end
  local m = { head = head }
  local line
  line, m.method, m.target = head:match "^((%S+) (%S+) HTTP/1%.1\r\n)"
  if not line or not m.method:find(TOKEN) then wrong("the request line", head) end
  read_fields(m, head:sub(#line + 1, -3))
  if not m.fields.host then wrong("no Host", head) end
  read_framing(m)
  return m, rest
end

--- A whole request and what follows it, or nil and "more"; also has `body`, decoded, and `chunks`.
function strict.request(bytes)
  local m, rest = strict.request_head(bytes)
  if not m then return nil, rest end
  return read_body(m, rest)
end

--- A whole response and what follows it, or nil and "more". `is_head`: it answers HEAD. `is_over`:
--- nothing more comes, so that a body without framing ends here. Has `status`, `reason`, `fields`,
--- `lines`, `head`, `body`.
function strict.response(bytes, is_head, is_over)
  local head, rest = split_head(bytes)
  if not head then return nil, "more" end
  local m = { head = head }
  local line, status
  line, status, m.reason = head:match "^(HTTP/1%.1 (%d%d%d) ([^\r\n]*)\r\n)"
  if not line then wrong("the status line", head) end
  m.status = tonumber(status)
  read_fields(m, head:sub(#line + 1, -3))
  read_framing(m)
  if is_head or m.status < 200 or m.status == 204 or m.status == 304 then
    m.body = ""
    return m, rest
  end
  if m.length or m.is_chunked then return read_body(m, rest) end
  if not is_over then return nil, "more" end
  m.body = rest
  return m, ""
end

return strict
