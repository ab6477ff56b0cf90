--- A scrape in the OpenMetrics format, for who asks for it, with traces as examples of buckets.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

describe("OpenMetrics", function()
  local g

  setup(function()
    g = gateway.start { workers = 2, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local odd = weir.metrics.counter("shop_sold", 'Things "sold"')
      local size = weir.metrics.histogram("shop_size_bytes", "Sizes", {
        buckets = { 1, 10, 2.5e6 } })
      weir.policy('odd "name" \\ here', { weir.breaker {}, weir.limiter { rate = "9/s" } })
      weir.route("GET /x", function()
        odd:inc { what = 'a "b"' }
        size:observe(7)
        return "x"
      end)]] }
  end)
  teardown(function() g:stop() end)

  local function scrape(accept)
    return raw.once(g.admin_port, ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: %s\r\n"
      .. "Connection: close\r\n\r\n"):format(accept))
  end

  -- What a strict parser reads.
  local function read(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    local child = process.spawn { "/bin/sh", "-c", "spec/support/openmetrics.py <" .. path }
    local code = child:wait(30)
    os.remove(path)
    assert.equal("", child:stderr())
    assert.equal(0, code)
    return json.decode(child:stdout())
  end

  local PROMETHEUS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

  it("is for those who ask for it", function()
    local r = scrape(PROMETHEUS)
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8",
      r.headers["content-type"])
    assert.matches("\n# EOF\n$", r.body)
    for _, accept in ipairs { "*/*", "text/plain" } do
      r = scrape(accept)
      assert.equal("text/plain; version=0.0.4; charset=utf-8", r.headers["content-type"])
      assert.is_nil(r.body:find("# EOF", 1, true))
      assert.is_nil(r.body:find("trace_id", 1, true))
    end
  end)

  it("is taken by a strict parser, with the same families", function()
    g:get "/x"
    g:get "/nowhere"
    local page
    wait.for_("the metrics of a script", function()
      page = read(scrape(PROMETHEUS).body)
      return page.families.shop_sold
    end)
    local plain = scrape("text/plain").body
    for name, kind in plain:gmatch "\n# TYPE ([%w_]+) (%a+)" do
      local base = name:gsub("_total$", "")
      if kind == "counter" then
        assert.is_truthy(page.families[base] == "counter" or page.families[name] == "unknown", name)
      else
        assert.equal(kind, page.families[name])
      end
    end
    assert.equal("unknown", page.families.shop_sold)
    assert.equal("counter", page.families.weir_responses)
    -- Another family is called weir_tunnels.
    assert.equal("unknown", page.families.weir_tunnels_total)
  end)

  it("has the trace of a request as the example of its bucket", function()
    g:get("/x", { traceparent = "00-" .. TRACE .. "-00f067aa0ba902b7-01" })
    local found
    wait.for_("the exemplar", function()
      found = read(scrape(PROMETHEUS).body).exemplars[1]
      return found
    end)
    assert.equal("http_server_request_duration_seconds_bucket", found.name)
    assert.same({ trace_id = TRACE }, found.of)
    assert.equal("/x", found.labels.http_route)
    assert.is_true(found.value <= (tonumber(found.labels.le) or 1 / 0))
    g:get("/x", { traceparent = "00-" .. ("0"):rep(31) .. "1-00f067aa0ba902b7-00" })
    for _, exemplar in ipairs(read(scrape(PROMETHEUS).body).exemplars) do
      assert.equal(TRACE, exemplar.of.trace_id) -- not one that nobody has recorded
    end
  end)
end)
