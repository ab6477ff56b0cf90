local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
local PARENT = "00-" .. TRACE .. "-00f067aa0ba902b7-01"

-- What a request of the plan bore: the values of one field.
local function fields(head, name)
  local out = {}
  for field, value in head:gmatch "\r\n([^:\r]+): ?([^\r]*)" do
    if field:lower() == name then out[#out + 1] = value end
  end
  return out
end

describe("a trace that the client names", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("GET /plan/:name", function(req) return up:forward(req) end)
      weir.route("GET /own/:name", function(req)
        return up:request { path = "/plan/" .. req.params.name }
      end)
      weir.route("GET /any/:name", function(req)
        local url = "http://127.0.0.1:$(origin)/plan/" .. req.params.name
        return weir.http.get(url, { headers = { traceparent = req.query.traceparent } })
      end)
      weir.route("GET /id", function(req)
        weir.log.info "asked"
        return tostring(req.trace_id)
      end)
      weir.route("GET /raise", function() error "no" end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function seen(path, headers)
    local name = path:match "^/%w+/(%w+)"
    o:plan(name, { origin.answer("200 OK", "x") })
    assert.equal(200, g:get(path, headers).status)
    return o:seen(name)[1]
  end

  it("is said on as it came by forward", function()
    local head = seen("/plan/forward", { Traceparent = PARENT, Tracestate = "a=1" })
    assert.same({ PARENT }, fields(head, "traceparent"))
    assert.same({ "a=1" }, fields(head, "tracestate"))
  end)

  for _, path in ipairs { "/own/own", "/any/any" } do
    it("is said on by a script's own calls: " .. path, function()
      local head = seen(path, { Traceparent = PARENT, Tracestate = "a=1 , b=2" })
      assert.same({ PARENT }, fields(head, "traceparent"))
      assert.same({ "a=1,b=2" }, fields(head, "tracestate"))
    end)
  end

  it("is what a script says of its own call", function()
    local other = "00-" .. ("a"):rep(32) .. "-00f067aa0ba902b7-00"
    local head = seen("/any/other?traceparent=" .. other, { Traceparent = PARENT })
    assert.same({ other }, fields(head, "traceparent"))
  end)

  it("is none without a valid traceparent", function()
    assert.same({}, fields(seen("/own/none", { Traceparent = "00-x" }), "traceparent"))
    assert.same({}, fields(seen("/own/without", { Tracestate = "a=1" }), "tracestate"))
    assert.equal("nil", g:get("/id").body)
  end)

  it("is known to scripts, and in their lines, those of errors and of requests", function()
    assert.equal(TRACE, g:get("/id", { Traceparent = PARENT }).body)
    g:get("/raise", { Traceparent = PARENT })
    assert.equal("asked", g:wait_log("script.log", { trace_id = TRACE }).message)
    assert.equal("/raise", g:wait_log("script.error", { trace_id = TRACE }).route)
    assert.equal("/raise", g:wait_log("access", { trace_id = TRACE, route = "/raise" }).route)
  end)
end)
