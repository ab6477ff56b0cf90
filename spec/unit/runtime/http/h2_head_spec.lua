local c, ffi = require "spec.support.c" ("http/h2_head.h")
local fields = require "spec.support.fields"

local FRAMING = { [0] = "none", "length", "chunked", "close" }

local function limits(options)
  local l = ffi.new("struct wr_parser_limits", { 32768, 8192, 100 })
  for key, value in pairs(options or {}) do l[key] = value end
  return l
end

-- Fills a head field by field and reads it: the status (0: fine), the fault, what it is.
local function read(list, options)
  options = options or {}
  local h, l = ffi.new "struct wr_h2_head", limits(options.limits)
  c.wr_h2_head_init(h, fields.region, l)
  local fits = true
  for _, field in ipairs(list) do
    fits = c.wr_h2_head_add(h, fields.slice(field[1]), fields.slice(field[2])) and fits
  end
  for _, field in ipairs(options.dropped or {}) do
    fits = c.wr_h2_head_drop(h, fields.slice(field[1]), fields.slice(field[2])) and fits
  end
  local head, fault = ffi.new "struct wr_head", ffi.new "const char *[1]"
  local status = c.wr_h2_head_read(h, options.has_body or false, head, fault)
  local r = { status = status, fits = fits, fields = fields.read(head.headers),
    framing = FRAMING[tonumber(head.framing)], length = tonumber(head.content_length),
    expects = head.expect_continue, fault = fault[0] ~= nil and ffi.string(fault[0]) or nil }
  for _, name in ipairs { "method", "target", "path", "query", "host" } do
    r[name] = fields.text(head[name])
  end
  return r
end

local function get(...)
  return { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/a?b" },
    { ":authority", "Shop.Example:80" }, ... }
end

-- The same with one of its fields changed.
local function changed(name, value)
  local list = get()
  for _, field in ipairs(list) do
    if field[1] == name then field[2] = value end
  end
  return list
end

describe("a head of HTTP/2", function()
  before_each(fields.clear)

  it("becomes what HTTP/1 would have made of it", function()
    local r = read(get({ "x-a", "1" }, { "x-b", "2" }, { "x-a", "3" }))
    assert.same({ 0, "GET", "/a?b", "/a", "b", "shop.example", "none" },
      { r.status, r.method, r.target, r.path, r.query, r.host, r.framing })
    assert.same({ { "x-a", "1" }, { "x-b", "2" }, { "x-a", "3" }, { "host", "Shop.Example:80" } },
      r.fields)
  end)

  it("has one cookie, behind the others, of all its crumbs", function()
    local r = read(get({ "cookie", "a=1" }, { "x", "y" }, { "cookie", "" }, { "cookie", "b=2" }))
    assert.same({ "cookie", "a=1; ; b=2" }, r.fields[#r.fields])
  end)

  it("is framed by its length, or by the end of its stream", function()
    local r = read(get({ "content-length", "7" }), { has_body = true })
    assert.same({ "length", 7 }, { r.framing, r.length })
    assert.equal("chunked", read(get(), { has_body = true }).framing)
    assert.equal("none", read(get(), { has_body = false }).framing)
  end)

  it("expects 100 only when a body comes", function()
    local expect = { "expect", "100-continue" }
    assert.is_true(read(get(expect), { has_body = true }).expects)
    assert.is_false(read(get(expect), { has_body = false }).expects)
  end)

  it("drops names with an underscore, which are nobody's", function()
    assert.same({ { "x", "y" }, { "host", "Shop.Example:80" } },
      read(get({ "x_forwarded_for", "6.6.6.6" }, { "x", "y" })).fields)
  end)

  it("has nothing of fields that are dropped, which count all the same", function()
    local dropped = { { "host", "b" }, { "cookie", "c=d" }, { "x", "y" } }
    local r = read(get(), { dropped = dropped })
    assert.same({ 0, { { "host", "Shop.Example:80" } } }, { r.status, r.fields })
    local many = {}
    for i = 1, 40 do many[i] = { "x", ("y"):rep(8000) } end
    assert.is_false(read(get(), { dropped = many }).fits)
  end)

  it("takes a host for an authority, and both when they say the same", function()
    local without = { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/" } }
    without[4] = { "host", "A.example:443" }
    assert.equal("a.example", read(without).host)
    local both = get({ "host", "shop.example" })
    assert.equal("shop.example", read(both).host)
    local count = 0
    for _, field in ipairs(read(both).fields) do
      if field[1] == "host" then count = count + 1 end
    end
    assert.equal(1, count)
  end)

  for _, case in ipairs {
    { 400, "not a token", changed(":method", "G T") },
    { 400, "scheme", changed(":scheme", "ftp") },
    { 400, "empty", changed(":path", "") },
    { 400, "escaped", changed(":path", "/a b") },
    { 400, "neither", changed(":path", "http://a/") },
    { 400, "neither :authority nor host", { { ":method", "GET" }, { ":scheme", "http" },
      { ":path", "/" } } },
    { 400, "host differs", get({ "host", "other" }) },
    { 400, "pseudo field", get({ ":proto", "x" }) },
    { 400, "token", get({ "x y", "1" }) },
    { 400, "control", get({ "x", "a\1" }) },
    { 400, "", get({ "content-length", "1" }, { "content-length", "2" }) },
    { 400, "", get({ "content-length", "-1" }) },
    { 414, "target", changed(":path", "/" .. ("a"):rep(8192)) },
    { 431, "field is too long", get({ "x", ("y"):rep(8192) }) },
  } do
    it(("is refused with %d: %s"):format(case[1], case[2]), function()
      local r = read(case[3])
      assert.equal(case[1], r.status)
      assert.is_truthy(r.fault:find(case[2], 1, true), r.fault)
    end)
  end

  it("has limits for its fields, its bytes, and what is past all measure", function()
    local list = get()
    for i = 1, 100 do list[#list + 1] = { "x-" .. i, "y" } end
    assert.equal(0, read(list).status)
    list[#list + 1] = { "cookie", "a=b" }
    assert.equal(431, read(list).status)
    assert.equal(431, read(get({ "a", ("y"):rep(500) }, { "b", ("y"):rep(500) }),
      { limits = { head_max = 1000 } }).status)
    local much = get()
    for i = 1, 40 do much[#much + 1] = { "x-" .. i, ("y"):rep(8000) } end
    local r = read(much)
    assert.same({ 431, false }, { r.status, r.fits })
    -- Whom to answer is known nevertheless.
    assert.equal("GET", r.method)
  end)

  it("keeps the first fault", function()
    local r = read(get({ "x y", "1" }, { "z", ("y"):rep(9000) }))
    assert.same({ 400, "a field name is not a token" }, { r.status, r.fault })
  end)
end)
