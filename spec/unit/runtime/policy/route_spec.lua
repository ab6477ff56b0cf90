local c, ffi = require "spec.support.c" ("policy/route.h", "base/rng.h")

local function str(text)
  return ffi.new("struct wr_str", text, text and #text or 0)
end

local function text(s)
  return ffi.string(s.ptr, s.len)
end

-- A table of routes with their own text as place and their number as target.
local function new_table()
  local handle = ffi.gc(c.wr_route_table_new(), c.wr_route_table_free)
  local t, err, count = {}, ffi.new("struct wr_error"), 0

  function t.add(pattern, host, place)
    count = count + 1
    local target = ffi.cast("void *", count)
    place = place or "spec.lua:" .. count
    if c.wr_route_add(handle, ffi.new("struct wr_route_new", host, pattern, place, target),
      err) then
      return true
    end
    count = count - 1
    assert.equal("invalid", ffi.string(c.wr_error_name(err.kind)))
    return nil, ffi.string(err.message)
  end

  -- The number of the route and its parameters; or nil and the Allow text, false without the path.
  function t.find(method, path, host)
    local found = ffi.new("struct wr_route_found")
    local verdict = c.wr_route_find(handle, str(method), str(host), str(path), found)
    if verdict == c.WR_ROUTE_NO_PATH then return nil, false end
    if verdict == c.WR_ROUTE_NO_METHOD then return nil, ffi.string(found.allow) end
    local params = {}
    for i = 0, tonumber(found.count) - 1 do
      params[text(found.params[i].name)] = text(found.params[i].value)
    end
    return tonumber(ffi.cast("intptr_t", found.target)), params, text(found.pattern)
  end

  t.handle = handle
  return t
end

local function table_of(patterns)
  local t = new_table()
  for _, pattern in ipairs(patterns) do assert(t.add(pattern)) end
  return t
end

describe("route", function()
  it("prefers a literal to a parameter to a wildcard, segment by segment", function()
    local t = table_of {
      "/users/:id", "/users/me", "/*rest", "/users/:id/posts", "/users/*below", "/",
    }
    local cases = {
      { "/users/me", 2, {} }, { "/users/42", 1, { id = "42" } }, { "/", 6, {} },
      { "/users/42/posts", 4, { id = "42" } },
      { "/users/me/posts", 4, { id = "me" }, "the literal fails deeper, the parameter is tried" },
      { "/users/42/likes", 5, { below = "42/likes" }, "both fail deeper, the wildcard is tried" },
      { "/users/", 5, { below = "" }, "a wildcard may take nothing, a parameter may not" },
      { "/users", 3, { rest = "users" }, "a wildcard needs its slash" },
      { "/other/a/b", 3, { rest = "other/a/b" } },
      { "/users/42/", 5, { below = "42/" }, "a last slash makes another path" },
    }
    for _, case in ipairs(cases) do
      local route, params = t.find("GET", case[1])
      assert.equal(case[2], route, case[1])
      assert.same(case[3], params, case[1])
    end
  end)

  it("tells a path without a route from one without the method", function()
    local t = table_of { "GET /x", "POST,DELETE /x", "PURGE /x", "PUT /:any", "POST /only" }
    local cases = {
      { "GET", "/x", 1 }, { "DELETE", "/x", 2 }, { "PURGE", "/x", 3 },
      { "PUT", "/x", 4, "a path known with other methods only is searched on" },
      { "PATCH", "/x", nil, "GET, HEAD, POST, PUT, DELETE, PURGE" },
      { "BREW", "/x", nil, "GET, HEAD, POST, PUT, DELETE, PURGE" },
      { "GET", "/only", nil, "POST, PUT" },
      { "get", "/x", nil, "GET, HEAD, POST, PUT, DELETE, PURGE" },
      { "GET", "/x/y", nil, false }, { "GET", "/", nil, false },
      { "OPTIONS", "*", nil, false }, { "GET", "", nil, false },
    }
    for _, case in ipairs(cases) do
      local route, allow = t.find(case[1], case[2])
      assert.equal(case[3], route, case[1] .. " " .. case[2])
      if not route then assert.equal(case[4], allow, case[1] .. " " .. case[2]) end
    end
  end)

  it("answers HEAD with its own route, then GET's, then that of every method", function()
    local t = table_of { "HEAD,GET /a", "GET /b", "* /b", "/c", "GET /d", "HEAD /d" }
    local expected = { ["/a"] = 1, ["/b"] = 2, ["/c"] = 4, ["/d"] = 6 }
    for path, route in pairs(expected) do assert.equal(route, (t.find("HEAD", path)), path) end
    assert.equal(3, (t.find("BREW", "/b")))
  end)

  it("looks at the exact host, then at the longest suffix, then at any host", function()
    local t = new_table()
    assert(t.add("/any"))
    assert(t.add("/x"))
    assert(t.add("/x", "example.com"))
    assert(t.add("/x", "*.example.com"))
    assert(t.add("/x", "*.Deep.example.com"))
    assert(t.add("POST /any", "Example.com"))
    assert(t.add("/x", "[::1]"))
    local cases = {
      { "example.com", 3 }, { "EXAMPLE.com.", 3 }, { "a.example.com", 4 }, { "a.b.example.com", 4 },
      { "a.deep.example.com", 5 }, { "deep.example.com", 4 }, { "badexample.com", 2 },
      { "[::1]", 7 },
      { "com", 2 }, { ".example.com", 2 }, { "*.example.com", 2 }, { "", 2 }, { nil, 2 },
      { ("a."):rep(200) .. "example.com", 2 },
    }
    for i = 1, 14 do
      local case = cases[i]
      assert.equal(case[2], (t.find("GET", "/x", case[1])), tostring(case[1]))
    end
    assert.equal(1, (t.find("GET", "/any", "example.com")), "its own route lacks the method")
    assert.equal(6, (t.find("POST", "/any", "example.com")))
  end)

  it("refuses routes in conflict and names both places", function()
    local cases = {
      { "GET /x", "GET /x", "the method has that path already" },
      { "GET,POST /x", "DELETE,POST /x", "the method has that path already" },
      { "/x", "* /x", "the method has that path already" },
      { "GET /u/:id/a", "POST /u/:user/a", "the path is the same but for its parameters' names" },
      { "GET /f/*path", "POST /f/*", "the path is the same but for its parameters' names" },
    }
    for _, case in ipairs(cases) do
      local t = new_table()
      assert(t.add(case[1], nil, "a.lua:3"))
      local ok, message = t.add(case[2], nil, "b.lua:14")
      assert.is_nil(ok, case[2])
      local path = "%'" .. case[2]:match("/.*"):gsub("%*", "%%*") .. "%'"
      assert.matches("^b.lua:14: route " .. path .. " conflicts with .* at a.lua:3: ", message)
      assert.equal(case[3], message:match "at a.lua:3: (.*)$")
      assert.equal(1, tonumber(c.wr_route_count(t.handle)), "nothing was changed")
    end
  end)

  it("accepts what only looks like a conflict", function()
    local t = new_table()
    for _, pattern in ipairs {
      "GET /x", "* /x", "POST /x", "GET /x/", "GET /:p", "GET /*p", "GET /:id/x", "GET /:p/y",
    } do
      assert(t.add(pattern))
    end
    assert(t.add("GET /x", "a.com"))
    assert(t.add("GET /x", "*.a.com"))
    assert.is_nil(t.add("GET /x", "A.com"))
  end)

  it("names the rule and the column of a pattern that it cannot read", function()
    local cases = {
      { "", 1, "a path that starts with '/' is missing" },
      { "GET", 4, "a path that starts with '/' is missing" },
      { "GET/x", 4, "a space belongs between methods and path" },
      { " /x", 1, "white space before the path" },
      { "get /x", 1, "methods are written in capitals" },
      { "GET POST /x", 4, "methods are separated by commas" },
      { "GET, /x", 5, "a method is missing here" },
      { "GET,* /x", 5, "'*' means every method and stands alone" },
      { "GET,GET /x", 5, "the method is named twice" },
      { "GE:T /x", 3, "this cannot be part of a method" },
      { "GET /a//b", 8, "empty segments are merged in paths" },
      { "GET /a/../b", 8, "dot segments are removed from paths or refused" },
      { "GET /a/..;x/b", 8, "dot segments are removed from paths or refused" },
      { "GET /a/:/b", 9, "a parameter needs a name" },
      { "GET /a/:1", 9, "a name does not start with a digit" },
      { "GET /a/:id.json", 11,
        "a name consists of letters, digits and '_', and takes its whole segment" },
      { "GET /a/x:id", 9, "a parameter takes a whole segment" },
      { "GET /a/*x/b", 8, "a wildcard ends its path" },
      { "GET /a/x*", 9, "a wildcard takes the whole last segment" },
      { "GET /:a/:a", 10, "the name is used twice" },
      { "GET /a?b", 7, "a route matches the path only, not the query" },
      { "GET /a b", 7, "a path has no spaces (an escaped one is %20)" },
      { "GET /\195\188", 6, "this byte is escaped in paths" },
      { "GET /%6", 6, "an escape is '%' and two digits 0-9 A-F" },
      { "GET /%c3%bc", 6, "an escape is '%' and two digits 0-9 A-F" },
      { "GET /%41", 6, "this byte is not escaped in a normal path" },
      { "GET /%2F", 6, "requests with this escape are refused" },
      { "GET /" .. ("a/"):rep(32), 70, "a path has at most 32 segments" },
      { "GET /" .. ("a"):rep(1100), 1025, "a route has at most 1024 bytes" },
      { ("A"):rep(25) .. " /", 1, "a method has at most 24 letters" },
    }
    local many = {}
    for i = 1, 17 do many[i] = ":p" .. i end
    local path = "/" .. table.concat(many, "/")
    cases[#cases + 1] = { path, path:find("p17", 1, true), "a path has at most 16 parameters" }
    for _, case in ipairs(cases) do
      local ok, message = new_table().add(case[1], nil, "shop.lua:7")
      assert.is_nil(ok, case[1])
      local wanted = "shop.lua:7: route '%s', column %d: %s"
      assert.equal(wanted:format(case[1]:sub(1, 60), case[2], case[3]), message)
    end
  end)

  it("names the rule and the column of a host that it cannot read", function()
    local cases = {
      { "", 1, "a label of the host is missing" }, { "*.", 3, "a label of the host is missing" },
      { "a..b", 3, "a label of the host is missing" },
      { "a.com:80", 6, "a host is written without a port" },
      { "a.*.com", 3, "a wildcard is the whole first label: *.example.com" },
      { "*a.com", 1, "a wildcard is the whole first label: *.example.com" },
      { "a.com.", 6, "a host is written without its last dot" },
      { "a b", 2, "this cannot be part of a host" },
      { "[::1", 5, "an address in brackets ends with ']'" },
      { "[::1]:80", 6, "a host is written without a port" },
      { "[::g]", 4, "this cannot be part of an IPv6 address" },
      { ("a"):rep(254), 255, "a host has at most 253 bytes" },
    }
    for _, case in ipairs(cases) do
      local ok, message = new_table().add("/x", case[1], "p")
      assert.is_nil(ok, case[1])
      local wanted = "p: host '%s', column %d: %s"
      assert.equal(wanted:format(case[1]:sub(1, 60), case[2], case[3]), message)
    end
  end)

  it("lets a table name 24 different methods", function()
    local t = new_table()
    for i = 1, 17 do assert(t.add("M" .. i .. " /x")) end
    local ok, message = t.add("M18 /x", nil, "p")
    assert.is_nil(ok)
    assert.equal("p: the routes name more than 24 methods", message)
    assert(t.add("M17,GET /y"))
    local _, allow = t.find("POST", "/x")
    assert.equal(
      "M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11, M12, M13, M14, M15, M16, M17", allow)
  end)

  it("takes 16 parameters, the last of them a wildcard", function()
    local names = {}
    for i = 1, 15 do names[i] = ":p" .. i end
    local prefix = "/" .. table.concat(names, "/")
    local t = table_of { prefix .. "/*p16", prefix .. "/:last" }
    local route, params = t.find("GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17")
    assert.equal(1, route)
    for i = 1, 15 do assert.equal(tostring(i), params["p" .. i]) end
    assert.equal("16/17", params.p16)
  end)

  it("lists its routes in the order of their declaration", function()
    local t = new_table()
    assert(t.add("POST, GET /x/:id", "*.a.com", "a.lua:1"))
    assert(t.add("/y", nil, "b.lua:2"))
    local row = ffi.new("struct wr_route_row")
    assert.is_true(c.wr_route_row(t.handle, 0, row))
    assert.equal("*.a.com", ffi.string(row.host))
    assert.equal("/x/:id", ffi.string(row.path))
    assert.equal("GET,POST", ffi.string(row.methods))
    assert.equal("a.lua:1", ffi.string(row.place))
    assert.is_true(c.wr_route_row(t.handle, 1, row))
    assert.is_true(row.host == nil)
    assert.equal("*", ffi.string(row.methods))
    assert.is_false(c.wr_route_row(t.handle, 2, row))
  end)

  -- Literal and parameter side by side at each of twelve segments: the most to take back.
  it("takes all choices back in a full tree before it says no", function()
    local t = new_table()
    for i = 0, 4095 do
      local parts = {}
      for bit = 0, 11 do
        parts[#parts + 1] = math.floor(i / 2 ^ bit) % 2 == 0 and "a" or ":p" .. bit
      end
      assert(t.add((i == 4095 and "POST /" or "GET /") .. table.concat(parts, "/")))
    end
    assert.equal(4096, (t.find("POST", ("/a"):rep(12))), "the last one to be tried")
    local _, allow = t.find("PUT", ("/a"):rep(12))
    assert.equal("GET, HEAD, POST", allow)
    local _, known = t.find("GET", ("/a"):rep(13))
    assert.is_false(known)
  end)

  -- What the header says, without a tree: all routes are tried and the best is taken.
  local function naive(routes, method, path)
    local best, best_rank
    local known = false
    for number, route in ipairs(routes) do
      local rank, params, rest = "", {}, path:sub(2)
      local matches = true
      for _, part in ipairs(route.parts) do
        if part:sub(1, 1) == "*" then
          if rest == nil then matches = false break end
          rank, params[part:sub(2)], rest = rank .. "2", rest, nil
          break
        end
        if rest == nil then matches = false break end
        local segment = rest:match "^[^/]*"
        rest = rest:sub(#segment + 1)
        if rest == "" then rest = nil else rest = rest:sub(2) end
        if part:sub(1, 1) == ":" then
          if segment == "" then matches = false break end
          rank, params[part:sub(2)] = rank .. "1", segment
        elseif part == segment then
          rank = rank .. "0"
        else
          matches = false
          break
        end
      end
      if matches and rest == nil then
        known = true
        local fits = route.method == method and "0"
          or method == "HEAD" and route.method == "GET" and "1"
          or route.method == "*" and "2"
        if fits and (not best_rank or rank .. "." .. fits < best_rank) then
          best, best_rank = { number, params }, rank .. "." .. fits
        end
      end
    end
    return best, known
  end

  it("finds what a search of all routes finds", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local function pick(list) return list[tonumber(c.wr_rng_below(rng, #list)) + 1] end
    local found, missed, refused = 0, 0, 0
    for round = 1, 150 do
      local t, routes = new_table(), {}
      for _ = 1, tonumber(c.wr_rng_below(rng, 30)) + 1 do
        local route = { method = pick { "GET", "POST", "HEAD", "*" }, parts = {} }
        local length = tonumber(c.wr_rng_below(rng, 5)) + 1
        for i = 1, length do
          local part = pick { "a", "b", "ab", ":p" .. i }
          if i == length then part = pick { part, part, "*w", "" } end
          route.parts[i] = part
        end
        local pattern = route.method .. " /" .. table.concat(route.parts, "/")
        if t.add(pattern) then routes[#routes + 1] = route else refused = refused + 1 end
      end
      for _ = 1, 60 do
        local segments = {}
        for i = 1, tonumber(c.wr_rng_below(rng, 6)) + 1 do
          segments[i] = pick { "a", "b", "ab", "c" }
        end
        local path = "/" .. table.concat(segments, "/") .. pick { "", "", "/" }
        local method = pick { "GET", "POST", "HEAD", "PUT" }
        local expected, known = naive(routes, method, path)
        local note = ("seed %d round %d: %s %s"):format(seed, round, method, path)
        local route, params = t.find(method, path)
        assert.equal(expected and expected[1], route, note)
        if expected then
          found = found + 1
          assert.same(expected[2], params, note)
        else
          missed = missed + 1
          assert.equal(known, params ~= false, note)
        end
      end
    end
    assert.is_true(found > 1000 and missed > 1000 and refused > 10, "a telling sample: " .. seed)
  end)
end)
