--- When a response ends for the script that holds it: one whose body passes is over when its
--- handler has returned it, one that is whole may be the answer again.
local gateway = require "spec.support.gateway"
local heap = require "spec.support.heap"
local origin = require "spec.support.origin"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

describe("a response", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local kept, made = {}, weir.response(203, "made")
      weir.route("GET /run", function(req) kept.r = up:forward(req) return kept.r end)
      weir.route("GET /text", function(req)
        kept.r = up:forward(req, { path = req.target:gsub("text", "run") })
        kept.r:text()
        return kept.r
      end)
      weir.route("GET /buffered", function()
        kept.r = up:get("/run?send:HTTP/1.1%20200%20OK%0D%0AContent-Length:%203%0D%0A%0D%0Aabc")
        return kept.r
      end)
      weir.route("GET /made", function() kept.r = made return made end)
      weir.route("GET /again", function() return kept.r end)
      weir.route("GET /status", function() return tostring(kept.r.status) end)
      weir.route("GET /field", function() return kept.headers:get "X-A" end)
      weir.route("GET /keep-fields", function(req)
        kept.r = up:forward(req, { path = req.target:gsub("keep%-fields", "run") })
        kept.headers = kept.r.headers
        return kept.r
      end)
      weir.route("GET /name", function() return tostring(kept.r) end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local ANSWER = origin.target { origin.answer("200 OK", "hello", "X-A: 1\r\n") }

  local function raises(path, words)
    local function told() return g:log("script.error", { route = path:match "[^?]+" }) end
    local before = #told()
    assert.equal(500, g:get(path).status)
    wait.for_("it to be told", function() return #told() > before end)
    local message = told()[before + 1].message
    assert.is_truthy(message:find(words, 1, true), message)
  end

  it("that was forwarded is over when its handler has returned it", function()
    assert.equal("hello", g:get(ANSWER).body)
    raises("/status", "this response is over: its client has it")
    raises("/again", "returned a response that another client has had")
    assert.equal("response that is over", g:get("/name").body)
  end)

  it("takes its headers along", function()
    assert.equal(200, g:get((ANSWER:gsub("run", "keep-fields"))).status)
    raises("/field", "these headers belong to an exchange that is over")
  end)

  it("is for one request while it flows", function()
    local c = g:begin("GET", origin.target {
      "send:HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "until:second", "send: whole" })
    assert.equal("10", c:head().headers["content-length"])
    assert.equal(500, g:get("/again").status)
    raises("/status", "this response is over: its client has it")
    o:release "second"
    assert.equal("half whole", c:read(10))
    c:close()
  end)

  it("may be the answer again when a script has it whole", function()
    for _, path in ipairs { (ANSWER:gsub("run", "text")), "/buffered", "/made" } do
      local first = g:get(path)
      for _ = 1, 3 do
        local again = g:get "/again"
        assert.same({ first.status, first.body }, { again.status, again.body })
      end
      assert.equal(tostring(first.status), g:get("/status").body)
    end
  end)

  -- The collector does not know what hangs on a handle: thousands waited for it, with 5 KiB each.
  it("leaves no memory behind for the collector to find", function()
    if not heap.is_countable() then return end
    local function send(count)
      local c = raw.connect(g.port)
      for _ = 1, count do
        c:send("GET " .. ANSWER .. " HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal(200, c:response().status)
      end
      c:close()
    end
    send(500)
    local pid = g:pids()[1]
    local before = heap.pss(pid)
    send(2000)
    local more = heap.pss(pid) - before
    -- The rings of the journal fill meanwhile: a part of a megabyte.
    assert.is_true(more < 4000 * 1024, more .. " bytes more")
  end)
end)
