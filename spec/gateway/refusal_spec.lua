--- What every refusal says: policy, primitive and when to come again, in the answer and in the log.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"

local BAD = origin.answer("500 Internal Server Error", "bad")

-- kind -> its layer, and what its refusals are.
local CASES = {
  breaker = { layer = [[weir.breaker { consecutive = 2, open = "1h", open_max = "1h" }]],
    status = 503, word = "refused", why = "breaker_open", least = 3000 },
  bulkhead = { layer = [[weir.bulkhead { max = 1, queue = 0 }]], nested = true,
    status = 503, word = "refused", why = "bulkhead_full", least = 1 },
  limiter = { layer = [[weir.limiter { rate = "1/h", burst = 1 }]],
    status = 429, word = "limited", why = "rate_limited", least = 3000 },
  shedder = { layer = [[weir.shedder { limit = 1, queue = 0 }]], nested = true,
    status = 503, word = "shed", why = "shed", least = 1 },
  throttle = { layer = [[weir.throttle { min_calls = 1, max_refused = 0.99 }]],
    status = 503, word = "shed", why = "shed", least = 1 },
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
    local line = 'policies["%s"] = weir.policy("of %s", { %s })'
    parts[#parts + 1] = line:format(kind, kind, case.layer)
  end
  return table.concat(parts, "\n")
end

describe("a refusal", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, script() }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  -- Asks until it is refused.
  local function refused(kind, case)
    local path = "/" .. kind .. (case.nested and "/nested" or origin.target { BAD })
    for _ = 1, 200 do
      local r = g:get(path)
      if (r.headers["content-type"] or "") == "application/problem+json" then return r end
    end
    error(kind .. " refuses nothing")
  end

  for kind, case in pairs(CASES) do
    it("by a " .. kind .. " names its policy, its primitive and when to come again", function()
      local r = refused(kind, case)
      local problem = json.decode(r.body)
      assert.same({ case.status, case.word, "of " .. kind, kind },
        { r.status, problem.kind, problem.policy, problem.primitive })
      assert.is_true(problem.retry_after >= case.least, problem.retry_after)
      assert.equal(tostring(problem.retry_after), r.headers["retry-after"])
      local line = g:wait_log("access", { refused_by = kind .. " of " .. kind })
      assert.same({ "of " .. kind, case.why, problem.retry_after },
        { line.policy, line.why, line.retry_after })
    end)
  end
end)
