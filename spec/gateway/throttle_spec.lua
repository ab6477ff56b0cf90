local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("a throttle", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local policies = {
        enforced = weir.policy("enforced", { weir.throttle { min_calls = 10 } }),
        shadow = weir.policy("shadow", { weir.throttle { min_calls = 10, mode = "shadow" } }),
      }
      weir.route("/run", function(req)
        local name = req.headers["x-policy"]
        local guarded = policies[name]
        local res, err = guarded(function() return up:forward(req) end)
        if res then return res end
        return weir.json(503, { kind = err.kind, policy = err.policy, primitive = err.primitive })
      end)
    ]] }
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function ask(policy, answer, times)
    local seen = { sent = 0, refused = 0 }
    for _ = 1, times do
      local r = g:get(origin.target { answer }, { ["X-Policy"] = policy })
      if r.body:find("primitive", 1, true) then
        seen.refused, seen.body = seen.refused + 1, r.body
      else
        seen.sent = seen.sent + 1
      end
    end
    return seen
  end

  it("lets everything through while the upstream accepts", function()
    assert.equal(0, ask("enforced", origin.answer("200 OK", "x"), 40).refused)
  end)

  it("stops making most calls when the upstream fails them, in all workers", function()
    local seen = ask("enforced", origin.answer("500 No", "x"), 300)
    assert.is_true(seen.refused > 100, seen.refused .. " refused")
    assert.is_true(seen.sent > 0)
    assert.matches('"kind":"shed"', seen.body)
    assert.matches('"policy":"enforced"', seen.body)
    assert.matches('"primitive":"throttle"', seen.body)
    assert.equal(seen.refused,
      g:metric("weir_throttle_calls_total", 'name="enforced"', 'kind="refused"'))
    assert.is_true(g:metric("weir_throttle_refusal_probability", 'name="enforced"') > 0.3)
    local status = g:status().throttles
    assert.equal(2, #status)
  end)

  it("refuses nothing in shadow, and tells what it would have refused", function()
    assert.equal(0, ask("shadow", origin.answer("500 No", "x"), 100).refused)
    local kind = 'kind="shadow_refused"'
    assert.is_true(g:metric("weir_throttle_calls_total", 'name="shadow"', kind) > 50)
  end)
end)
