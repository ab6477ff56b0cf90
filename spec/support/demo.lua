--- The demo for specs: policies/demo/shop.lua in front of policies/demo/upstreams.lua, whose
--- services do as they are told, both from build/<preset>/weir on ports nobody else has.
---
---     local demo = require "spec.support.demo"
---     local d = demo.start()
---     d:tell("prices", "down")
---     local r = d:get "/products/3"      -- as raw.once: status, headers, body
---     d:stop()                           -- both end well, or the spec fails
local json = require "cjson"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local demo = {}
local Demo = {}
Demo.__index = Demo

local function request(port, method, path, body, headers)
  local fields = {}
  for name, value in pairs(headers or {}) do
    fields[#fields + 1] = ("%s: %s\r\n"):format(name, value)
  end
  return raw.once(port, ("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s"
    .. "Connection: close\r\n\r\n%s"):format(method, path, #(body or ""), table.concat(fields),
    body or ""))
end

local function run(file, admin, env, flag)
  -- Specs share the processors: a worker that waits for one is not stuck.
  return process.spawn { process.program "weir", "run", file, "--admin", "127.0.0.1:" .. admin,
    "--workers", 2, "--drain", "1s", "--heartbeat", "5s", flag or nil, env = env }
end

local function wait_ready(child, admin)
  wait.for_("weir to be ready", function()
    if child:is_over() then error("it ended first: " .. child:stderr(), 0) end
    local ok, r = pcall(request, admin, "GET", "/readyz")
    return ok and r.status == 200, ok and r.status or r
  end, 20)
end

--- Starts both and waits until both are ready. `file` is what stands in front of the upstreams
--- instead of the shop: an example of a shipped policy, say. `allow_chaos`: experiments may be
--- applied to it.
function demo.start(file, allow_chaos)
  local d = setmetatable({ shop = ports.free(), upstreams = ports.free(), admin = ports.free(),
    upstreams_admin = ports.free() }, Demo)
  local env = {
    SHOP_LISTEN = "127.0.0.1:" .. d.shop,
    SHOP_UPSTREAMS = "http://127.0.0.1:" .. d.upstreams,
    UPSTREAMS_LISTEN = "127.0.0.1:" .. d.upstreams,
  }
  d.children = {
    run(file or "policies/demo/shop.lua", d.admin, env, allow_chaos and "--allow-chaos"),
    run("policies/demo/upstreams.lua", d.upstreams_admin, env),
  }
  local ok, message = pcall(function()
    wait_ready(d.children[1], d.admin)
    wait_ready(d.children[2], d.upstreams_admin)
  end)
  if ok then return d end
  d:kill()
  error(message, 2)
end

--- Tells an upstream service how to behave.
function Demo:tell(service, mode)
  local r = request(self.upstreams, "POST", "/" .. service .. "/mode", mode)
  assert(r.status == 200, r.body)
end

--- One request to the shop; `r.value` is its JSON, `r.rung` the X-Degraded.
function Demo:request(method, path, body, headers)
  local r = request(self.shop, method, path, body, headers)
  r.rung = r.headers["x-degraded"]
  if (r.headers["content-type"] or ""):find("json", 1, true) then r.value = json.decode(r.body) end
  return r
end

function Demo:get(path, headers)
  return self:request("GET", path, nil, headers)
end

--- A client with a GET sent to the shop and nothing read.
function Demo:begin(path)
  local c = raw.connect(self.shop)
  c:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"):format(path))
  return c
end

--- One request to the upstreams, past the shop.
function Demo:ask_upstream(method, path, body)
  return request(self.upstreams, method, path, body)
end

--- A named row of a list in the shop's /status: d:status("breakers", "prices").
function Demo:status(list, name)
  for _, row in ipairs(json.decode(request(self.admin, "GET", "/status").body)[list]) do
    if row.name == name then return row end
  end
end

--- The sum of the shop's series of a metric whose labels contain every text given.
function Demo:metric(name, ...)
  local sum = 0
  for line in request(self.admin, "GET", "/metrics").body:gmatch "[^\n]+" do
    local series, labels, value = line:match "^([%w_:]+)(%b{}) (%S+)$"
    local fits = series == name
    for _, text in ipairs { ... } do fits = fits and labels:find(text, 1, true) end
    if fits then sum = sum + tonumber(value) end
  end
  return sum
end

--- One request to the shop's admin listener.
function Demo:admin_ask(method, path)
  return request(self.admin, method, path)
end

--- Repeats a request until `done(r)`; returns that answer.
function Demo:get_until(path, done)
  return wait.for_(path .. " to answer so", function()
    local r = self:get(path)
    return done(r) and r, ("%d %s"):format(r.status, tostring(r.rung))
  end, 20)
end

--- Ends both; fails unless each ends with 0 and wrote nothing on stderr.
function Demo:stop()
  for _, child in ipairs(self.children) do
    local _, err = child:finish()
    assert(err == "", err)
  end
end

--- For after_each: ends them whatever happened.
function Demo:kill()
  for _, child in ipairs(self.children) do child:kill() end
end

return demo
