local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local origin = require "spec.support.origin"
local raw = require "spec.support.raw"

-- An upstream that closes pooled connections when it likes: what cannot be repeated is not.
describe("POSTs through an upstream that closes pooled connections at random", function()
  local COUNT = load.is_long and 20000 or 2000
  local g, o

  setup(function()
    o = origin.start { seed = 4711 }
    g = gateway.start { workers = 2, log_level = "warn", origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("guarded", {
        weir.retry { max = 3, backoff = "1ms..2ms", budget = { min = 100000 } }, weir.bulkhead {
          max = 64 } })
      weir.route("/flaky", function(req) return guarded(function() return up:forward(req) end) end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  it("reach it once at most, each of them, small and large", function()
    local statuses = {}
    local c = raw.connect(g.port)
    for i = 1, COUNT do
      local body = ("b"):rep(i % 50 == 0 and 100000 or 10)
      c:send(gateway.head("POST", "/flaky", { ["X-Id"] = "post-" .. i }, body))
      local r = c:response()
      statuses[r.status] = (statuses[r.status] or 0) + 1
      if r.headers.connection == "close" then
        c:close()
        c = raw.connect(g.port)
      end
    end
    c:close()
    local seen = o:counts()
    load.report("posts", ("%d sent: %d answered, %d failed; %d reached the upstream, "
      .. "%d of them twice, %d connections")
      :format(COUNT, statuses[200] or 0, statuses[502] or 0, seen.methods.POST, seen.twice,
        seen.connections))
    assert.equal(0, seen.twice)
    assert.equal(seen.methods.POST, seen.ids)
    assert.equal(COUNT, (statuses[200] or 0) + (statuses[502] or 0))
    assert.is_true(seen.methods.POST <= COUNT)
    -- What was answered had been sent; what had not been sent was repeated and answered.
    assert.is_true(seen.methods.POST >= (statuses[200] or 0))
    assert.is_true((statuses[200] or 0) > COUNT / 2)
    g:wait_idle()
  end)
end)
