--- The client-side throttle: follow what an upstream can take instead of knocking it down.
local core = require "weir.core"
local layer = require "weir.layer"
local schema = require "weir.schema"

local M = {}

local throttle_options = schema.new("throttle", {
  ratio = schema.number { min = 1, max = 100, default = 2,
    doc = "Calls made for each call that the upstream accepts." },
  window = schema.duration { min = "1s", max = "1h", default = "2m",
    doc = "What is looked back on." },
  min_calls = schema.integer { min = 0, max = 1000000, default = 10,
    doc = "With fewer calls in the window nothing is refused." },
  max_refused = schema.number { min = 0, max = 0.99, default = 0.9,
    doc = "Never refuses a larger share: some calls always try." },
  mode = layer.mode,
  name = schema.string { min = 1, max = 127, doc = "A throttle shared by several policies." },
}, { positional = "ratio" })

--- Refuses a growing share of the calls while the upstream fails them, before they are sent:
--- `weir.throttle { ratio = 2 }`. The upstream gets about `ratio` times what it accepts, so it can
--- recover, and what it can take it gets. State is shared by all workers. Refusals are
--- `nil, {kind = "shed", primitive = "throttle"}`.
---@param options number|table?
---@return weir.Layer
function M.layer(options)
  local o = throttle_options:check(options or {})
  return layer.new("throttle", o, function(name, _, place)
    return { handle = layer.declared("throttle", place, core.throttle(o.name or name, o)) }
  end, true)
end

return M
