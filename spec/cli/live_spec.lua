--- `weir stat` and `weir top`: what weir does, as it does it.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local guarded = weir.policy("pay", { weir.retry(1), weir.breaker {}, weir.bulkhead { max = 4 } })
  weir.route("GET /pay", function() return guarded(function() return "paid" end) end)
]]

describe("what is live", function()
  local g
  local children = {}

  setup(function()
    g = gateway.start { SCRIPT, workers = 1 }
    g:expect "admin.action"
    g:expect "breaker.transition"
    for _ = 1, 5 do g:get "/pay" end
  end)
  teardown(function()
    for _, child in ipairs(children) do child:kill() end
    g:stop()
  end)

  local function spawn(command)
    local child = process.spawn(command)
    children[#children + 1] = child
    return child
  end

  local function weir(...)
    local child = spawn { process.program "weir", ... }
    return child:wait(), child:stdout(), child:stderr()
  end

  -- Rates are there once weir has looked twice, a second apart.
  local function is_counted()
    return g:status().traffic.requests.total >= 5
  end

  it("is a line of numbers, once", function()
    wait.for_("the requests to be counted", is_counted)
    local code, out, err = weir("stat", "--admin", g.admin)
    assert.equal("", err)
    assert.equal(0, code)
    assert.matches("^   req/s  err%%    p50ms .*  state\n +%d+%.%d +0%.0 .* 1  ok\n$", out)
    local numbers = { weir("stat", "-j", "-a", g.admin) }
    assert.equal(0, numbers[1])
    local s = json.decode(numbers[2])
    assert.equal("ok", s.state)
    assert.is_true(s.requests >= 5)
    assert.equal(1, s.breakers)
    assert.equal(0, s.breakers_not_closed)
    assert.equal(1, s.workers_live)
  end)

  it("is a line each interval with -w, with the rates of that interval", function()
    local child = spawn { process.program "weir", "stat", "-j", "-w", "20ms", "-a", g.admin }
    local function lines()
      local list = {}
      for line in child:stdout():gmatch "([^\n]+)\n" do list[#list + 1] = json.decode(line) end
      return list
    end
    wait.for_("three lines", function() return #lines() >= 3 end)
    g:get "/pay"
    local busy
    wait.for_("the request in a line of its own", function()
      for i, s in ipairs(lines()) do
        if i > 1 and s.per_s > 0 then busy = s end
      end
      return busy
    end)
    wait.for_("a line without a request", function()
      local list = lines()
      return list[#list].per_s == 0
    end)
    child:kill()
    for _, bad in ipairs { "0", "x", "1000000" } do
      assert.equal(2, (weir("stat", "-w", bad, "--admin", g.admin)))
    end
  end)

  it("says how weir is", function()
    assert.equal(200, g:ask("POST", "/breakers/open?name=pay").status)
    local _, out = weir("stat", "-j", "--admin", g.admin)
    local s = json.decode(out)
    assert.equal("degraded", s.state)
    assert.equal(1, s.breakers_not_closed)
    assert.equal(200, g:ask("POST", "/breakers/auto?name=pay").status)
    _, out = weir("stat", "-j", "--admin", g.admin)
    assert.equal("ok", json.decode(out).state)
  end)

  it("is one picture where there is no terminal", function()
    wait.for_("the requests to be counted", is_counted)
    local code, out, err = weir("top", "--admin", g.admin)
    assert.equal("", err)
    assert.equal(0, code)
    assert.matches("^ok  %d+%.%d req/s  errors 0%.0%%", out)
    for _, panel in ipairs { "routes", "breakers", "bulkheads", "budgets", "workers" } do
      assert.is_truthy(out:find("\n" .. panel .. "\n", 1, true), panel)
    end
    assert.matches("\n  /pay .* ok 100%%\n", out)
    assert.is_nil(out:find("\27", 1, true))
    local _, data = weir("top", "--json", "--admin", g.admin)
    assert.equal(g:status().pid, json.decode(data).pid)
    code = weir("top", "--admin", "/nonexistent/x")
    assert.equal(3, code)
  end)

  describe("on a terminal", function()
    local top, control

    before_each(function()
      control = os.tmpname()
      os.remove(control)
    end)
    after_each(function() os.remove(control) end)

    local function start(rows, columns, admin)
      top = spawn { "/usr/bin/python3", "spec/support/terminal.py", control, rows, columns,
        process.program "weir", "top", "--admin", admin or g.admin }
      wait.for_("the terminal", function() return io.open(control) end)
    end

    local function order(text)
      local file = assert(io.open(control, "w"))
      file:write(text .. "\n")
      file:close()
    end

    -- What the screen shows: the last whole picture, without its colours.
    local function screen()
      local last = top:stdout():gsub("\r", ""):match ".*\27%[H(.-q quit.*)"
      return last and last:gsub("\27%[[%d;?]*%a", "") or ""
    end

    local function shows(text)
      wait.for_("the screen to show " .. text, function()
        return screen():find(text, 1, true)
      end)
    end

    local function lines()
      local _, count = screen():gsub("\n", "")
      return count + 1
    end

    it("is a picture that moves, and q gives the terminal back", function()
      start(50, 120)
      shows "breakers"
      shows "q quit"
      assert.is_true(lines() <= 50)
      assert.equal(200, g:ask("POST", "/breakers/open?name=pay").status)
      shows "breaker pay: closed -> "
      shows "degraded"
      assert.equal(200, g:ask("POST", "/breakers/auto?name=pay").status)
      shows "-> closed"
      assert.is_nil(top:stdout():find("\27[?1049l", 1, true))
      order "key q"
      assert.equal(0, top:wait())
      assert.matches("\27%[%?7h\27%[%?25h\27%[%?1049l$", top:stdout())
    end)

    it("fits into the terminal, whatever becomes of that, and scrolls", function()
      start(12, 60)
      shows "(there is more)"
      assert.is_true(lines() <= 12)
      assert.is_nil(screen():find("\nworkers\n", 1, true))
      order(("key "):rep(1) .. ("j"):rep(60))
      shows "heartbeat"
      order "key \27[A"
      order "size 60 100"
      shows "\nroutes\n"
      shows "\nworkers\n"
      wait.for_("a picture that fits", function() return lines() <= 60 end)
      order "size 3 10"
      wait.for_("a small picture", function() return lines() <= 5 end)
      order "key  "
      order "size 40 100"
      shows "PAUSED"
      order "key q"
      assert.equal(0, top:wait())
    end)

    it("gives the terminal back while it is stopped, and takes it again", function()
      start(40, 100)
      shows "breakers"
      order "key \26"
      wait.for_("the terminal to be given back", function()
        return top:stdout():find "\27%[%?1049l$"
      end)
      -- It may not have stopped yet.
      wait.for_("the terminal to be taken again", function()
        order "continue"
        return top:stdout():find "\27%[%?1049l\27%[%?1049h"
      end)
      shows "breakers"
      order "key q"
      assert.equal(0, top:wait())
    end)

    it("is one picture where escape sequences are not known", function()
      local child = spawn { "/usr/bin/python3", "spec/support/terminal.py", control, 40, 100,
        "/usr/bin/env", "TERM=dumb", process.program "weir", "top", "--admin", g.admin }
      assert.equal(0, child:wait())
      assert.matches("breakers", child:stdout())
      assert.is_nil(child:stdout():find("\27", 1, true))
    end)

    it("goes on when weir does not answer, and says so", function()
      local other = gateway.start { SCRIPT, workers = 1 }
      start(40, 100, other.admin)
      shows "breakers"
      other:stop()
      shows "no weir answers at "
      shows "Connection refused"
      top:signal "TERM"
      assert.equal(0, top:wait())
      assert.matches("\27%[%?1049l$", top:stdout())
    end)
  end)
end)
