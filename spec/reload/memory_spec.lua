local gateway = require "spec.support.gateway"

-- Ten of the largest tables fill the memory for named state.
local function script(rate, max_keys)
  return ([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    for i = 1, 60 do
      local limiter = weir.limiter { name = "l" .. i, rate = "%d/s", key = "client",
        algorithm = "sliding_window", max_keys = %d }
      weir.route("GET /" .. i, function() return tostring(limiter:try()) end)
    end
  ]]):format(rate, max_keys)
end

describe("a reload for whose state there is no memory", function()
  it("says which primitives keep their old options", function()
    local g = gateway.start { script(100, 1024) }
    finally(function() g:kill() end)
    g:expect "policy.options"
    assert.equal(200, g:reload { script(50, 65536) }.status)
    g:wait_log "policy.options"
    local old = 0
    for _, limiter in ipairs(g:status().limiters) do
      if limiter.limit == 100 then
        old = old + 1
        assert.equal(1024, limiter.max_keys)
        g:wait_log("policy.options", { message = ("limiter '%s' keeps its old options: there is no "
          .. "memory for a state of the new size"):format(limiter.name) })
      end
    end
    assert.is_true(old > 0)
    g:stop()
  end)
end)
