local c, ffi = require "spec.support.c" ("http/storable.h")
local fields = require "spec.support.fields"

local MODIFIED = { "Last-Modified", "Sat, 05 Nov 1994 08:49:37 GMT" }
local COOKIES = { never = 0, public = 1, always = 2 }

-- Why a response may not be stored; nil when it may.
local function refusal(list, o)
  o = o or {}
  local headers = fields.list(list)
  local cc = ffi.new("struct wr_cache_control")
  c.wr_cache_control_read(headers, fields.slice "Cache-Control", cc)
  local rules = ffi.new("struct wr_freshness_rules",
    { is_shared = o.shared ~= false, heuristic = 0.1, heuristic_max_s = 86400, ttl_s = -1 })
  local freshness = ffi.new("struct wr_freshness")
  c.wr_freshness_read(ffi.new("struct wr_freshness_response", { status = o.status or 200,
    headers = headers, cc = cc, wall_s = 784111777 }), rules, freshness)
  local word = c.wr_storable_refusal(ffi.new("struct wr_storable_case", {
    method = fields.slice(o.method or "GET"), request = fields.list(o.request),
    target = fields.slice "/x", authority = fields.slice "a.test", status = o.status or 200,
    response = headers, cc = cc, freshness = freshness, is_shared = o.shared ~= false,
    obeys_requests = o.obeys ~= false, cookies = COOKIES[o.cookies or "public"],
  }))
  return word ~= nil and ffi.string(word) or nil
end

local function cc(value) return { "Cache-Control", value } end

local AUTH = { request = { { "Authorization", "x" } } }

