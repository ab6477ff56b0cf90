--- Endpoints of upstreams: how they are listed, found, checked and judged.
---
--- Whose turn it is to find or to check them is claimed in shared state: one worker does it, all
--- know the result. A worker that dies gives its turn up after a while.
local core = require "weir.core"
local finders = require "weir.core.finders"
local schema = require "weir.schema"

local M = {}

--- One endpoint of a list.
M.one = schema.new("endpoint", {
  url = schema.string { min = 1, max = 319, required = true,
    doc = "`http://host:port`, `http://[::1]:9000`, `http://unix:/run/app.sock`. A path in it "
      .. "(`http://unix:/run/app.sock:/api`) is put before the request's. `#10.0.0.7` at its end: "
      .. "connect there." },
  weight = schema.integer { min = 1, max = 65535, default = 1,
    doc = "Its share of the calls, relative to the others'." },
  zone = schema.string { min = 1, max = 63, doc = "Where it stands." },
}, { positional = "url" })

local health_options = schema.new("upstream health", {
  path = schema.string { min = 1, max = 1024, default = "/", pattern = "^/",
    what = "a path that begins with '/'", doc = "What is asked for with GET." },
  interval = schema.duration { min = "100ms", max = "1h", default = "5s",
    doc = "Between two checks." },
  timeout = schema.duration { min = "10ms", max = "1m", default = "1s",
    doc = "Limit of one check." },
  fall = schema.integer { min = 1, max = 100, default = 3,
    doc = "Failures in a row until it is out." },
  rise = schema.integer { min = 1, max = 100, default = 2,
    doc = "Successes in a row until it is back." },
})

local outlier_options = schema.new("upstream outlier", {
  consecutive = schema.integer { min = 0, max = 1000000, default = 5,
    doc = "Failures in a row until it is ejected; 0: not judged." },
  failure_rate = schema.ratio { default = 0.5,
    doc = "Share of failures in a window, if the others fail less than half as often; 0: not "
      .. "judged." },
  latency = schema.number { min = 0, max = 1000, default = 0,
    doc = "Its 90th percentile is so many times the median of the endpoints'; 0: not judged." },
  slow_windows = schema.integer { min = 1, max = 100, default = 3,
    doc = "So many windows in a row." },
  window = schema.duration { min = "100ms", max = "1h", default = "10s",
    doc = "Time that rates and latencies are taken over." },
  min_calls = schema.integer { min = 1, max = 1000000, default = 50,
    doc = "Calls of an endpoint in a window, to judge it by rate or latency." },
  base = schema.duration { min = "10ms", max = "1h", default = "30s",
    doc = "Length of the first ejection, and what each further one is longer." },
  max = schema.duration { min = "10ms", max = "24h", default = "5m",
    doc = "Length of the longest." },
  max_share = schema.ratio { default = 0.5,
    doc = "Of the endpoints, out at once; one may always be, the last usable one never." },
  jitter = schema.ratio { default = 0.1, doc = "An ejection is up to this share shorter." },
})

local sources = { "endpoints", "dns", "srv", "file" }
local is_found = setmetatable({}, { __mode = "k" }) -- upstream -> "dns", "srv" or "file"
local is_awaited = setmetatable({}, { __mode = "k" }) -- upstream -> true until it has endpoints

local function source_of(name, o)
  local source
  for _, key in ipairs(sources) do
    if o[key] and source then
      error(("upstream '%s': it has both %s and %s; its endpoints come from one of them")
        :format(name, source, key), 5)
    end
    if o[key] then source = key end
  end
  if source then return source end
  error(("upstream '%s': say who its endpoints are: endpoints, dns, srv or file"):format(name), 5)
end

local function read_list(list)
  local result = {}
  for i, one in ipairs(list) do result[i] = M.one:check(one, 4) end
  return result
end

