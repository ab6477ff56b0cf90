local c, ffi = require "spec.support.c" ("http/parser.h", "base/rng.h")
local vectors = require "spec.support.http_vectors"

local head_of = vectors.head
local framing = { [0] = "none", "length", "chunked", "close" }

local region = ffi.new("struct wr_region")
c.wr_region_init(region, 65536)

-- Keeps the bytes alive: what the head borrows must outlive it.
local function copy(text)
  local bytes = ffi.new("char[?]", math.max(#text, 1))
  ffi.copy(bytes, text, #text)
  return bytes
end

local function str(s)
  if s.ptr == nil then return nil end
  return ffi.string(s.ptr, s.len)
end

local function slice(text)
  return ffi.new("struct wr_str", { text, #text })
end

local function result(status, head, used, err)
  if status == c.WR_PARSER_MORE then return { verdict = "more" } end
  if status == c.WR_PARSER_BAD then
    return { verdict = err.status, message = ffi.string(err.message),
      offset = tonumber(err.offset) }
  end
  local r = { verdict = "done", used = tonumber(used[0]), fields = {} }
  for _, name in ipairs { "method", "target", "host", "path", "query", "reason" } do
    r[name] = str(head[name])
  end
  for i = 0, tonumber(head.headers.count) - 1 do
    local item = head.headers.items[i]
    table.insert(r.fields, str(item.name) .. "=" .. str(item.value))
  end
  r.status, r.minor = head.status, head.minor
  r.framing = framing[tonumber(head.framing)]
  r.length = tonumber(head.content_length)
  for _, flag in ipairs { "has_content_length", "keep_alive", "expect_continue", "is_upgrade" } do
    r[flag] = head[flag]
  end
  return r
end

local head, used = ffi.new("struct wr_head"), ffi.new("size_t[1]")
local err = ffi.new("struct wr_parser_error")

local function request(text, limits)
  c.wr_region_clear(region)
  local bytes = copy(text)
  limits = limits or c.wr_parser_limits_default
  local status = c.wr_parser_request(bytes, #text, limits, region, head, used, err)
  return result(status, head, used, err)
end

local function response(text, method, limits)
  c.wr_region_clear(region)
  local bytes = copy(text)
  local status = c.wr_parser_response(bytes, #text, slice(method or "GET"),
    limits or c.wr_parser_limits_default, region, head, used, err)
  return result(status, head, used, err)
end

local function quoted(text)
  return (("%q"):format(#text > 200 and text:sub(1, 200) .. "…" or text))
end

-- Calls `check(row, parse)` for every vector.
local function each_vector(check)
  for _, row in ipairs(vectors.requests) do check(row, request) end
  for _, row in ipairs(vectors.responses) do
    check(row, function(text) return response(text, row.method) end)
  end
end

describe("parser", function()
  it("gives every vector its verdict", function()
    each_vector(function(row, parse)
      local r = parse(row[2])
      local text = row[3] .. ": " .. quoted(row[2]) .. " — " .. tostring(r.message)
      assert.equal(row[1], r.verdict, text)
    end)
  end)

  it("says what is wrong and where", function()
    each_vector(function(row, parse)
      local r = parse(row[2])
      if type(r.verdict) ~= "number" then return end
      assert.is_true(#r.message > 0, row[3])
      assert.is_true(r.offset <= #row[2], row[3])
    end)
    local r = request(head_of("GET / HTTP/1.1", "Host: a", "Bad Name: x"))
    assert.equal("white space in or after a field name", r.message)
    assert.equal(#"GET / HTTP/1.1\r\nHost: a\r\nBad", r.offset)
  end)

  it("never gives a prefix another verdict than the whole", function()
    each_vector(function(row, parse)
      local whole = parse(row[2])
      local step = #row[2] > 1000 and 97 or 1
      for len = 0, #row[2], step do
        local part = parse(row[2]:sub(1, len))
        if part.verdict ~= "more" then
          assert.same(whole, part, row[3] .. ", first " .. len .. " of " .. quoted(row[2]))
        elseif whole.verdict == "done" then
          assert.is_true(len < whole.used, row[3])
        end
      end
    end)
  end)

  it("refuses as soon as the offending line is complete", function()
    each_vector(function(row, parse)
      local whole = parse(row[2])
      if type(whole.verdict) ~= "number" then return end
      local line_end = row[2]:find("\n", whole.offset + 1, true) or #row[2]
      assert.equal(whole.verdict, parse(row[2]:sub(1, line_end)).verdict, row[3])
    end)
  end)

  it("takes no memory until the head is complete", function()
    local text = head_of("GET / HTTP/1.1", "Host: a", "X: y", "Z: y")
    for len = 0, #text - 1 do
      assert.equal("more", request(text:sub(1, len)).verdict)
      assert.equal(0, tonumber(region.total))
    end
  end)

  it("splits the request line", function()
    local cases = {
      { "GET /a/b?c=d HTTP/1.1", path = "/a/b", query = "c=d", host = "a" },
      { "GET /? HTTP/1.1", path = "/", query = "", host = "a" },
      { "GET / HTTP/1.1", path = "/", host = "a" },
      { "GET http://A:80/x?y HTTP/1.1", path = "/x", query = "y", host = "a" },
      { "GET http://a HTTP/1.1", path = "/", host = "a" },
      { "GET http://a?q HTTP/1.1", path = "/", query = "q", host = "a" },
      { "OPTIONS * HTTP/1.1", path = "*", host = "a" },
      { "OPTIONS http://a HTTP/1.1", path = "*", host = "a" },
      { "OPTIONS http://a/ HTTP/1.1", path = "/", host = "a" },
    }
    for _, case in ipairs(cases) do
      local r = request(head_of(case[1], "Host: a"))
      assert.equal(case.path, r.path, case[1])
      assert.equal(case.query, r.query, case[1])
      assert.equal(case.host, r.host, case[1])
      local method, target = case[1]:match("^(%S+) (%S+)")
      assert.equal(method, r.method)
      assert.equal(target, r.target)
    end
    assert.is_nil(request(head_of("CONNECT a:443 HTTP/1.1", "Host: a:443")).path)
  end)

  it("brings the host into one form", function()
    local cases = {
      { "Example.COM", "example.com" }, { "a:80", "a" }, { "a:080", "a" }, { "a:8080", "a:8080" },
      { "a.", "a" }, { "a.:80", "a" }, { "a:", "a" }, { "a:443", "a:443" },
      { "[2001:DB8:0:0::1]", "[2001:db8::1]" }, { "[::1]:80", "[::1]" }, { "[::1]:81", "[::1]:81" },
      { "[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]" }, { "10.0.0.1:08", "10.0.0.1:8" },
      { ("a"):rep(253) .. ".", ("a"):rep(253) },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], request(head_of("GET / HTTP/1.1", "Host: " .. case[1])).host, case[1])
    end
    assert.is_nil(request(head_of("GET / HTTP/1.0")).host)
    assert.equal("a", request(head_of("GET http://A/ HTTP/1.0")).host)
  end)

  it("keeps fields in order, as written, without the white space around values", function()
    local r = request(head_of("GET / HTTP/1.1", "hOST:  a ", "A: 1", "B:\t2 2\t", "a:", "A: 3"))
    assert.same({ "hOST=a", "A=1", "B=2 2", "a=", "A=3" }, r.fields)
  end)

  it("drops request fields with an underscore in their name, yet counts and checks them", function()
    local r = request(head_of("GET / HTTP/1.1", "Host: a", "X_Real_IP: 1", "X-Real-IP: 2", "_: 3"))
    assert.same({ "Host=a", "X-Real-IP=2" }, r.fields)
    assert.equal(400, request(head_of("GET / HTTP/1.1", "Host: a", "X_Y: \1")).verdict)
    local limits = ffi.new("struct wr_parser_limits", { 32768, 8192, 2 })
    assert.equal(431, request(head_of("GET / HTTP/1.1", "Host: a", "_: 1", "_: 2"), limits).verdict)
    assert.same({ "X_Y=z" }, response(head_of("HTTP/1.1 200 OK", "X_Y: z")).fields)
  end)

  it("frames requests", function()
    local cases = {
      { "GET", "1.1", nil, "none" },
      { "POST", "1.1", nil, "none" },
      { "POST", "1.1", "Content-Length: 0", "length", 0 },
      { "POST", "1.1", "Content-Length: 0042", "length", 42 },
      { "GET", "1.1", "Content-Length: 7", "length", 7 },
      { "POST", "1.0", "Content-Length: 7", "length", 7 },
      { "POST", "1.1", "Transfer-Encoding: Chunked", "chunked" },
      { "POST", "1.1", "Content_Length: 7", "none" },
    }
    for _, case in ipairs(cases) do
      local r = request(head_of(case[1] .. " / HTTP/" .. case[2], "Host: a", case[3]))
      assert.equal(case[4], r.framing, case[3])
      if case[5] then assert.equal(case[5], r.length, case[3]) end
      assert.equal(case[5] ~= nil, r.has_content_length, case[3])
    end
  end)

  it("frames responses (RFC 9112 6.3)", function()
    local cases = {
      { "200 OK", "Content-Length: 5", "GET", "length", 5, true },
      { "200 OK", "Transfer-Encoding: chunked", "GET", "chunked", 0, true },
      { "200 OK", nil, "GET", "close", 0, false },
      { "200 OK", "Content-Length: 5", "HEAD", "none", 5, true },
      { "200 OK", "Transfer-Encoding: chunked", "HEAD", "none", 0, true },
      { "200 OK", nil, "HEAD", "none", 0, true },
      { "304 Not Modified", "Content-Length: 5", "GET", "none", 5, true },
      { "204 No Content", nil, "GET", "none", 0, true },
      { "204 No Content", "Content-Length: 0", "GET", "none", 0, true },
      { "204 No Content", "Content-Length: 5", "GET", "none", 5, false },
      { "204 No Content", "Transfer-Encoding: chunked", "GET", "none", 0, false },
      { "100 Continue", nil, "POST", "none", 0, true },
      { "101 Switching Protocols", nil, "GET", "none", 0, true },
      { "200 OK", "Content-Length: 5", "CONNECT", "none", 5, true },
      { "403 Forbidden", "Content-Length: 5", "CONNECT", "length", 5, true },
      { "205 Reset Content", "Content-Length: 0", "GET", "length", 0, true },
      { "404 Not Found", "Connection: close", "GET", "close", 0, false },
    }
    for _, case in ipairs(cases) do
      local text = case[1] .. " " .. tostring(case[2]) .. " to " .. case[3]
      local r = response(head_of("HTTP/1.1 " .. case[1], case[2]), case[3])
      assert.equal(case[4], r.framing, text)
      assert.equal(case[5], r.length, text)
      assert.equal(case[6], r.keep_alive, text)
    end
  end)

  it("reads the status line", function()
    local r = response(head_of("HTTP/1.0 404 Not  Found "))
    assert.equal(404, r.status)
    assert.equal("Not  Found ", r.reason)
    assert.equal(0, r.minor)
    assert.equal("", response(head_of("HTTP/1.1 200")).reason)
  end)

  it("tells whether the connection may be used again", function()
    local cases = {
      { "1.1", nil, true }, { "1.1", "close", false }, { "1.1", "Close", false },
      { "1.1", "x, close", false }, { "1.1", "keep-alive", true }, { "1.1", "closed", true },
      { "1.0", nil, false }, { "1.0", "keep-alive", true }, { "1.0", "Keep-Alive, close", false },
    }
    for _, case in ipairs(cases) do
      local connection = case[2] and "Connection: " .. case[2]
      local r = request(head_of("GET / HTTP/" .. case[1], "Host: a", connection))
      assert.equal(case[3], r.keep_alive, case[1] .. " " .. tostring(case[2]))
    end
  end)

  it("notices Expect where a body is due, and upgrades, in HTTP/1.1", function()
    local function of(...) return request(head_of(...)) end
    local expect, length = "Expect: 100-Continue", "Content-Length: 5"
    assert.is_true(of("POST / HTTP/1.1", "Host: a", expect, length).expect_continue)
    assert.is_false(of("POST / HTTP/1.1", "Host: a", expect).expect_continue)
    assert.is_false(of("POST / HTTP/1.0", "Host: a", expect, length).expect_continue)
    assert.is_false(of("POST / HTTP/1.1", "Host: a", "Expect: x", length).expect_continue)
    local up, down = "Upgrade: websocket", "Connection: keep-alive, Upgrade"
    assert.is_true(of("GET / HTTP/1.1", "Host: a", up, down).is_upgrade)
    assert.is_false(of("GET / HTTP/1.1", "Host: a", up).is_upgrade)
    assert.is_false(of("GET / HTTP/1.1", "Host: a", down).is_upgrade)
    assert.is_false(of("GET / HTTP/1.0", "Host: a", up, down).is_upgrade)
  end)

  it("holds to any limits, whatever the split", function()
    local limits = ffi.new("struct wr_parser_limits")
    local text = head_of("GET /abc HTTP/1.1", "Host: a", "Xyz: 12345678901234567890")
    local longest = #"Xyz: 12345678901234567890"
    for head_max = 0, #text + 1, 3 do
      for line_max = 0, longest + 1 do
        limits.head_max, limits.line_max, limits.fields_max = head_max, line_max, 2
        local whole = request(text, limits)
        local fits = head_max >= #text and line_max >= longest
        assert.equal(fits, whole.verdict == "done", head_max .. " " .. line_max)
        for len = 1, #text, 5 do
          local part = request(text:sub(1, len), limits)
          if part.verdict ~= "more" then assert.same(whole, part, head_max .. " " .. line_max) end
        end
      end
    end
  end)

  it("refuses a head whose fields do not fit the region", function()
    local small = ffi.new("struct wr_region")
    c.wr_region_init(small, 64)
    local text = head_of("GET / HTTP/1.1", "Host: a", "X: y", "Z: y")
    local bytes = copy(text)
    local status = c.wr_parser_request(bytes, #text, c.wr_parser_limits_default, small, head, used,
      err)
    assert.equal(431, result(status, head, used, err).verdict)
    c.wr_region_fini(small)
  end)

  it("survives any bytes and stays consistent about them", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local alphabet = "\r\n\r\n \t:,;AaZz09/\0\x7f\x80?#[]_"
    local function below(n) return tonumber(c.wr_rng_below(rng, n)) end
    for round = 1, 3000 do
      local base = vectors.requests[1 + below(#vectors.requests)][2]:sub(1, 400)
      local bytes = {}
      for i = 1, #base do bytes[i] = base:sub(i, i) end
      for _ = 1, 1 + below(3) do
        local at, pick = 1 + below(#base + 1), 1 + below(#alphabet)
        bytes[at] = (below(2) == 0 and bytes[at] or "") .. alphabet:sub(pick, pick)
      end
      local text = table.concat(bytes)
      local whole = request(text)
      local cut = below(#text + 1)
      local part = request(text:sub(1, cut))
      if part.verdict ~= "more" then
        assert.same(whole, part, "seed " .. seed .. " round " .. round .. " " .. quoted(text))
      end
    end
  end)
end)
