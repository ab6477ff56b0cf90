--- A service that can be told how to misbehave. What it is told is kept in a cache, so all workers
--- know at once and a reload does not forget.
local weir = require "weir"

local modes = weir.cache("modes", { ttl = "24h" })

local M = { names = {} }

--- What a service can be told, and what its callers then see. `answer` makes the healthy response.
M.behaviours = {
  ok = function(req, answer)
    weir.sleep(0.002 + 0.006 * math.random())
    return answer(req)
  end,
  slow = function(req, answer)
    local ok, err = weir.sleep(0.4 + 0.5 * math.random())
    if not ok then return nil, err end -- the caller's deadline came with the request and is over
    return answer(req)
  end,
  errors = function()
    return weir.json(500, { error = "told to fail" })
  end,
  flaky = function(req, answer)
    if math.random(3) == 1 then return nil, weir.error("cancelled", "told to be flaky") end
    return answer(req)
  end,
  hang = function()
    local _, err = weir.sleep "10s" -- much longer than any caller in the shop waits
    return nil, err or weir.error("cancelled", "told to hang")
  end,
  down = function()
    return nil, weir.error("cancelled", "told to be down") -- closes without an answer
  end,
}

function M.mode(name)
  return modes:get(name) or "ok"
end

function M.set_mode(name, mode)
  modes:set(name, mode)
  weir.log.warn("upstream mode", { upstream = name, mode = mode })
end

--- Declares `name` and returns a function that adds a route to it: `answer(req)` behind the mode.
function M.new(name)
  M.names[#M.names + 1] = name
  return function(pattern, answer)
    weir.route(pattern, { deadline = "15s" }, function(req)
      return M.behaviours[M.mode(name)](req, answer)
    end)
  end
end

return M
