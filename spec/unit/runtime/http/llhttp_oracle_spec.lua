--- Differential test: what weir's parser accepts, llhttp 8.1.0 in strict mode accepts too, and
--- both see the same message. The other direction is not asked for: weir is stricter on purpose.
local c, ffi = require "spec.support.c" ("http/parser.h", "http/body.h", "base/rng.h")
local vectors = require "spec.support.http_vectors"

local MUTATIONS = tonumber(os.getenv "WEIR_ORACLE_MUTATIONS") or 30000

-- The library is compiled once and again when its source changes.
local function build()
  local out = "build/" .. (os.getenv "WEIR_PRESET" or "dev") .. "/llhttp_oracle.so"
  local source, llhttp = "spec/support/llhttp_oracle.c", "/usr/share/llhttp/"
  local command = ("test %s -nt %s || env -u LD_PRELOAD gcc -O2 -w -shared -fPIC "
    .. "-DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp "
    .. "-o %s.new %s %sapi.c %shttp.c %sllhttp.c "
    .. "&& { test ! -e %s.new || mv %s.new %s; }")
    :format(out, source, out, source, llhttp, llhttp, llhttp, out, out, out)
  assert(os.execute(command) == 0, "cannot build the oracle: is node-llhttp installed?")
  return ffi.load(out)
end

local declaration = [[
  struct oracle {
    int error;
    bool has_head, is_complete, is_chunked;
    uint64_t content_length;
    int minor;
    size_t url_len, fields_len, body_len;
    char url[65536], fields[65536], body[65536];
  };
  void oracle_read(struct oracle *o, bool is_response, const char *bytes, size_t len, size_t cut,
                   bool *early);
]]
if not pcall(ffi.typeof, "struct oracle") then ffi.cdef(declaration) end

local llhttp = build()
local oracle, early = ffi.new("struct oracle"), ffi.new("bool[1]")

-- llhttp knows a list of methods and refuses all others; RFC 9110 9.1 has any token, and what a
-- policy does not allow is refused above the parser. Heads with another method are shown to the
-- oracle as POST, which it treats like an unknown one: everything else about them is still
-- compared.
local known = {}
for method in ([[DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND
  PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH
  NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK]]):gmatch("%S+") do
  known[method] = true
end

local region = ffi.new("struct wr_region")
c.wr_region_init(region, 65536)
local head, used = ffi.new("struct wr_head"), ffi.new("size_t[1]")
local err = ffi.new("struct wr_parser_error")
local limits = c.wr_parser_limits_default

local function str(s)
  return ffi.string(s.ptr, s.len)
end

-- Fields as llhttp tells them, trimmed as ours are: it keeps white space after a value.
local function oracle_fields()
  local out, text = {}, ffi.string(oracle.fields, oracle.fields_len)
  for name, value in text:gmatch("(%Z*)%z(%Z*)%z") do
    table.insert(out, name .. "=" .. value:gsub("[ \t]+$", ""))
  end
  return table.concat(out, "\n")
end

local function our_fields()
  local out = {}
  for i = 0, tonumber(head.headers.count) - 1 do
    local item = head.headers.items[i]
    out[i + 1] = str(item.name) .. "=" .. str(item.value)
  end
  return table.concat(out, "\n")
end

local function without_dropped(fields)
  local out = {}
  for line in (fields .. "\n"):gmatch("(.-)\n") do
    if not line:match("^[^=]*_[^=]*=") and line ~= "" then table.insert(out, line) end
  end
  return table.concat(out, "\n")
end

-- llhttp takes spaces but no tab after the value of a framing field; RFC 9110 5.6.3 has both, and
-- what goes upstream is written anew. Such tabs are taken out of what the oracle sees.
local function without_tabs(text)
  return (text:gsub("[^\n]*\n", function(line)
    local name = line:lower():match("^([%a-]+):")
    if name ~= "content-length" and name ~= "transfer-encoding" then return line end
    return line:gsub("[ \t]+\r\n$", "\r\n")
  end))
end