--- Adds to an upstream's options what they say about endpoints, for C.
function M.read_options(name, o)
  local source = source_of(name, o)
  o.health = o.health and health_options:check(o.health, 4)
  if o.outlier == nil or o.outlier == true then o.outlier = {} end
  o.outlier = o.outlier and outlier_options:check(o.outlier, 4)
  if source == "endpoints" then return end
  o.max_endpoints = o.max_endpoints or 256
  o.source = source .. " " .. o[source]
  local find, seed = finders[source](o[source])
  if not find then error(("upstream '%s': %s: %s"):format(name, source, seed), 4) end
  o.find, o.endpoints = find, seed
end

-- Health checks.

local function check(handle, row, url, o)
  local res, err = core.http_request { endpoint = url, path = o.path, like = handle,
    timeout = o.timeout, method = "GET", max_body = 65536 }
  local ok = res ~= nil and res.status >= 200 and res.status < 400
  core.endpoint_checked(handle, row, url, ok, err)
end

local function watch(handle, o)
  while true do
    local row, url = core.endpoint_claim(handle)
    if row then
      core.spawn(function() check(handle, row, url, o) end)
    else
      core.sleep(math.max(url, 1e6))
    end
  end
end

-- Finding them.

local LEASE = 30e9 -- who finds them has so long
local AGAIN = 5e9 -- after it failed

local function find_once(name, handle, find, state)
  local list, hold = find()
  if list and #list > 0 then
    local left_out, message = core.endpoints_set(handle, list)
    if left_out then
      if left_out > 0 then message = left_out .. " have no room: raise max_endpoints" end
      if message and message ~= state.told then
        core.log("warn", "endpoints", { upstream = name, problem = message })
      end
      state.told = message
      return hold
    end
    hold = message
  end
  local problem = list and #list == 0 and "it lists none" or tostring(hold)
  if problem ~= state.told then
    core.log("warn", "endpoints cannot be found, the last ones stay", { upstream = name,
      problem = problem })
  end
  state.told = problem
  return AGAIN
end

local function find_for_ever(name, handle, find)
  local state = {}
  while true do
    local is_mine, wait = core.endpoints_ask(handle, LEASE)
    if is_mine then
      wait = find_once(name, handle, find, state)
      core.endpoints_asked(handle, wait)
    end
    core.sleep(math.max(wait, 1e7))
  end
end

--- Begins to find and to check the endpoints of an upstream that was declared.
function M.start(name, handle, o)
  if o.health then
    core.job("health " .. name, core.where(), o.health.interval,
      function() watch(handle, o.health) end)
  end
  if not o.find then return end
  is_found[handle] = o.source
  is_awaited[handle] = #o.endpoints == 0 or nil
  if type(o.find) == "table" then
    core.job("endpoints " .. name, core.where(), 1e9, function()
      o.find.follow(function(list, hold)
        find_once(name, handle, function() return list, hold end, o.find)
      end)
    end)
  else
    core.job("endpoints " .. name, core.where(), 1e9,
      function() find_for_ever(name, handle, o.find) end)
  end
end

--- Waits, if nothing was found yet, for the endpoints of `upstream`; for two seconds at most.
---@async
function M.await(upstream)
  if not is_awaited[upstream] then return end
  local until_ns = core.now() + 2
  while #core.endpoints(upstream) == 0 and core.now() < until_ns do
    if not core.sleep(5e6) then return end
  end
  is_awaited[upstream] = nil
end

--- `upstream:set_endpoints`.
function M.set(upstream, list)
  if type(list) ~= "table" then
    error("set_endpoints: give a list of URLs or tables of url, weight and zone", 3)
  end
  if is_found[upstream] then
    return nil, core.error("invalid",
      "set_endpoints: the endpoints come from " .. is_found[upstream])
  end
  local left_out, message = core.endpoints_set(upstream, read_list(list))
  if not left_out then return nil, core.error("invalid", "set_endpoints: " .. message) end
  if left_out == 0 then return true end
  return nil, core.error("too_large", ("set_endpoints: %d endpoints have no room: raise "
    .. "max_endpoints"):format(left_out))
end

return M
