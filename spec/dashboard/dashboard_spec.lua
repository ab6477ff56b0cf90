--- The dashboard in a real Chromium: what it shows is what happens, and what it does was asked for.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local guarded = weir.policy("pay", { weir.breaker { min_calls = 5, open = "60s" },
    weir.bulkhead { max = 4 } })
  weir.flag("new <basket>", { percent = 25 })
  weir.route("GET /fail", function()
    return guarded(function() return nil, weir.error("reset", "no luck") end)
  end)
  weir.route("GET /go-on", function() return "on" end)
  weir.route("GET /pay", function() return guarded(function() return "paid" end) end)
]]

describe("the dashboard", function()
  local g, operator

  local function ask(method, path)
    return raw.once(g.admin_port, gateway.head(method, path, { Host = "127.0.0.1",
      Connection = "close" }, ""))
  end

  setup(function()
    g = gateway.start { workers = 1, SCRIPT }
    g:expect "admin.action"
    g:expect "breaker.transition"
  end)
  teardown(function()
    if operator then operator:kill() end
    g:stop()
  end)

  it("is served under a strict policy, and only read", function()
    local page = ask("GET", "/")
    assert.equal(200, page.status)
    assert.equal("text/html; charset=utf-8", page.headers["content-type"])
    assert.matches("default%-src 'none'", page.headers["content-security-policy"])
    assert.is_nil(page.headers["content-security-policy"]:find "unsafe")
    assert.equal("nosniff", page.headers["x-content-type-options"])
    local script = ask("GET", "/dashboard/main.js")
    assert.equal("text/javascript; charset=utf-8", script.headers["content-type"])
    assert.equal(405, ask("POST", "/").status)
    for _, path in ipairs { "/dashboard", "/dashboard/", "/dashboard/x.js", "/dashboard/../x" } do
      assert.equal(404, ask("GET", path).status, path)
    end
  end)

  it("shows a breaker that traffic opens, and orders what its operator confirms", function()
    operator = process.spawn { "/usr/bin/env", "node", "--no-warnings",
      "spec/dashboard/operator.mjs", ("http://127.0.0.1:%d/"):format(g.admin_port) }
    operator:line("closed\n", 60)
    repeat g:get "/fail" until g:breaker("pay").state == "open"
    operator:line("open\n", 60)
    operator:line("cancelled\n", 60)
    assert.equal("open", g:breaker("pay").state)
    assert.same({}, g:log("admin.action", { action = "/breakers/close" }))
    g:get "/go-on"
    operator:line("forced\n", 60)
    assert.equal("forced_closed", g:breaker("pay").mode)
    assert.equal(200, g:get("/pay").status)
    operator:line("auto\n", 60)
    assert.equal("normal", g:breaker("pay").mode)
    local report = json.decode((operator:line("report ([^\n]+)\n", 60)))

    assert.matches("OK", report.state)
    assert.matches("DEGRADED", report.degraded)
    assert.matches("breaker pay open", report.reason)
    assert.matches("closed → open, failure rate, 5 calls, 100 %% failed", report.last)
    assert.matches("Close breaker pay%?", report.asked)
    assert.matches("Admit every call", report.asked)
    assert.equal("ask-no", report.focus)
    assert.equal("Close breaker pay", report.refocus)
    assert.equal("breaker 'pay': admits every call until `auto`", report.said)
    assert.matches("GET /fail → 502", report.explained)
    assert.matches("admission.*pay.*admitted", report.explained)
    for where, found in pairs(report.axe) do assert.same({}, found, where) end
    assert.not_equal("rgb(244, 246, 248)", report.ground) -- dark is another
    assert.is_nil(report.motion:find "width")
    assert.is_false(report.isWide)
    assert.matches("new <basket>", report.plain)
    -- Of the request that nobody made.
    assert.equal(1, #report.errors, table.concat(report.errors, "\n"))
    assert.matches("404", report.errors[1])

    local size, files = 0, 0
    for _, bytes in pairs(report.bytes) do size, files = size + bytes, files + 1 end
    assert.is_true(files >= 8, files)
    assert.is_true(size < 100 * 1024, size .. " bytes")
    local own = ("http://127.0.0.1:%d/"):format(g.admin_port)
    for _, url in ipairs(report.requests) do
      assert.is_true(url:sub(1, #own) == own or url:find "^data:" == 1, url)
    end
  end)

  it("asks its user for the token, and shows when it is left alone", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "a-token-of-some-length"
    file:close()
    assert(os.execute("chmod 600 " .. path) == 0)
    local own = gateway.start { workers = 1, admin_token_file = path,
      token = "a-token-of-some-length", SCRIPT }
    operator = process.spawn { "/usr/bin/env", "node", "--no-warnings", "spec/dashboard/watch.mjs",
      ("http://127.0.0.1:%d/"):format(own.admin_port), "a-token-of-some-length" }
    operator:line("OK live\n", 60)
    own:stop()
    operator:line("OK away\n", 60)
    operator:kill()
    os.remove(path)
  end)

  it("names no other place in its files", function()
    for _, path in ipairs(require("spec.lint.tree").files "^runtime/admin/dashboard/") do
      for url in require("spec.lint.tree").read(path):gmatch "[%w]+://[^%s\"'`)]+" do
        assert.equal("http://www.w3.org/2000/svg", url, path) -- a name, which nobody asks
      end
    end
  end)
end)
