--- Clients that hold on to what they get: their neighbours do not notice, and nothing is left of
--- them.
local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local neighbour = require "spec.support.neighbour"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local BUNDLE = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local large = ("l"):rep(512 * 1024)
  weir.route("GET /small", function() return "small" end)
  weir.route("GET /large", function() return large end)
  weir.route("POST /upload", { deadline = "1h" }, function(req)
    local text, err = req:text()
    if not text then return nil, err end
    return tostring(#text)
  end)
]]

describe("hostile clients", function()
  local g, n
  local crowds = {}

  local function crowd(mode, count)
    local p = process.spawn { "/usr/bin/python3", "spec/support/crowd.py", g.port, mode, count }
    crowds[#crowds + 1] = p
    return p
  end

  local function held(p)
    local open, closed = p:line("held open (%d+) closed (%d+)", 60)
    return tonumber(open), tonumber(closed)
  end

  local function disperse()
    for _, p in ipairs(crowds) do p:kill() end
    crowds = {}
  end

  after_each(function()
    disperse()
    if n then n:kill() end
    if g then g:stop() end
    g, n = nil, nil
  end)

  -- The allocator keeps what it may need again, a little more in each of the first rounds; a leak
  -- grows in all of many.
  it("in a crowd of ten thousand, idle, trickling and kept alive, leave nothing behind", function()
    local ROUNDS = load.is_long and 8 or 2
    g = gateway.start { workers = 2, log_level = "warn", BUNDLE }
    assert.equal(200, g:get("/small").status)
    local descriptors, memory = neighbour.descriptors(g), neighbour.memory(g)
    local after, growth = nil, math.huge
    for round = 1, ROUNDS do
      n = neighbour.start(g.port, load.is_long and 20 or 4)
      local open = 0
      local function gather(parts)
        for _, p in ipairs(parts) do
          local mine, closed = held(p)
          assert.equal(0, closed)
          open = open + mine
        end
      end
      gather { crowd("idle", 6500), crowd("keep", 2000) }
      gather { crowd("trickle", 1500) } -- a head has 10 s
      assert.equal(10000, open)
      wait.for_("all to be accepted", function() -- connected is who waits for that
        local now = neighbour.descriptors(g)
        return now >= descriptors + 10000, now .. " of " .. descriptors + 10000
      end, 30)
      local each = (neighbour.memory(g) - memory) / 10000
      n:expect_unaffected()
      disperse()
      wait.for_("descriptors to come back", function()
        local now = neighbour.descriptors(g)
        return now <= descriptors, now .. " of " .. descriptors
      end, 30)
      local now = neighbour.memory(g)
      assert.is_true(each < 16 * 1024, each .. " bytes each")
      if after then growth = math.min(growth, now - after) end
      after = now
      load.report("crowd", ("round %d: %.0f bytes a connection, %.1f MB after"):format(round, each,
        (now - memory) / 1e6))
    end
    if load.is_long then
      assert.is_true(growth < 2e6, ("each round left %d bytes more"):format(growth))
    end
  end)

  it("that take every descriptor make room for those who ask for something", function()
    g = gateway.start { workers = 1, log_level = "error", descriptors = 100, BUNDLE }
    local function ask() assert.equal(200, g:get("/small").status) end
    ask()
    local before = neighbour.descriptors(g)
    local p = crowd("idle", 300)
    wait.for_("the longest idle to be turned away", function()
      pcall(ask) -- while the crowd comes nobody has idled for long enough
      local closed = p:stdout():match ".*closed (%d+)"
      return (tonumber(closed) or 0) > 150, closed
    end, 30)
    for _ = 1, 200 do ask() end
    disperse()
    wait.for_("descriptors to come back", function()
      return neighbour.descriptors(g) <= before, neighbour.descriptors(g)
    end, 20)
    ask()
  end)

  -- By slowhttptest: heads, bodies and reads that take for ever.
  it("that are slow at everything do not make others slow", function()
    local SECONDS, COUNT = load.is_long and 60 or 5, load.is_long and 3000 or 300
    g = gateway.start { workers = 2, log_level = "error", BUNDLE }
    assert.equal(200, g:get("/small").status)
    local before = neighbour.descriptors(g)
    n = neighbour.start(g.port, SECONDS + 1)
    local url = ("http://127.0.0.1:%d"):format(g.port)
    local runs = {}
    for mode, path in pairs { ["-H"] = "/small", ["-B"] = "/upload", ["-X"] = "/large" } do
      runs[mode] = process.spawn { "/usr/bin/slowhttptest", mode, "-c", COUNT, "-r", COUNT, "-i", 1,
        "-l", SECONDS, "-p", 3, "-u", url .. path, env = { TERM = "dumb" } }
      crowds[#crowds + 1] = runs[mode]
    end
    for mode, p in pairs(runs) do
      p:wait(SECONDS + 30)
      local said = p:stdout():gsub("\27%[[%d;]*m", "")
      local verdict
      for word in said:gmatch "service available:%s*(%u+)" do
        assert(word == "YES", mode .. ": " .. said:sub(-1500))
        verdict = word
      end
      assert.equal("YES", verdict, said:sub(-1500))
    end
    local r = n:expect_unaffected()
    load.report("slowhttptest", ("neighbour p99 %.1f ms"):format(r.p99_ms))
    disperse()
    wait.for_("descriptors to come back", function()
      return neighbour.descriptors(g) <= before, neighbour.descriptors(g)
    end, 40)
  end)
end)
