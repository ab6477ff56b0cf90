--- Feature flags: on, off, or on for a share of the keys, and always the same keys.
local composition = require "weir.core.composition"
local core = require "weir.core"
local health = require "weir.health"
local keys = require "weir.keys"
local schema = require "weir.schema"

local M = {}

local WHOLE = 1000000 -- shares are millionths in C

local flag_options = schema.new("flag", {
  default = schema.boolean { default = true, doc = "On, or off, until somebody flips it." },
  percent = schema.number { min = 0, max = 100, default = 100,
    doc = "Of the keys, while it is on." },
  key = keys.option,
  health = schema.string { min = 1, max = 127,
    doc = "A health check: while it is down, `fallback` is given." },
  fallback = schema.boolean { default = false, doc = "What is given then." },
})

---@class weir.Flag
local Flag = {}
Flag.__index = Flag
Flag.__tostring = function(self) return "flag: " .. self.name end

local evaluate = core.flag_on

--- Is it on for this key? The same key gets the same answer as long as the share does not shrink
--- below it. Without a key, here and in the options, a share is drawn anew each time.
---@param key string?   Instead of the option `key`.
---@return boolean
function Flag:on(key)
  if key == nil and self._key then key = self._key() end
  return evaluate(self._handle, key)
end

local function share_of(value)
  if type(value) == "boolean" then return value and WHOLE or 0 end
  if type(value) == "number" and value >= 0 and value <= 100 then
    return math.floor(value * WHOLE / 100 + 0.5)
  end
  error(("flag:set: the value is %s; it must be true, false, a percentage from 0 to 100, or nil")
    :format(tostring(value)), 3)
end

--- Overrides the policy's default and percentage in all workers, until it is set to nil: true is on
--- for everybody, false is off, a number is a percentage. Outlives reloads. Logged with `why`;
--- changes that follow one another faster than they are told fold into one line, the last one's.
---@param value boolean|number|nil
---@param why string?
function Flag:set(value, why)
  core.flag_set(self._handle, value ~= nil and share_of(value) or nil, why)
end

--- The percentage in force, and whether it is an override.
---@return number percent
---@return boolean is_overridden
function Flag:percent()
  local share, is_overridden = core.flag_share(self._handle)
  return share * 100 / WHOLE, is_overridden
end

--- Declares a feature flag: `weir.flag("new-search", { percent = 10, key = "client" })`. Its state
--- is kept by name, shared by all workers, and lives through reloads.
---@param name string
---@param options table?
---@return weir.Flag
function M.declare(name, options)
  if not core.is_loading() then
    error("flag: it declares, and declarations belong to the top level of a script", 2)
  end
  if type(name) ~= "string" then error("flag: the name must be a string", 2) end
  local o = flag_options:check(options or {})
  local place = core.where()
  local handle, message = core.flag(name, {
    share = o.default and share_of(o.percent) or 0,
    health = o.health and health.find(o.health, "flag", place),
    fallback = o.fallback,
  })
  if not handle then error(("flag '%s': %s"):format(name, message), 2) end
  local flag = setmetatable({ name = name, _handle = handle,
    _key = o.key and keys.resolver(o.key, place) or nil }, Flag)
  composition.add("flags", flag, name)
  composition.declare("flag", name, o)
  return flag
end

return M
