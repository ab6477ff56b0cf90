--- Shadow mode of every primitive that admits calls: what it would refuse is counted and shown, and
--- nothing is refused.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local tree = require "spec.lint.tree"

local OK = origin.answer("200 OK", "fine")
local BAD = origin.answer("500 Internal Server Error", "bad")

-- kind -> its layer, how often it is driven into refusing, and where that is counted.
local CASES = {
  limiter = {
    layer = [[weir.limiter { rate = "1/h", burst = 1, mode = "shadow" }]],
    drive = { BAD, BAD, BAD }, refused = 2,
    metric = { "weir_limiter_calls_total", 'kind="shadow_refused"' },
  },
  breaker = {
    layer = [[weir.breaker { consecutive = 2, open = "1h", open_max = "1h", mode = "shadow" }]],
    drive = { BAD, BAD, BAD, BAD }, refused = 2,
    metric = { "weir_breaker_calls_total", 'kind="shadow_not_permitted"' },
  },
  bulkhead = {
    layer = [[weir.bulkhead { max = 1, queue = 0, mode = "shadow" }]],
    nested = true, refused = 1,
    metric = { "weir_bulkhead_calls_total", 'kind="shadow_refused"' },
  },
  shedder = {
    layer = [[weir.shedder { limit = 1, queue = 0, mode = "shadow" }]],
    nested = true, refused = 1,
    metric = { "weir_shedder_shadow_total", 'kind="full"' },
  },
  throttle = {
    layer = [[weir.throttle { min_calls = 1, max_refused = 0.99, mode = "shadow" }]],
    drive = (function()
      local steps = {}
      for i = 1, 60 do steps[i] = BAD end
      return steps
    end)(), refused = 10,
    metric = { "weir_throttle_calls_total", 'kind="shadow_refused"' },
  },
}

local function script()
  local parts = { [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
    local policies = {}
    weir.route("GET /:kind/run", function(req)
      return policies[req.params.kind](function()
        return up:forward(req, { path = "/run?" .. (req.target:match "%?(.*)") })
      end)
    end)
    weir.route("GET /:kind/nested", function(req)
      local policy = policies[req.params.kind]
      return policy(function() return policy(function() return "in" end) end)
    end)
  ]] }
  for kind, case in pairs(CASES) do
    local line = 'policies["%s"] = weir.policy("%s", { %s })'
    parts[#parts + 1] = line:format(kind, kind, case.layer)
  end
  return table.concat(parts, "\n")
end

describe("in shadow mode", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, script() }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  for kind, case in pairs(CASES) do
    it("a " .. kind .. " refuses nothing, and counts what it would have refused", function()
      local function counted()
        return (g:metric(case.metric[1], ('name="%s"'):format(kind), case.metric[2]))
      end
      assert.equal(0, counted())
      for _, step in ipairs(case.drive or {}) do
        local r = g:get("/" .. kind .. origin.target { step })
        assert.same({ 500, "bad" }, { r.status, r.body })
      end
      if case.nested then assert.equal(200, g:get("/" .. kind .. "/nested").status) end
      assert.is_true(counted() >= case.refused, counted())
      assert.same({}, g:log("access", { policy = kind }))
      assert.equal(200, g:get("/" .. kind .. origin.target { OK }).status)
      local row
      for _, one in ipairs(g:status()[kind .. "s"]) do row = one.name == kind and one or row end
      assert.is_true(row.shadow == true or row.mode == "shadow")
    end)
  end

  it("are all that have a mode", function()
    -- The process-wide one is tried in spec/gateway/shedder_spec.lua.
    local found = { overload = true }
    for _, path in ipairs(tree.files "^lua/weir/[%w_]+%.lua$") do
      for name, body in tree.read(path):gmatch "local (%l+)_options = schema%.new(%b())" do
        local has_mode = body:find("shadow", 1, true) or body:find("mode = layer.mode", 1, true)
        if has_mode then found[name] = true end
      end
    end
    for name in pairs(found) do assert.is_true(name == "overload" or CASES[name] ~= nil, name) end
    for name in pairs(CASES) do assert.is_true(found[name], name) end
  end)
end)
