--- Shedding by priority: in overload the important requests are served, and the others are told so.
---
--- Protects against  more work than can be done: without a bound everything becomes slow together.
--- The client sees   503 with Retry-After for what is shed, at once or after `wait`. The least
---                   important goes first: a queue that is full drops a less important request for
---                   a more important one.
---
--- How important a request is says its route, `priority = "low"`, or a field of trusted proxies
--- (`weir.listen`). Handlers with the same `pool` share their room, which must be the same in all.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "shedding", version = "1.0.0" }

M.schema = target.schema("shedding", {
  pool = schema.string { min = 1, max = 100, doc = "What shares the room; `name` by default." },
  limit = schema.either { schema.integer { min = 1 }, schema.table(), default = 256,
    doc = "Requests at once; { \"gradient2\", min = …, max = … } learns it." },
  queue = schema.integer { min = 0, default = 64, doc = "Requests that may wait." },
  wait = schema.duration { min = 0, default = "100ms", doc = "Longest wait." },
  deadline = schema.duration { min = "1ms", default = "5s", doc = "Of a call that was admitted." },
})

--- A handler that knows when it is too much.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.shedder { name = o.pool or o.name, limit = o.limit, queue = o.queue, wait = o.wait / 1e9 },
    weir.deadline(o.deadline / 1e9),
  })
  return function(req) return guarded(function() return call(req) end) end
end

return M
