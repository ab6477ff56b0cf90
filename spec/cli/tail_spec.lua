--- `weir tail`: the log as it is written, of all processes, for those who ask.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local guarded = weir.policy("pay", { weir.breaker {} })
  weir.route("GET /pay", function() return guarded(function() return "paid" end) end)
  weir.route("GET /colour", function()
    weir.log.info "\27[31mred"
    return "red"
  end)
  weir.route("GET /say/:what", function(req)
    weir.log.info(req.params.what, { long = ("x"):rep(2000) })
    return "said"
  end)
]]

describe("tail", function()
  local g
  local children = {}

  setup(function()
    -- What the log itself does not get is followed all the same.
    g = gateway.start { SCRIPT, workers = 2, log_level = "error" }
  end)
  teardown(function()
    for _, child in ipairs(children) do child:kill() end
    g:stop()
  end)

  -- Follows, and is known to: a request of its own has come through.
  local marks = 0
  local function tail(...)
    local child = process.spawn { process.program "weir", "tail", "--admin", g.admin, ... }
    children[#children + 1] = child
    return child
  end
  local function followed(child, path)
    wait.for_("the first line", function()
      marks = marks + 1
      g:get((path or "/pay") .. "?mark=" .. marks)
      return #child:stdout() > 0
    end)
  end
  local function lines(child)
    local out = {}
    for line in child:stdout():gmatch "([^\n]+)\n" do out[#out + 1] = line end
    return out
  end

  it("shows requests of all workers, lines of scripts and events as JSON", function()
    local child = tail "--json"
    followed(child)
    g:get "/say/hello"
    g:ask("POST", "/breakers/open?name=pay")
    local seen
    wait.for_("all kinds of lines", function()
      seen = {}
      for _, line in ipairs(lines(child)) do seen[json.decode(line).event] = json.decode(line) end
      return seen.access and seen["script.log"] and seen["breaker.transition"]
        and seen["admin.action"]
    end)
    assert.equal("hello", seen["script.log"].message)
    assert.equal(200, seen.access.status)
    assert.equal("pay", seen["breaker.transition"].name)
    assert.equal("", g.process:stdout():match '"event":"access"' or "")
    g:ask("POST", "/breakers/auto?name=pay")
  end)

  it("shows only what was asked for", function()
    local child = tail("-q", 'route=="/pay" and status>=200 and not (path ~ "say")')
    followed(child)
    g:get "/say/hello"
    g:get "/pay"
    wait.for_("the last one", function() return #lines(child) >= 2 end)
    for _, line in ipairs(lines(child)) do
      assert.matches("^%d%d:%d%d:%d%d%.%d%d%d 200 GET /pay ok %d+%.%d ms", line)
    end
  end)

  it("does not drive the terminal with what clients wrote", function()
    local child = tail()
    followed(child)
    g:get "/colour"
    wait.for_("its line", function() return child:stdout():find "31mred" end)
    assert.is_nil(child:stdout():find("\27", 1, true))
  end)

  it("costs nothing and tells what it missed when it is slow", function()
    local slow = raw.connect(g.admin_port)
    slow:send "GET /lines HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    local head = slow:read_until "\r\n\r\n"
    assert.matches("^HTTP/1.1 200", head)
    local client = g:connect()
    for _ = 1, 4000 do
      client:send(gateway.head("GET", "/say/much"))
      assert.equal(200, client:response().status)
    end
    client:close()
    slow:read_until '"event":"tail.missed"'
    slow:close()
  end)

  it("ends with the reader of its output, and with weir", function()
    local child = process.spawn { "/bin/sh", "-c", ("%s tail --admin %s | head -n 1")
      :format(process.program "weir", g.admin) }
    children[#children + 1] = child
    followed(child)
    wait.for_("the pipe to end", function()
      g:get "/pay"
      return child:is_over()
    end)
    assert.equal(0, child:wait())
  end)

  it("ends after so many lines", function()
    local child = tail("--count", "3", "--json", "-q", "event==\"access\"")
    wait.for_("three lines", function()
      g:get "/pay"
      return child:is_over()
    end)
    assert.equal(0, child:wait())
    assert.equal(3, #lines(child))
  end)

  it("refuses what is no query, and says where", function()
    local child = tail("-q", "status>=")
    assert.equal(2, child:wait())
    assert.matches("weir tail: %-%-query 'status>=': column 9: it ends where", child:stderr())
  end)
end)
