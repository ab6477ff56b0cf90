--- How long a call through layers may take at worst. Times are in nanoseconds, `math.huge` is for
--- ever.
local core = require "weir.core"

local M = {}

--- "800ms"; "for ever".
---@param ns number
---@return string
function M.text(ns)
  if ns == math.huge then return "for ever" end
  if ns > 1e9 then ns = ns - ns % 1e6 end -- nobody reads microseconds beside seconds
  return core.duration_text(ns)
end

--- All pauses of a retry together, at the most that its jitter draws.
---@param options table
---@return number
function M.pauses(options)
  local sum, pause = 0, options.base
  for _ = 1, options.max do
    sum = sum + math.min(pause, options.cap)
    pause = pause * (options.jitter == "decorrelated" and 3 or options.factor)
  end
  return sum
end

-- kind -> worst case of a layer around `inner`.
local through = {
  deadline = function(o, inner) return math.min(o.total, inner) end,
  timeout = function(o, inner) return math.min(o.limit, inner) end,
  retry = function(o, inner) return (o.max + 1) * inner + M.pauses(o) end,
  bulkhead = function(o, inner) return (o.queue or 1) > 0 and o.wait + inner or inner end,
  limiter = function(o, inner) return (o.wait or 0) + inner end,
  shedder = function(o, inner) return (o.queue or 0) > 0 and (o.wait or 0) + inner or inner end,
  hedge = function(o, inner) return (o.delay or 0) * (o.max or 1) + inner end,
}

--- For each step the worst case of it with all inside it; one more for the call itself.
---@param steps weir.Step[]
---@return number[]
function M.worst(steps)
  local worst = { [#steps + 1] = math.huge }
  for i = #steps, 1, -1 do
    local layer = through[steps[i].kind]
    worst[i] = layer and layer(steps[i].options, worst[i + 1]) or worst[i + 1]
  end
  return worst
end

--- How long a layer lets a call wait for its turn; 0 when it does not.
---@param step weir.Step
---@return number
function M.wait(step)
  local layer = through[step.kind]
  local waits = step.kind == "bulkhead" or step.kind == "limiter" or step.kind == "shedder"
  return waits and layer(step.options, 0) or 0
end

return M