describe("a response", function()
  before_each(fields.clear)

  for _, case in ipairs {
    { "max-age", { cc "max-age=1" } },
    { "s-maxage", { cc "s-maxage=1" } },
    { "a guess", { MODIFIED } },
    { "a guess that is permitted", { MODIFIED, cc "public" }, { status = 599 } },
    { "any status with explicit freshness", { cc "max-age=1" }, { status = 599 } },
    { "no-cache with a validator", { cc "no-cache", { "ETag", '"a"' } } },
    { "max-age=0 with a validator", { cc "max-age=0", { "ETag", '"a"' } } },
    { "max-age=0 that may be served stale", { cc "max-age=0, stale-if-error=5" } },
    { "private, in a private cache", { cc "private, max-age=1" }, { shared = false } },
    { "private for some fields", { cc 'private="X", max-age=1' } },
    { "Authorization, in a private cache", { cc "max-age=1" },
      { shared = false, request = AUTH.request } },
    { "Authorization with public", { cc "public, max-age=1" }, AUTH },
    { "Authorization with must-revalidate", { cc "must-revalidate, max-age=1" }, AUTH },
    { "Authorization with s-maxage", { cc "s-maxage=1" }, AUTH },
    { "must-understand, for a known status", { cc "max-age=1, must-understand, no-store" } },
    { "a cookie that is for all", { cc "public, max-age=1", { "Set-Cookie", "a" } } },
    { "a cookie that is not kept",
      { cc 'private="Set-Cookie", max-age=1', { "Set-Cookie", "a" } } },
    { "any cookie, when the policy says so", { cc "max-age=1", { "Set-Cookie", "a" } },
      { cookies = "always" } },
    { "a cookie, in a private cache", { cc "max-age=1", { "Set-Cookie", "a" } },
      { shared = false } },
    { "a POST's that is a GET's", { cc "max-age=1", { "Content-Location", "/x" } },
      { method = "POST" } },
    { "no-store of a request that is not obeyed", { cc "max-age=1" },
      { obeys = false, request = { cc "no-store" } } },
  } do
    it("is stored: " .. case[1], function() assert.is_nil(refusal(case[2], case[3])) end)
  end

  for _, case in ipairs {
    { "no-store", { cc "no-store, max-age=1" } },
    { "private", { cc "private, max-age=1" } },
    { "authorization", { cc "max-age=1" }, AUTH },
    { "set-cookie", { cc "max-age=1", { "Set-Cookie", "a" } } },
    { "set-cookie", { cc "public, max-age=1", { "Set-Cookie", "a" } }, { cookies = "never" } },
    { "must-understand", { cc "max-age=1, must-understand" }, { status = 599 } },
    { "no-freshness", {} },
    { "no-freshness", { MODIFIED }, { status = 201 } },
    { "stale", { cc "max-age=0" } },
    { "no-cache", { cc "no-cache, max-age=1" } },
    { "status", { cc "max-age=1" }, { status = 206 } },
    { "status", { cc "max-age=1" }, { status = 304 } },
    { "status", { cc "max-age=1" }, { status = 416 } },
    { "method", { cc "max-age=1" }, { method = "HEAD" } },
    { "method", { cc "max-age=1" }, { method = "POST" } },
    { "method", { MODIFIED, { "Content-Location", "/x" } }, { method = "POST" } },
    { "method", { cc "max-age=1", { "Content-Location", "/y" } }, { method = "POST" } },
    { "method", { cc "max-age=1", { "Content-Location", "/x" } }, { method = "PUT" } },
    { "request-no-store", { cc "max-age=1" }, { request = { cc "no-store" } } },
  } do
    it("is not stored: " .. case[1], function()
      assert.equal(case[1], refusal(case[2], case[3]))
    end)
  end

  it("keeps the fields that are for all, and for longer than a connection", function()
    local headers = fields.list { cc 'private="X-User", no-cache=X-New' }
    local read = ffi.new("struct wr_cache_control")
    c.wr_cache_control_read(headers, fields.slice "Cache-Control", read)
    for name, want in pairs {
      ETag = true, Date = true, ["X-Any"] = true, ["Set-Cookie"] = true, Vary = true,
      Age = false, Connection = false, ["Keep-Alive"] = false, ["Content-Length"] = false,
      ["Proxy-Authenticate"] = false, ["Proxy-Authentication-Info"] = false,
      ["x-user"] = false, ["X-New"] = false, ["X-Request-ID"] = false, ["X-Degraded"] = false,
    } do
      assert.equal(want, c.wr_storable_field(read, fields.slice(name)), name)
    end
  end)

  it("takes from a 304 all but what describes the body", function()
    local stored = fields.list { { "ETag", '"a"' }, { "A", "1" }, { "A", "2" }, { "B", "1" },
      { "Content-Encoding", "x" }, { "Content-Type", "t" } }
    assert.is_true(c.wr_storable_merge(stored, fields.list { { "a", "3" }, { "C", "4" },
      { "ETag", '"b"' }, { "Content-Encoding", "y" }, { "Content-Type", "u" },
      { "Transfer-Encoding", "z" } }))
    assert.same({ { "ETag", '"a"' }, { "B", "1" }, { "Content-Encoding", "x" }, { "a", "3" },
      { "C", "4" }, { "Content-Type", "u" } }, fields.read(stored))
  end)

  it("says when a 304 has more fields than there is room for", function()
    assert.is_false(c.wr_storable_merge(fields.list({ { "A", "1" } }, 1),
      fields.list { { "B", "2" } }))
  end)

  it("is the one that a HEAD describes unless a validator differs", function()
    local function same(a, b) return c.wr_storable_same(fields.list(a), fields.list(b)) end
    assert.is_true(same({ { "ETag", '"a"' } }, { { "ETag", '"a"' } }))
    assert.is_true(same({ { "ETag", '"a"' } }, {}))
    assert.is_false(same({ { "ETag", '"a"' } }, { { "ETag", '"b"' } }))
    assert.is_false(same({ { "ETag", '"a"' }, MODIFIED },
      { { "ETag", '"a"' }, { "Last-Modified", "x" } }))
  end)
end)
