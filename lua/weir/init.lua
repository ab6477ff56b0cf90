--- weir: what a policy gets from `require "weir"`.
---
--- Declarations (`listen`, `upstream`, `route`, `policy`, `overload`, `cache`, `every`) belong to
--- the top level of a script; everything else is called from handlers and tasks, where any call may
--- wait.
--- Mistakes in options raise with file:line; what the world does wrong comes back as `nil, err`.
local core = require "weir.core"

local schema = require "weir.schema"

local layers = require "weir.layers"
local tasks = require "weir.tasks"
local routes = require "weir.routes"
local responses = require "weir.responses"
local shedder = require "weir.shedder"

---@type weir
local weir = {
  -- Declaring.
  listen = routes.listen,
  route = routes.route,
  upstream = require("weir.upstream").declare,
  cache = require("weir.cache").open,
  http_cache = require("weir.http_cache").open,
  health = require("weir.health").declare,
  flag = require("weir.flag").declare,
  policy = require("weir.policy").new,
  overload = shedder.overload,
  ladder = require("weir.ladder").run,
  selftest = require("weir.selftest").declare,
  -- Layers of a policy.
  deadline = layers.deadline,
  timeout = layers.timeout,
  retry = layers.retry,
  breaker = layers.breaker,
  bulkhead = layers.bulkhead,
  shedder = shedder.layer,
  throttle = require("weir.throttle").layer,
  limiter = require("weir.limiter").layer,
  hedge = require("weir.hedge").layer,
  chaos = require("weir.chaos").layer,
  -- Answers.
  response = responses.response,
  json = responses.json,
  health_response = require("weir.health").response,
  -- Time and tasks.
  sleep = tasks.sleep,
  spawn = tasks.spawn,
  every = tasks.every,
  race = tasks.race,
  all = tasks.all,
  now = core.now,
  time = core.time,
  remaining = tasks.remaining,
  priority = shedder.priority,
  -- The world.
  http = require "weir.http",
  log = require "weir.log",
  metrics = require "weir.metrics",
  env = core.env,
  escape = core.escape,
  error = require("weir.errors").new,
}

-- A name that is not there is a slip of the pen, not a value to call later.
return setmetatable(weir, {
  __index = function(_, name)
    error(("%s: weir has no '%s'%s")
      :format(core.where(), tostring(name), schema.hint(name, weir)), 0)
  end,
})