-- The head as the oracle gets to see it.
local function shown(text, is_response)
  text = without_tabs(text)
  if is_response then return text end
  local method = str(head.method)
  if known[method] then return text end
  local start = text:sub(1, 2) == "\r\n" and 3 or 1
  return text:sub(1, start - 1) .. "POST" .. text:sub(start + #method)
end

-- Our verdict on a head, and what is wrong with it in llhttp's eyes (nil: nothing).
local function compare(text, is_response)
  c.wr_region_clear(region)
  local status
  if is_response then
    local get = ffi.new("struct wr_str", { "GET", 3 })
    status = c.wr_parser_response(text, #text, get, limits, region, head, used, err)
  else
    status = c.wr_parser_request(text, #text, limits, region, head, used, err)
  end
  if status ~= c.WR_PARSER_DONE then return false end
  local seen = shown(text:sub(1, tonumber(used[0])), is_response)
  llhttp.oracle_read(oracle, is_response, seen, #seen, #seen - 1, early)
  if oracle.error ~= 0 then return true, "llhttp refuses it with error " .. oracle.error end
  if not oracle.has_head then return true, "llhttp does not see the head's end" end
  if early[0] then return true, "llhttp sees the head end earlier" end
  if oracle.minor ~= head.minor then return true, "the versions differ" end
  local fields = oracle_fields()
  if not is_response then
    fields = without_dropped(fields)
    local target = ffi.string(oracle.url, oracle.url_len)
    if target ~= str(head.target) then return true, "targets differ" end
    local chunked = head.framing == c.WR_FRAMING_CHUNKED
    if chunked ~= oracle.is_chunked then return true, "one sees a chunked body" end
    if head.content_length ~= oracle.content_length then return true, "lengths differ" end
  end
  local ours = our_fields()
  return true, fields ~= ours and "fields differ:\n" .. fields .. "\n--\n" .. ours or nil
end

-- llhttp 8.1.0 refuses what follows the value of a chunk extension (";a=b;c") and some quoted
-- values; RFC 9112 7.1.1 has both, and weir drops extensions unseen after it has checked their
-- grammar. They are cut from the size lines that the oracle sees; simpler ones stay.
local function shown_body(text)
  local out, at = {}, 1
  while true do
    local size, extensions, data = text:match("^(%x+)([^\r\n]*)\r\n()", at)
    if not size then return table.concat(out) .. text:sub(at) end
    local is_beyond = extensions:find("=.*;") or extensions:find('"', 1, true)
    table.insert(out, size .. (is_beyond and "" or extensions) .. "\r\n")
    local length = tonumber(size, 16)
    if length == 0 then return table.concat(out) .. text:sub(data) end
    at = data + length + 2
    table.insert(out, text:sub(data, at - 1))
  end
end

local body, payload = ffi.new("struct wr_body"), ffi.new("struct wr_str")

-- Our verdict on a chunked body, and what is wrong with it in llhttp's eyes.
local function compare_body(text)
  c.wr_body_init(body, c.WR_FRAMING_CHUNKED, 0)
  local at, read = 0, {}
  local bytes = ffi.cast("const char *", text)
  local status
  repeat
    status = c.wr_body_feed(body, bytes + at, #text - at, used, payload)
    at = at + tonumber(used[0])
    if payload.ptr ~= nil then table.insert(read, str(payload)) end
  until status ~= c.WR_BODY_MORE or at == #text
  if status ~= c.WR_BODY_DONE then return false end
  local before = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
  local seen = before .. shown_body(text:sub(1, at))
  llhttp.oracle_read(oracle, false, seen, #seen, #before, early)
  if oracle.error ~= 0 then return true, "llhttp refuses it with error " .. oracle.error end
  if not oracle.is_complete then return true, "llhttp does not see the body's end" end
  local theirs = ffi.string(oracle.body, oracle.body_len)
  return true, theirs ~= table.concat(read) and "payloads differ" or nil
end

local bodies = {
  "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "1\r\na\r\n2;x=y\r\nbc\r\n0;z\r\n\r\n",
    "A\r\n0123456789\r\n000\r\n\r\n",
  "5\r\nhello\r\n0\r\nX: y\r\nZ: \r\n\r\n", "3;a=b;c=d;e\r\n\r\n5\r\n0\r\n\r\n",
    '2;a="b"\r\nhi\r\n0\r\n\r\n',
  "00010\r\n0123456789abcdef\r\n0\r\nTrailer-1: a b\tc\r\n\r\n",
}

local alphabet = { "\r", "\n", "\r\n", " ", "\t", ":", ",", ";", "=", '"', "\\", "/", "#", "?",
  "@", "[", "]",
  "_", "-", "+", ".", "\0", "\x01", "\x0b", "\x7f", "\x80", "\xff", "0", "1", "5", "9", "a", "F",
    "g", "Z",
  "HTTP/1.1", "HTTP/1.0", "Host: a\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
  "chunked", "Connection: close\r\n", "\r\n ", "\r\n\t", "\r\n\r\n", "http://a", "*", "GET ",
    "200", "%2e" }

-- Changes `text` at one to three places.
local function mutate(text, below, others)
  for _ = 1, 1 + below(3) do
    local at, kind = 1 + below(#text + 1), below(6)
    local before, after = text:sub(1, at - 1), text:sub(at)
    if kind <= 1 then text = before .. alphabet[1 + below(#alphabet)] .. after
    elseif kind == 2 then text = before .. alphabet[1 + below(#alphabet)] .. after:sub(2)
    elseif kind == 3 then text = before .. after:sub(2 + below(4))
    elseif kind == 4 then text = before .. text:sub(1 + below(at), at + below(20)) .. after
    else
      local other = others[1 + below(#others)]
      text = before .. other:sub(1 + below(#other + 1))
    end
  end
  return text
end

local function quoted(text)
  return (("%q"):format(#text > 600 and text:sub(1, 600) .. "…" or text))
end

-- Mutates `seeds` and compares each result; returns how many were accepted.
local function explore(seeds, rounds, seed, check)
  local rng = ffi.new("struct wr_rng")
  c.wr_rng_init(rng, seed)
  local function below(n) return tonumber(c.wr_rng_below(rng, n)) end
  local accepted = 0
  for round = 1, rounds do
    local text = mutate(seeds[1 + below(#seeds)], below, seeds)
    local is_accepted, fault = check(text)
    if fault then error(("seed %d, round %d: %s\n%s"):format(seed, round, fault, quoted(text))) end
    if is_accepted then accepted = accepted + 1 end
  end
  return accepted
end

-- Long vectors are about limits, which llhttp does not have; they would only make mutations slow.
local function seeds_of(rows)
  local out = {}
  for _, row in ipairs(rows) do
    if #row[2] > 0 and #row[2] < 1000 then table.insert(out, row[2]) end
  end
  return out
end

describe("llhttp in strict mode", function()
  it("agrees with every head that our vectors accept", function()
    for _, row in ipairs(vectors.requests) do
      local _, fault = compare(row[2], false)
      assert.is_nil(fault, row[3] .. ": " .. quoted(row[2]))
    end
    for _, row in ipairs(vectors.responses) do
      local _, fault = compare(row[2], true)
      assert.is_nil(fault, row[3] .. ": " .. quoted(row[2]))
    end
  end)

  it("agrees with every mutated request that we accept", function()
    local seed = os.time()
    local accepted = explore(seeds_of(vectors.requests), MUTATIONS, seed, function(text)
      return compare(text, false)
    end)
    assert.is_true(accepted > MUTATIONS / 50, accepted .. " accepted: too few to mean anything")
  end)

  it("agrees with every mutated response that we accept", function()
    local seed = os.time() + 1
    local accepted = explore(seeds_of(vectors.responses), MUTATIONS, seed, function(text)
      return compare(text, true)
    end)
    assert.is_true(accepted > MUTATIONS / 50, accepted .. " accepted: too few to mean anything")
  end)

  it("agrees with every mutated chunked body that we accept", function()
    for _, text in ipairs(bodies) do
      local is_accepted, fault = compare_body(text)
      assert.is_nil(fault, quoted(text))
      assert.is_true(is_accepted, quoted(text))
    end
    local accepted = explore(bodies, MUTATIONS, os.time() + 2, compare_body)
    assert.is_true(accepted > MUTATIONS / 50, accepted .. " accepted: too few to mean anything")
  end)
end)
