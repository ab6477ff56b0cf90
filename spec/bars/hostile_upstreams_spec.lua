--- Upstreams that do what they like, beside one that behaves: whose clients notice nothing, and of
--- whose calls nothing is left.
local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local neighbour = require "spec.support.neighbour"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local S = "HTTP/1.1 200 OK\r\n"

-- What it does, and what its client may get: statuses, or "cut" for a response that is not whole.
local HOSTILE = {
  { "garbage", { 502 }, { "send:\255\254\0\1 garbage\r\n\r\n", "close" } },
  { "a page without a head", { 502 }, { "send:<html>\r\n\r\n", "close" } },
  { "the end at once", { 502 }, { "close" } },
  { "a reset", { 502 }, { "reset" } },
  { "half a head, then the end", { 502 }, { "send:HTTP/1.1 200 OK\r\nX: ", "close" } },
  { "a body too short", { 502, "cut" }, { "send:" .. S .. "Content-Length: 100\r\n\r\nshort",
    "close" } },
  -- On a connection that is kept what comes late would be the next call's answer, as no proxy can
  -- tell: spec/conformance/cases/upstreams.lua has what comes at once.
  { "a body too long", { 200 }, { "send:" .. S
    .. "Connection: close\r\nContent-Length: 2\r\n\r\nok", "repeat:100:evil evil evil" } },
  { "chunks that break", { 502, "cut" }, { "send:" .. S
    .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "close" } },
  { "ten thousand fields", { 502 }, { "send:" .. S, "repeat:10000:X: y\r\n", "send:\r\n" } },
  { "a line without an end", { 502 }, { "send:" .. S .. "X: ", "repeat:3000:" .. ("y"):rep(100),
    "hang" } },
  { "interim responses for ever", { 502 }, { "repeat:100000:HTTP/1.1 102 x\r\n\r\n", "hang" } },
  { "an answer before the request is whole", { 200 }, { "early",
    "send:" .. S .. "Content-Length: 2\r\n\r\nok" } },
  { "no answer at all", { 504 }, { "hang" } },
  { "a head that drips", { 504 }, { "slow:100:" .. S .. "X-Slow: " .. ("y"):rep(50) } },
  { "a body that drips", { "cut" }, { "send:" .. S .. "Content-Length: 1000\r\n\r\n",
    "slow:400:" .. ("z"):rep(20) } },
  { "a head and no more", { "cut" }, { "send:" .. S .. "Content-Length: 10\r\n\r\n", "hang" } },
}

-- The status that a client got, or "cut".
local function outcome(c)
  local ok, r = pcall(c.response, c)
  c:close()
  if ok and not r.ended then return r.status, r end
  return "cut", r
end

describe("hostile upstreams", function()
  local g, o, n

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, log_level = "error", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("hostile", { endpoints = { "http://127.0.0.1:$(origin)" },
        between_bytes = "300ms" })
      local guarded = weir.policy("hostile", { weir.bulkhead { max = 1000 } })
      weir.route("/small", function() return "small" end)
      weir.route("/*rest", { deadline = "1s" }, function(req)
        return guarded(function() return up:forward(req) end)
      end)
    ]] }
  end)

  teardown(function()
    if n then n:kill() end
    g:stop()
    o:kill()
  end)

  -- Each of them is asked by GET and by POST at once; returns the outcomes that were not expected.
  local function round()
    local asked, surprises = {}, {}
    for _, row in ipairs(HOSTILE) do
      for _, method in ipairs { "GET", "POST" } do
        asked[#asked + 1] = { row, g:begin(method, origin.target(row[3]), { Connection = "close" },
          method == "POST" and ("p"):rep(1000) or nil) }
      end
    end
    for _, one in ipairs(asked) do
      local row, c = one[1], one[2]
      local got, r = outcome(c)
      local fits = false
      for _, wanted in ipairs(row[2]) do fits = fits or got == wanted end
      if not fits then
        surprises[#surprises + 1] = ("%s: %s %s"):format(row[1], tostring(got),
          type(r) == "table" and r.body or tostring(r))
      end
    end
    return surprises
  end

  it("harm their own calls alone, and leave nothing", function()
    assert.same({}, round())
    g:wait_idle()
    local function settled()
      wait.for_("the origin's connections to end", function()
        local open = o:counts().open
        return open <= 8, open
      end, 20)
      return neighbour.descriptors(g)
    end
    local descriptors, memory = settled(), neighbour.memory(g)
    n = neighbour.start(g.port, load.is_long and 120 or 5)
    local rounds = 0
    while not n:is_over() do
      assert.same({}, round())
      rounds = rounds + 1
    end
    local r = n:expect_unaffected()
    g:wait_idle()
    wait.for_("descriptors to come back", function()
      local now = settled()
      return now <= descriptors + 8, ("%d, before %d"):format(now, descriptors)
    end, 20)
    local growth = neighbour.memory(g) - memory
    load.report("hostile upstreams", ("%d rounds of %d calls, neighbour p99 %.1f ms, %+.1f MB")
      :format(rounds, 2 * #HOSTILE, r.p99_ms, growth / 1e6))
    assert.is_true(growth < 16e6, growth .. " bytes more")
    wait.for_("no request to be under way", function()
      local active = g:metric "http_server_active_requests"
      return active == 0, active
    end)
  end)
end)
