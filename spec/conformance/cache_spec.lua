-- The most telling cases of npm's http-cache-tests in our own words, through the shipped policy, so
-- that no network is needed. scripts/conformance cache runs the suite itself.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local function date(name, seconds)
  return name .. ": " .. os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
end

-- The fields of the first response, and what becomes of a second request: "reuse" answers it from
-- the store, "validate" asks with the stored tag, "ask" asks anew.
local CASES = {
  { "reuse", { "Cache-Control: max-age=3600" } },
  { "reuse", { "Cache-Control: MaX-aGe=3600" } },
  { "reuse", { "Cache-Control: foobar, max-age=3600" } },
  { "reuse", { "Cache-Control: max-age=003600" } },
  { "reuse", { "Cache-Control: max-age=99999999999" } },
  { "reuse", { "Cache-Control: s-maxage=3600, max-age=0", date("Expires", -10) } },
  { "reuse", { "Cache-Control: max-age=3600", "Expires: 0" } },
  { "reuse", { date("Expires", 600), date("Date", 0) } },
  { "reuse", { date("Expires", 600), "Date: foo" } },
  { "reuse", { date("Last-Modified", -86400), date("Date", 0) } },
  { "reuse", { date("Last-Modified", -86400), date("Date", 0) }, status = "404 Not Found" },
  { "reuse", { "Cache-Control: max-age=60" }, status = "500 Oh" },
  { "reuse", { "Cache-Control: max-age=60" }, status = "599 What" },
  { "reuse", { "Cache-Control: max-age=60, must-revalidate", 'ETag: "a"' } },
  { "reuse", { "Surrogate-Control: max-age=60", "Cache-Control: no-cache" } },
  { "ask", {} },
  { "ask", { "Cache-Control: max-age=0" } },
  { "ask", { "Cache-Control: max-age=-3600" } },
  { "ask", { "Cache-Control: max-age='3600'" } },
  { "ask", { 'Cache-Control: extension="max-age=3600"' } },
  { "ask", { "Cache-Control: max-age=3600, s-maxage=0" } },
  { "ask", { "Cache-Control: No-StOrE, max-age=60" } },
  { "ask", { "Cache-Control: private, max-age=60" } },
  { "ask", { "Cache-Control: no-cache, max-age=60" } },
  { "ask", { "Cache-Control: max-age=60", "Age: 7200" } },
  { "ask", { "Cache-Control: max-age=60", "Age: abc" } },
  { "ask", { "Cache-Control: max-age=60", "Age: 0, 0" } },
  { "ask", { "Cache-Control: max-age=60", "Age: 7200;a=b" } },
  { "ask", { "Cache-Control: max-age=60", date("Date", -7200) } },
  { "ask", { date("Expires", -600), date("Date", 0) } },
  { "ask", { date("Expires", 300), date("Date", 400) } },
  { "ask", { "Expires: 0", date("Date", 0) } },
  { "ask", { "Cache-Control: max-age=60, must-understand" }, status = "599 What" },
  { "ask", { date("Last-Modified", -86400), date("Date", 0) }, status = "201 Created" },
  { "ask", { date("Last-Modified", -86400), date("Date", 0) }, status = "403 Forbidden" },
  { "ask", { "Cache-Control: max-age=60", "Vary: *" } },
  { "ask", { "Cache-Control: max-age=60", "Vary: Foo, *" } },
  { "ask", { "Surrogate-Control: no-store", "Cache-Control: max-age=60" } },
  { "validate", { "Cache-Control: no-cache", 'ETag: "a"' } },
  { "validate", { "Cache-Control: max-age=0, must-revalidate", 'ETag: "a"' } },
  { "validate", { "Cache-Control: max-age=60", "Age: 60", 'ETag: W/"a"' } },
  { "validate", { date("Expires", -5), date("Date", 0), 'ETag: "a"' } },
}

describe("http-cache-tests says of", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      local http_cache = require "weir.policies.http_cache"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("/plan/*path", http_cache.handle {
        name = "http", upstream = up, max = 0 })
    ]] }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  for i, case in ipairs(CASES) do
    local want, list = case[1], case[2]
    it(("%s %s: %s"):format(case.status or "200", table.concat(list, ", "), want), function()
      local name = "k" .. i
      local fields = table.concat(list, "\r\n") .. (#list > 0 and "\r\n" or "")
      local tag = fields:match 'ETag: ([^\r]+)'
      o:plan(name, { origin.answer(case.status or "200 OK", "one", fields),
        origin.answer("200 OK", "two", "") })
      assert.equal("one", g:get("/plan/" .. name).body)
      assert.equal(want == "reuse" and "one" or "two", g:get("/plan/" .. name).body)
      local heads = o:seen(name)
      assert.equal(want == "reuse" and 1 or 2, #heads)
      if #heads == 2 then
        assert.equal(want == "validate" and tag or nil, heads[2]:match "If%-None%-Match: ([^\r]+)")
      end
    end)
  end
end)
