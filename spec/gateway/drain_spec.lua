local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local raw = require "spec.support.raw"
local socket = require "socket"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local kept = weir.upstream("kept", {
    endpoints = { "http://127.0.0.1:$(origin)" }, pool = { idle = "1h" } })
  weir.route("GET /kept", { deadline = "1h" }, function(req)
    return kept:forward(req, { path = "/ok" })
  end)
  weir.route("GET /fast", function() return "fast" end)
  weir.route("GET /slow", { deadline = "60s" }, function() weir.sleep "400ms"; return "slow" end)
  weir.route("GET /never", { deadline = "60s" }, function() weir.sleep "50s"; return "never" end)
  weir.route("/run", { deadline = "60s" }, function(req) return up:forward(req) end)
]]

describe("stopping", function()
  local g, o

  setup(function() o = origin.start() end)
  teardown(function() o:kill() end)
  after_each(function() if g then g:kill() end end)

  local function start(options)
    options = options or {}
    options[1] = options[1] or SCRIPT
    options.origin = o.port
    g = gateway.start(options)
  end

  local function active(n)
    wait.for_(n .. " requests to be active", function()
      return g:metric("http_server_active_requests") == n end)
  end

  local function is_refused()
    local c = socket.tcp4()
    c:settimeout(5)
    local ok, why = c:connect("127.0.0.1", g.port)
    if ok then
      -- A connection that came before the listener closed is reset or closed without a byte.
      c:close()
      return false
    end
    c:close()
    return why == "connection refused"
  end

  it("ends at once when nothing is under way", function()
    start()
    local from = wait.now()
    g:stop()
    assert.is_true(wait.now() - from < 10)
  end)

  it("lets what is under way finish, is not ready meanwhile, and takes no new connections",
    function()
    start { workers = 2 }
    local slow = g:begin("GET", "/slow")
    local body = g:begin("GET", origin.target {
      "send:HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf", "wait:400", "send:half" })
    body:read_until "half"
    active(2)
    g.process:signal "TERM"
    wait.for_("/readyz to say no", function() return g:ask("GET", "/readyz").status == 503 end)
    wait.for_("new connections to be refused", is_refused, 5)
    local r = slow:response()
    assert.equal("slow", r.body)
    assert.equal("close", r.headers.connection)
    assert.equal("half", body:read(4))
    g:stop()
  end)

  it("closes idle connections", function()
    start()
    local c = g:connect()
    c:send(gateway.head("GET", "/fast"))
    assert.equal("fast", c:response().body)
    local busy = g:begin("GET", "/slow")
    active(1)
    g.process:signal "TERM"
    assert.same({ "", "closed" }, { c:read_all() })
    assert.equal("slow", busy:response().body)
    g:stop()
  end)

  it("waits for no idle connection to an upstream, and for no deadline of what is over", function()
    start { workers = 1, drain = "1h" }
    assert.equal(200, g:get "/kept".status)
    g.process:signal "TERM"
    g.process:wait(40)
    assert.equal(0, g:log("worker.exit")[1].exit)
    g:stop()
  end)

  it("waits no longer than its limit", function()
    start { drain = "300ms" }
    local c = g:begin("GET", "/never")
    active(1)
    local from = wait.now()
    g:stop()
    assert.is_true(wait.now() - from < 10)
    c:read_all()
  end)

  it("stops at once at a second signal", function()
    start()
    local c = g:begin("GET", "/never")
    active(1)
    g.process:signal "TERM"
    wait.for_("/readyz to say no", function() return g:ask("GET", "/readyz").status == 503 end)
    local from = wait.now()
    g.process:signal "TERM"
    g:stop()
    assert.is_true(wait.now() - from < 10)
    c:read_all()
  end)

  it("does not wait for background tasks", function()
    start { SCRIPT .. [[
      weir.every("1ms", function() weir.sleep "30s" end)
      weir.spawn(function() while true do weir.sleep "1ms" end end)
    ]] }
    local from = wait.now()
    g:stop()
    assert.is_true(wait.now() - from < 10)
  end)

  it("answers a reload that it interrupts", function()
    start()
    g:write { SCRIPT .. "\nlocal t = {} for i = 1, 1e9 do t[1] = i end" }
    local c = raw.connect(g.admin_port)
    c:send "POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    local second = raw.connect(g.admin_port)
    second:send "POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    wait.pause(30)
    g.process:signal "TERM"
    assert.equal(422, c:response().status)
    assert.equal(422, second:response().status)
    g:expect "reload"
    local from = wait.now()
    g:stop()
    assert.is_true(wait.now() - from < 10)
  end)

  it("does not depend on a client of the admin listener that never ends its request", function()
    start { drain = "300ms" }
    local c = raw.connect(g.admin_port)
    c:send "GET /status HTTP/1.1\r\nHost: 127"
    local from = wait.now()
    g:stop()
    assert.is_true(wait.now() - from < 15)
    c:close()
  end)

  it("is prepared for the master's death: workers finish and go", function()
    start { workers = 2 }
    local pids = g:pids()
    local slow = g:begin("GET", "/slow")
    active(1)
    g.process:signal "KILL"
    assert.equal("slow", slow:response().body)
    for _, pid in ipairs(pids) do
      wait.for_("worker " .. pid .. " to be gone", function()
        local file = io.open("/proc/" .. pid .. "/stat")
        if not file then return true end
        local state = file:read("*a"):match "%) (%a)"
        file:close()
        return state == "Z"
      end)
    end
    assert.is_true(is_refused())
    g:kill()
  end)

  it("removes its Unix admin socket, and starts over one that was left behind", function()
    local path = os.tmpname()
    os.remove(path)
    local bind = "import socket; socket.socket(socket.AF_UNIX).bind('%s')"
    os.execute(('env -u LD_PRELOAD python3 -c "' .. bind .. '"'):format(path))
    local p = require "spec.support.process"
    local folder = os.tmpname()
    local file = io.open(folder, "w")
    file:write 'require("weir").route("GET /", function() return "x" end)'
    file:close()
    local child = p.spawn { p.program "weir", "run", folder, "--admin", path, "--workers", "1",
      "--heartbeat", "5s" }
    wait.for_("the admin socket to answer", function()
      local curl = "env -u LD_PRELOAD curl -sf -m 5 -o /dev/null --unix-socket " .. path
      return os.execute(curl .. " http://localhost/readyz") == 0
    end)
    child:finish()
    assert.is_nil(io.open(path))
    os.remove(folder)
  end)
end)
