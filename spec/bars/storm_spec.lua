--- Reloads without end at a constant rate of requests, with WebSockets and server-sent events open
--- all the time (gateways.md §7.3).
local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local COUNT = load.is_long and 10000 or 60
local STREAMS, ROUNDS = 20, 20
local PACE_MS = 250 -- between two reloads of someone who is in a great hurry

local SCRIPT = [[
  local weir = require "weir"
  -- version $(version)
  weir.listen "127.0.0.1:$(port)"
  local function up(name, port)
    return weir.upstream(name, { endpoints = { "http://127.0.0.1:" .. port }, upgrade = true,
      between_bytes = "1h" }) -- events are rare
  end
  local small, sockets, events = up("small", $(small)), up("sockets", $(sockets)),
    up("events", $(events))
  local guarded = weir.policy("guarded", {
    weir.retry { max = 2 }, weir.breaker { min_calls = 20 + $(version) % 7 }, weir.timeout "2s",
  })
  weir.every("50ms", function() end)
  weir.route("GET /", function(req) return guarded(function() return small:forward(req) end) end)
  weir.route("GET /ws", function(req) return sockets:forward(req) end)
  weir.route("GET /*rest", { deadline = "60m" }, function(req) return events:forward(req) end)
]]

-- One event for each round.
local function events_of(name)
  local steps = { "send:HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n" }
  for i = 0, ROUNDS do
    local event = ("data: %d\n\n"):format(i)
    if i > 0 then steps[#steps + 1] = ("until:%s%d"):format(name, i) end
    steps[#steps + 1] = ("send:%x\r\n%s\r\n"):format(#event, event)
  end
  steps[#steps + 1] = "send:0\r\n\r\n"
  return origin.target(steps)
end

describe("a storm of reloads", function()
  local g, n, o, sockets, holder
  local readers = {}

  setup(function()
    local small = ports.free()
    n, o = load.nginx(small), origin.start()
    sockets = process.spawn { "/usr/bin/python3", "spec/support/tunnel.py", "serve" }
    local port = wait.for_("the echo", function() return sockets:stdout():match "port (%d+)" end)
    g = gateway.start { workers = 2, log_level = "warn", small = small, sockets = port,
      events = o.port, version = 0, SCRIPT }
    holder = process.spawn { "/usr/bin/python3", "spec/support/tunnel.py", "hold",
      ("ws://127.0.0.1:%d/ws"):format(g.port), STREAMS }
    wait.for_("the sockets", function() return holder:stdout():find "open" end)
    for i = 1, STREAMS do
      readers[i] = process.spawn { "/usr/bin/curl", "-sSN", "--max-time", "3600",
        "http://127.0.0.1:" .. g.port .. events_of("s") }
    end
    for i, p in ipairs(readers) do
      wait.for_("stream " .. i, function() return p:stdout():find "data: 0\n" end)
    end
  end)

  teardown(function()
    for _, p in ipairs(readers) do p:kill() end
    if holder then holder:kill() end
    g:stop()
    sockets:kill()
    o:kill()
    n:remove()
  end)

  -- All streams get one more event, all sockets one more echo.
  local function round(i)
    holder:signal "USR1"
    o:release("s" .. i)
    wait.for_("the echoes of round " .. i, function()
      return holder:stdout():find(("alive %d\n"):format(i), 1, true)
    end)
    for k, p in ipairs(readers) do
      wait.for_(("event %d of stream %d"):format(i, k), function()
        return p:stdout():find(("data: %d\n"):format(i), 1, true)
      end)
    end
  end

  local version = 0

  local function reload()
    version = version + 1
    local verdict = g:reload { SCRIPT, version = version }
    assert.equal("live", verdict.result, verdict.message)
  end

  -- What a reload takes of the processors, all processes together, while nobody asks anything.
  local function processor_ms(pids)
    local before = load.processor_ms(pids)
    for _ = 1, 20 do reload() end
    return (load.processor_ms(pids) - before) / 20
  end

  -- Requests while someone reloads four times a second.
  local function paced(seconds)
    local w = load.steady(g.port, seconds)
    local due = wait.now()
    while not w:is_over() do
      reload()
      due = due + PACE_MS / 1000
      wait.pause(math.max(0, due - wait.now()) * 1000)
    end
    return w:result()
  end

  it("fails no request, cuts no stream, and leaves no memory behind", function()
    local seconds = load.is_long and 30 or 4
    local quiet = load.steady(g.port, seconds):result()
    assert.equal(0, quiet.bad + quiet.errors, quiet.output)
    local total, w = { requests = 0, bad = 0, errors = 0, p99_ms = {}, output = "" }, nil
    local function turn(is_last)
      if w and (is_last or w:is_over()) then
        local r = w:result()
        w = nil
        for _, key in ipairs { "requests", "bad", "errors", "output" } do
          total[key] = key == "output" and total[key] .. r[key] or total[key] + r[key]
        end
        total.p99_ms[#total.p99_ms + 1] = r.p99_ms
      end
      if not w and not is_last then w = load.steady(g.port, seconds) end
    end
    local pids = g:pids()
    pids[#pids + 1] = g.process.pid
    local each_ms = processor_ms(pids)
    local hurried = paced(seconds)
    assert.equal(0, hurried.bad + hurried.errors, hurried.output)
    local first, done = nil, 0
    for i = 1, COUNT do
      turn()
      reload()
      if i == math.max(20, COUNT / 20) then first = { load.footprint(pids) } end
      if i % (COUNT / ROUNDS) == 0 then
        done = done + 1
        round(done)
      end
    end
    local last = { load.footprint(pids) }
    turn(true)
    table.sort(total.p99_ms)
    local p99 = total.p99_ms[math.ceil(#total.p99_ms / 2)]
    load.report("storm", ("%d reloads, %d requests at 2000/s: %d bad, %d errors; p99 %.1f ms "
      .. "without, %.1f ms with four a second, %.1f ms without a pause (median of %d); %.1f ms of "
      .. "processor each; %d sockets and %d streams, %d rounds; "
      .. "RssAnon %d -> %d kB, fds %d -> %d"):format(COUNT, total.requests, total.bad,
        total.errors, quiet.p99_ms, hurried.p99_ms, p99, #total.p99_ms, each_ms, STREAMS, STREAMS,
        ROUNDS, first[1], last[1], first[2], last[2]))
    assert.equal(0, total.bad, total.output)
    assert.equal(0, total.errors, total.output)
    for i, p in ipairs(readers) do assert.equal(0, p:wait(20), "stream " .. i .. p:stderr()) end
    if process.preset() ~= "asan" then
      assert.is_true(last[1] < first[1] * 1.2 + 4096, first[1] .. " -> " .. last[1] .. " kB")
    end
    assert.is_true(last[2] <= first[2] + 16, first[2] .. " -> " .. last[2] .. " descriptors")
    assert.same({ 0, 0 }, { g:status().workers[1].restarts, g:status().workers[2].restarts })
  end)
end)
