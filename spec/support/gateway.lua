--- A weir of a spec's own: master and workers from build/<preset>/weir, with a bundle in a folder
--- of its own, ports nobody else has, and proof at the end that nothing went wrong on the way.
---
---     local g = gateway.start { workers = 2, origin = origin.port, [[
---       local weir = require "weir"
---       weir.listen "127.0.0.1:$(port)"
---       local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
---       weir.route("GET /x", function(req) return up:forward(req) end)
---     ]] }
---     local r = g:get "/x"              -- as raw.once: status, headers, body
---     g:stop()       -- exit 0, no open handle, no sanitizer, no unexpected warning
---
--- `$(name)` in scripts stands for the option of that name; `$(port)` is the listener's port. Specs
--- that provoke warnings say which: `g:expect "breaker.transition"`.
local json = require "cjson"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local gateway = {}
local Gateway = {}
Gateway.__index = Gateway

-- Everything about how weir is started is here. Specs share the processors, so a worker's loop is
-- given longer than usual before it counts as stuck, unless the spec is about just that.
local function command_of(self)
  local o = self.options
  local command = {
    o.program or process.program "weir", "run", self.path, "--admin", self.admin, "--workers",
    o.workers or 2,
    "--heartbeat", o.heartbeat or "5s", "--log-level", o.log_level or "info",
    "--drain", o.drain or "30s", env = o.env,
  }
  if o.dns then
    command[#command + 1] = "--dns"
    command[#command + 1] = o.dns
  end
  if o.session_keys then
    command[#command + 1] = "--session-keys"
    command[#command + 1] = o.session_keys
  end
  if o.allow_chaos then command[#command + 1] = "--allow-chaos" end
  if o.watch then command[#command + 1] = "--watch" end
  if o.ca_file then
    command[#command + 1] = "--ca-file"
    command[#command + 1] = o.ca_file
  end
  for _, name in ipairs { "user", "confine", "state", "admin_token_file", "log_format" } do
    if o[name] then
      command[#command + 1] = "--" .. name:gsub("_", "-")
      command[#command + 1] = o[name]
    end
  end
  if o.descriptors then
    table.insert(command, 1, "/usr/bin/prlimit")
    table.insert(command, 2, "--nofile=" .. o.descriptors)
  end
  for i = #(o.under or {}), 1, -1 do table.insert(command, 1, o.under[i]) end
  return command
end

local function write(path, text)
  local draft = path .. ".new"
  local file = assert(io.open(draft, "w"))
  file:write(text)
  file:close()
  assert(os.rename(draft, path))
end

--- Writes the bundle: [1] is main.lua, other string keys are paths of modules below it.
function Gateway:write(files)
  for name, text in pairs(files) do
    if name == 1 then name = "main.lua" end
    if type(name) == "string" and name:find "%.lua$" then
      text = text:gsub("%$%(([%w_]+)%)", function(key)
        local value = files[key] or self.vars[key]
        assert(value ~= nil, "the script uses $(" .. key .. "), which is no option")
        return tostring(value)
      end)
      write(self.folder .. "/" .. name, text)
    end
  end
end

local function start(options)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  local self = setmetatable({
    options = options, folder = folder, path = folder .. "/main.lua", vars = {},
    -- Bundles of specs are seldom what `weir check` would praise.
    expected = { ["policy.warning"] = true },
    port = ports.free(), admin_port = ports.free(),
  }, Gateway)
  -- `token` is what the file of `admin_token_file` says.
  self.credentials = options.token and "Authorization: Bearer " .. options.token .. "\r\n" or ""
  self.admin = options.admin or "127.0.0.1:" .. self.admin_port
  for key, value in pairs(options) do self.vars[key] = value end
  self.vars.port = self.port
  self:write(options)
  self.process = process.spawn(command_of(self))
  return self
end

--- Starts weir and waits until it is ready. Options: [1] main script, "x.lua" = text of a module,
--- `workers` (2), `heartbeat`, `drain`, `log_level`, `dns`, `session_keys`, `ca_file`, `watch`,
--- `user`, `confine`, `state`, `log_format` as on the command line, `descriptors` (how many each
--- process may have), `program` (another than the build's), `under` (a command that runs it), and
--- whatever scripts name in $().
function gateway.start(options)
  local self = start(options)
  local ok, message = pcall(function()
    wait.for_("weir to be ready", function()
      if self.process:is_over() then
        error(("weir ended with %s: %s"):format(tostring(self.process.code), self.process:stderr()),
          0)
      end
      return self:is_ready()
    end, 20)
    self:workers_live()
  end)
  if not ok then
    self:kill()
    error(message, 2)
  end
  return self
end

--- Starts weir for a start that is to fail; returns exit code and standard error.
function gateway.fail_to_start(options)
  local self = start(options)
  local code = self.process:wait(20)
  local err = self.process:stderr()
  self:kill()
  return code, err
end

--- Is /readyz 200?
function Gateway:is_ready()
  local ok, r = pcall(self.ask, self, "GET", "/readyz")
  return ok and r.status == 200, ok and r.status or r
end

--- Waits until every worker serves the live generation.
function Gateway:workers_live()
  return wait.for_("all workers to be live", function()
    local status = self:status()
    for _, w in ipairs(status.workers) do
      if w.pid == 0 or w.generation ~= status.generation.number then return false end
    end
    return status
  end, 20)
end

-- Talking to the admin listener.

--- One request to the admin listener. A reload is answered when its trial is over and all workers
--- are ready, which takes long when the machine is busy.
function Gateway:ask(method, path)
  return raw.once(self.admin_port,
    ("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n")
      :format(method, path, self.credentials), { timeout = 60 })
end

--- /status, decoded.
function Gateway:status()
  local r = self:ask("GET", "/status")
  assert(r.status == 200, r.body)
  return json.decode(r.body)
end

--- The pids of the workers.
function Gateway:pids()
  local pids = {}
  for i, w in ipairs(self:status().workers) do pids[i] = w.pid end
  return pids
end

--- The named breaker of /status.
function Gateway:breaker(name)
  for _, b in ipairs(self:status().breakers) do
    if b.name == name then return b end
  end
end

--- The named bulkhead of /status.
function Gateway:bulkhead(name)
  for _, b in ipairs(self:status().bulkheads) do
    if b.name == name then return b end
  end
end

--- The named limiter of /status.
function Gateway:limiter(name)
  for _, l in ipairs(self:status().limiters) do
    if l.name == name then return l end
  end
end

--- The text of /metrics.
function Gateway:metrics()
  local r = self:ask("GET", "/metrics")
  assert(r.status == 200, r.body)
  return r.body
end

--- The sum of all series of a metric whose labels contain every text of `labels`.
function Gateway:metric(name, ...)
  local sum, found = 0, false
  for line in self:metrics():gmatch "[^\n]+" do
    local series, labels, value = line:match "^([%w_:]+)(%b{}) (%S+)$"
    if not series then
      series, value = line:match "^([%w_:]+) (%S+)$"
      labels = ""
    end
    local fits = series == name
    for _, text in ipairs { ... } do fits = fits and labels:find(text, 1, true) end
    if fits then sum, found = sum + tonumber(value), true end
  end
  return sum, found
end

--- Writes `files` if given and asks for a reload. The verdict, with the HTTP status as `status`.
function Gateway:reload(files)
  if files then self:write(files) end
  local r = self:ask("POST", "/reload")
  local verdict = json.decode(r.body)
  verdict.status = r.status
  return verdict
end

--- Asks for an upgrade. The verdict, with the HTTP status as `status`.
function Gateway:upgrade()
  local r = self:ask("POST", "/upgrade")
  local verdict = json.decode(r.body)
  verdict.status = r.status
  return verdict
end

--- Waits until the workers of the program before are gone.
function Gateway:wait_upgraded()
  wait.for_("the last upgrade to be over", function()
    local stage = self:status().upgrades.stage
    return stage == "none", stage
  end, 20)
end

-- Talking to the gateway.

local function head(method, path, headers, body)
  local lines = { ("%s %s HTTP/1.1"):format(method, path) }
  local given = {}
  for name, value in pairs(headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
    given[name:lower()] = true
  end
  if not given.host then table.insert(lines, 2, "Host: gateway.test") end
  if body and not given["transfer-encoding"] then lines[#lines + 1] = "Content-Length: "
    .. #body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- The bytes of a request.
gateway.head = head

--- One request on a connection of its own.
function Gateway:request(method, path, headers, body)
  local all = { Connection = "close" }
  for name, value in pairs(headers or {}) do all[name] = value end
  return raw.once(self.port, head(method, path, all, body))
end

function Gateway:get(path, headers)
  return self:request("GET", path, headers)
end

--- A client with the request sent and nothing read.
function Gateway:begin(method, path, headers, body)
  local c = raw.connect(self.port)
  c:send(head(method, path, headers, body))
  return c
end

--- A client that is connected only.
function Gateway:connect(options)
  return raw.connect(self.port, options)
end

-- The log.

--- Log lines so far as tables; those of one event, and only with these fields, when given.
function Gateway:log(event, fields)
  local lines = {}
  for line in self.process:stdout():gmatch "([^\n]+)\n" do
    local ok, entry = pcall(json.decode, line)
    if not ok then error("not a JSON line: " .. line, 2) end
    local fits = not event or entry.event == event
    for key, value in pairs(fields or {}) do fits = fits and entry[key] == value end
    if fits then lines[#lines + 1] = entry end
  end
  return lines
end

--- Waits for a log line of that event and fields; returns it.
function Gateway:wait_log(event, fields)
  return wait.for_("a log line " .. event, function() return self:log(event, fields)[1] end)
end

--- The spec provokes log lines of `event` at warn or above: they are no failure. A worker that is
--- killed may have been inside a script just then.
function Gateway:expect(event)
  self.expected[event] = true
  if event == "script.error" then self.expected["log.repeats"] = true end
  if event ~= "worker.exit" then return end
  self.expected["policy.strike"], self.expected["policy.quarantine"] = true, true
end

local function check_log(self)
  for line in self.process:stdout():gmatch "([^\n]+)\n" do
    local entry = json.decode(line)
    local is_bad = entry.level == "warn" or entry.level == "error"
    if is_bad and not self.expected[entry.event] then
      error("unexpected in the log: " .. line, 3)
    end
  end
end

--- No permit, probe or queue place is held any more: waits for it.
function Gateway:wait_idle()
  wait.for_("all permits to be back", function()
    local status = self:status()
    for _, list in ipairs { status.bulkheads, status.shedders } do
      for _, b in ipairs(list) do
        if b.in_use > 0 or b.queued > 0 then
          return false, ("%s: %d in use, %d queued"):format(b.name, b.in_use, b.queued)
        end
      end
    end
    for _, b in ipairs(status.breakers) do
      if b.probes > 0 then return false, ("%s: %d probes"):format(b.name, b.probes) end
    end
    return true
  end)
end

local function clean(self)
  os.execute("rm -rf " .. self.folder)
  self.is_over = true
end

--- Stops weir; fails unless it ends with 0, all handles closed, without a sanitizer's report and
--- without a log line at warn or above that was not announced.
function Gateway:stop()
  if not self.process:is_over() then self.process:signal "TERM" end
  self.process:wait(40)
  local err = self.process:stderr()
  local ok, message = pcall(check_log, self)
  local code, signal = self.process.code, self.process.killed_by
  self:kill()
  if code ~= 0 then
    error(("weir ended with %s, signal %s; stderr:\n%s"):format(tostring(code), tostring(signal),
      err), 2)
  end
  if err ~= "" then error("weir wrote on stderr:\n" .. err, 2) end
  if not ok then error(message, 2) end
end

--- For after_each and teardown: ends it whatever happened.
function Gateway:kill()
  if self.is_over then return end
  self.process:kill()
  clean(self)
end

return gateway
