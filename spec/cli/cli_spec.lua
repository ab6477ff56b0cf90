local socket = require "socket"
local process = require "spec.support.process"

local VERBS = { "run", "check", "reload", "status", "breaker", "chaos", "version", "help" }

local children = {}
local listener

-- Runs weir with these arguments; `serve` (optional) plays the running weir while it runs.
local function weir(arguments, serve)
  local command = { process.program "weir", env = { WEIR_ADMIN = false, NO_COLOR = false } }
  for name, value in pairs(arguments.env or {}) do command.env[name] = value end
  for _, argument in ipairs(arguments) do command[#command + 1] = argument end
  local child = process.spawn(command)
  children[#children + 1] = child
  if serve then serve() end
  local code = child:wait()
  return code, child:stdout(), child:stderr()
end

local function listen()
  listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(10)
  local _, port = listener:getsockname()
  return "127.0.0.1:" .. port
end

-- A running weir that gives one answer. Returns code, stdout, stderr and the request's head.
local function weir_answered(status, body, arguments)
  local seen = {}
  arguments[#arguments + 1] = "--admin=" .. listen()
  local code, out, err = weir(arguments, function()
    local client = assert(listener:accept())
    client:settimeout(10)
    repeat
      local line = assert(client:receive "*l")
      seen[#seen + 1] = line
    until line == ""
    client:send(("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s"):format(status, #body, body))
    client:close()
  end)
  return code, out, err, table.concat(seen, "\n")
end

local function write_file(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local STATUS = [[{"version":"0.1.0","pid":4242,"uptime_s":11530.2,"ready":true,
  "generation":{"number":42,"hash":"9f2c","age_s":184,"file":"shop.lua"},
  "confinement":{"on":true,"uid":65534,"master_capabilities":"net_bind_service",
    "master_no_new_privileges":true,"workers":1},
  "generations":[{"number":41,"state":"draining","age_s":190},
    {"number":42,"state":"live","age_s":184}],
  "workers":[{"slot":0,"pid":4243,"restarts":0,"heartbeat_ms":12,"generation":42,"connections":7,
    "active":3,"lag_s":0.001,"sheds":1.25,"shadow":true},{"slot":1,"pid":4250,"restarts":2}],
  "listeners":["127.0.0.1:8080",{"address":"127.0.0.1:8081"}],
  "breakers":[{"name":"recs","state":"open","failure_rate":0.625,"calls":40,"retry_after_s":4.25},
    {"name":"ünïcode","state":"closed","mode":"normal","failure_rate":0,"calls":100},
    {"name":"new","state":"open","mode":"shadow","failure_rate":1,"calls":20}],
  "limiters":[{"name":"recs","limit":5,"per_s":1,"left":3,"waiting":0,"admitted":2,"refused":0,
    "refused_keys":[{"key":"00f1a2","refused":12,"last_s":1}],
    "keys":0,"shadow":true}],
  "bulkheads":[{"name":"recs","in_use":3,"max":64,"queued":0}],
  "shedders":[{"name":"recs","rule":"vegas","in_use":19,"limit":20,"queued":4,
    "latency_s":0.012,"baseline_s":0.008,
    "shed":{"critical":0,"low":2,"background":40}}],
  "last_reload":{"result":"failed","message":"shop.lua:3: \u001b[2Junexpected symbol"}}]]

describe("weir", function()
  after_each(function()
    for _, child in ipairs(children) do child:kill() end
    children = {}
    if listener then listener:close() end
    listener = nil
  end)

  it("lists its verbs", function()
    for _, flag in ipairs { "help", "--help", "-h" } do
      local code, out, err = weir { flag }
      assert.equal(0, code)
      assert.equal("", err)
      for _, verb in ipairs(VERBS) do
        assert.matches("\n  " .. verb .. " +%w", out)
      end
    end
  end)

  it("shows the list on stderr and fails when it is told nothing", function()
    local code, out, err = weir {}
    assert.equal(2, code)
    assert.equal("", out)
    assert.matches("usage: weir VERB", err)
  end)

  it("explains each verb on less than one screen, before or behind its name", function()
    for _, verb in ipairs(VERBS) do
      local code, out = weir { "help", verb }
      assert.equal(0, code)
      assert.matches("^usage: weir " .. verb, out)
      local _, lines = out:gsub("\n", "")
      assert.is_true(lines <= 24, verb)
      for line in out:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
      local _, same = weir { verb, "--help" }
      assert.equal(out, same)
    end
  end)

  it("corrects command lines and exits with 2", function()
    local cases = {
      { { "relaod" }, "weir: unknown verb 'relaod' (did you mean 'reload'?)" },
      { { "frobnicate" }, "weir: unknown verb 'frobnicate'; 'weir help' lists the verbs" },
      { { "\27[2J" }, "weir: unknown verb '?[2J'; 'weir help' lists the verbs" },
      { { "help", "stats" }, "weir: unknown verb 'stats' (did you mean 'status'?)" },
      { { "status", "--jsno" }, "weir status: unknown option '--jsno' (did you mean '--json'?)" },
      { { "run", "--workes=3", "x" },
        "weir run: unknown option '--workes' (did you mean '--workers'?)" },
      { { "status", "--zzzz" }, "weir status: unknown option '--zzzz'" },
      { { "status", "-x" }, "weir status: unknown option '-x'" },
      { { "status", "--json=1" }, "weir status: option '--json' takes no value" },
      { { "reload", "--admin" }, "weir reload: option '--admin' needs a value" },
      { { "reload", "x" }, "weir reload: unexpected argument 'x'" },
      { { "run" }, "weir run: FILE is missing (usage: weir run FILE)" },
      { { "check", "a", "b" }, "weir check: unexpected argument 'b'" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = weir(case[1])
      assert.equal(2, code, case[2])
      assert.equal("", out)
      assert.equal(case[2] .. "\n", err)
    end
  end)

  it("refuses an admin address that is none and says what one looks like", function()
    local cases = {
      ["localhost"] = "an address is a path that starts with '/', or HOST:PORT",
      ["localhost:0"] = "an address is a path that starts with '/', or HOST:PORT",
      ["localhost:65536"] = "an address is a path that starts with '/', or HOST:PORT",
      [":80"] = "the host of an address is a name, an IPv4 address or [an IPv6 address]",
      ["::1:80"] = "the host of an address is a name, an IPv4 address or [an IPv6 address]",
      ["a/b:80"] = "the host of an address is a name, an IPv4 address or [an IPv6 address]",
      ["unix:"] = "the path of the socket is missing",
      ["/" .. ("x"):rep(107)] = "the path of a socket has at most 107 bytes",
    }
    for address, reason in pairs(cases) do
      local code, _, err = weir { "status", "--admin", address }
      assert.equal(2, code, address)
      assert.equal(("weir status: admin address '%s': %s\n"):format(address, reason), err)
    end
  end)

  it("exits with 1 when its output cannot be written", function()
    local pipe = io.popen(process.program "weir" .. " help 2>&1 >/dev/full; echo $?")
    assert.equal("weir: cannot write the output: No space left on device\n1\n", pipe:read "*a")
    pipe:close()
  end)
end)

describe("weir version", function()
  it("names weir's version and those of its libraries, as text and as JSON", function()
    local code, out = weir { "version" }
    assert.equal(0, code)
    assert.matches("^weir %d+%.%d+%.%d+\n", out)
    local _, json = weir { "version", "--json" }
    for _, name in ipairs { "luajit", "libuv", "libcurl", "c%-ares", "jansson" } do
      assert.matches("\n  " .. name .. " +%d+%.%d+", out)
      assert.matches('"' .. name .. '":"%d+%.%d+', json)
    end
    local _, alias = weir { "--version" }
    assert.equal(out, alias)
  end)
end)

describe("weir reload", function()
  it("posts to /reload and tells what is live", function()
    local code, out, err, head = weir_answered(200,
      '{"result":"live","generation":42,"changed":true,"workers":4,"took_ms":12.4}', { "reload" })
    assert.equal(0, code)
    assert.equal("generation 42 is live in 4 workers (12 ms)\n", out)
    assert.equal("", err)
    assert.matches("^POST /reload HTTP/1.1\n", head)
    assert.matches("\nContent%-Length: 0\n", head)
    assert.is_nil(head:find "Expect")
  end)

  it("tells when nothing has changed", function()
    local code, out = weir_answered(200,
      '{"result":"live","generation":42,"changed":false,"workers":1,"took_ms":2}', { "reload" })
    assert.equal(0, code)
    assert.equal("generation 42 stays live in 1 worker: nothing has changed (2 ms)\n", out)
  end)

  it("shows the place of what is wrong, what stays active, and exits with 78", function()
    local path = write_file(
      "local weir = require 'weir'\n\tweir.retry{ max_atempts = 5 }\nreturn 1\n")
    local code, out, err = weir_answered(422, ([[{"result":"failed","stage":"declare","file":"%s",
      "line":2,"message":"%s:2: unknown option 'max_atempts'","generation":41,
      "traceback":"stack traceback:\n\t%s:2: in main chunk"}]]):format(path, path, path),
      { "reload" })
    os.remove(path)
    assert.equal(78, code)
    assert.equal("", out)
    assert.equal(([[
error[declare]: unknown option 'max_atempts'
  --> %s:2
    1 | local weir = require 'weir'
    2 |  weir.retry{ max_atempts = 5 }
      |              ^^^^^^^^^^^
    3 | return 1
stack traceback:
 %s:2: in main chunk
reload rejected: generation 41 stays active (0 requests affected)
]]):format(path, path), err)
  end)

  it("marks the whole line when the message names nothing on it", function()
    local path = write_file "  bad ü line  \n"
    local _, _, err = weir_answered(422,
      ('{"file":"%s","line":1,"message":"worse","generation":3}'):format(path), { "reload" })
    os.remove(path)
    assert.matches("\n    1 |   bad ü line  \n      |   ^^^^^^^^^^\nreload rejected", err, 1, true)
  end)

  it("does without a source that cannot be read, and without what the answer lacks", function()
    for _, file in ipairs { "/nonexistent.lua", "/dev/zero", "/", "spec" } do
      local code, _, err = weir_answered(422,
        ('{"file":"%s","line":7,"message":"wrong","generation":3}'):format(file), { "reload" })
      assert.equal(78, code)
      assert.equal(("error: wrong\n  --> %s:7\nreload rejected: generation 3 stays active "
        .. "(0 requests affected)\n"):format(file), err)
    end
    local code, _, err = weir_answered(422, "", { "reload" })
    assert.equal(78, code)
    assert.equal("error: no message\nreload rejected: no generation is active\n", err)
  end)

  it("passes JSON through, with the same exit codes", function()
    local code, out = weir_answered(200, '{"generation":42}', { "reload", "--json" })
    assert.equal(0, code)
    assert.equal('{"generation":42}\n', out)
    code, out = weir_answered(422, '{"message":"no"}', { "reload", "--json" })
    assert.equal(78, code)
    assert.equal('{"message":"no"}\n', out)
  end)

  it("exits with 1 at any other answer", function()
    local code, out, err = weir_answered(503, '{"message":"a reload is under way"}', { "reload" })
    assert.equal(1, code)
    assert.equal("", out)
    assert.equal("weir reload: weir answered with status 503: a reload is under way\n", err)
  end)

  it("exits with 3 when no weir answers", function()
    local address = listen()
    listener:close()
    listener = nil
    local cases = {
      { "--admin=" .. address, address, "Connection refused" },
      { "--admin=/nonexistent/weir.sock", "/nonexistent/weir.sock", "No such file or directory" },
      { "--admin=unix:/nonexistent/x", "unix:/nonexistent/x", "No such file or directory" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = weir { "reload", case[1] }
      assert.equal(3, code)
      assert.equal("", out)
      assert.equal(("weir reload: no weir answers at %s: %s\n  start one with 'weir run FILE', "
        .. "or name its address with --admin\n"):format(case[2], case[3]), err)
    end
  end)

  it("exits with 1 when the connection ends without an answer", function()
    local address = listen()
    local code, _, err = weir({ "reload", "--admin", address }, function()
      local client = assert(listener:accept())
      client:receive "*l"
      client:close()
    end)
    assert.equal(1, code)
    assert.equal("weir reload: weir at " .. address
      .. ": the connection ended without a whole answer\n", err)
  end)

  it("finds the address in WEIR_ADMIN, then in XDG_RUNTIME_DIR", function()
    local _, _, err = weir { "reload", env = { WEIR_ADMIN = "/nonexistent/a" } }
    assert.matches("at /nonexistent/a: ", err, 1, true)
    local system = os.rename("/run/weir", "/run/weir") -- is there one?
    if not system then
      _, _, err = weir { "reload", env = { XDG_RUNTIME_DIR = "/nonexistent" } }
      assert.matches("at /nonexistent/weir.sock: ", err, 1, true)
      _, _, err = weir { "reload", env = { XDG_RUNTIME_DIR = false } }
      assert.matches("at /tmp/weir%-%d+%.sock: ", err)
    end
  end)
end)

describe("weir status", function()
  it("shows process, generation and tables", function()
    local code, out, err, head = weir_answered(200, STATUS, { "status" })
    assert.equal(0, code)
    assert.equal("", err)
    assert.matches("^GET /status HTTP/1.1\n", head)
    assert.equal([[
weir 0.1.0  ready  pid 4242  up 3h 12m
generation 42  shop.lua  hash 9f2c  live for 3m 4s
confinement  1 of 2 workers  uid 65534  master keeps net_bind_service
last reload  failed: shop.lua:3: ?[2Junexpected symbol

generations
  number  state        age  hash
      41  draining  3m 10s  -
      42  live       3m 4s  -

workers
  slot   pid  generation  connections  active          sheds  restarts  heartbeat
     0  4243          42            7       3  1.25 (shadow)         0      12 ms
     1  4250           -            -       -              -         2          -

listeners
  address
  127.0.0.1:8080
  127.0.0.1:8081

breakers
  name     state          failures  calls  retry in
  recs     open              62.5%     40      4.2s
  ünïcode  closed             0.0%    100         -
  new      open (shadow)    100.0%     20         -

bulkheads
  name  in use  max  queued  keys
  recs       3   64       0     -

limiters
  name           rate     left  waiting  admitted  refused  keys  most refused
  recs (shadow)  5 in 1s     3        0         2        0     0  00f1a2 (12)

shedders
  name  rule   in use  limit   took  baseline  queued  shed
  recs  vegas      19     20  12 ms   8.00 ms       4    42
]], out)
  end)

  it("shows what there is when fields are missing", function()
    local code, out = weir_answered(200, '{"ready":false}', { "status" })
    assert.equal(0, code)
    assert.equal("weir -  not ready  pid 0  up -\n", out)
    code, out = weir_answered(200, '{"confinement":{"on":false,"uid":0}}', { "status" })
    assert.equal(0, code)
    assert.matches("\nconfinement  off  uid 0\n", out)
  end)

  it("passes JSON through", function()
    local code, out = weir_answered(200, STATUS, { "status", "--json" })
    assert.equal(0, code)
    assert.equal(STATUS .. "\n", out)
  end)

  it("asks over a Unix socket as well", function()
    local unix = require "socket.unix"
    local path = os.tmpname()
    os.remove(path)
    listener = assert((unix.stream or unix)())
    assert(listener:bind(path))
    assert(listener:listen(1))
    for _, address in ipairs { path, "unix:" .. path } do
      local code, out = weir({ "status", "--json", "--admin", address }, function()
        local client = assert(listener:accept())
        repeat until client:receive "*l" == ""
        client:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        client:close()
      end)
      assert.equal(0, code)
      assert.equal("{}\n", out)
    end
    os.remove(path)
  end)

  it("gives up on an answer of more than 16 MB", function()
    local address = listen()
    local code, out, err = weir({ "status", "--admin", address }, function()
      local client = assert(listener:accept())
      client:settimeout(10)
      repeat until client:receive "*l" == ""
      client:send "HTTP/1.1 200 OK\r\n\r\n"
      local megabyte, sent = (" "):rep(2 ^ 20), 0
      while sent < 32 and client:send(megabyte) do sent = sent + 1 end
      client:close()
    end)
    assert.equal(1, code)
    assert.equal("", out)
    assert.equal("weir status: weir at " .. address
      .. ": the answer is larger than 16 MB\n", err)
  end)

  it("exits with 1 when the answer is not weir's", function()
    local code, out, err = weir_answered(200, "<html>", { "status" })
    assert.equal(1, code)
    assert.equal("", out)
    assert.equal("weir status: the answer is not a JSON object: is that address weir's?\n", err)
    code, out, err = weir_answered(404, "", { "status" })
    assert.equal("", out)
    assert.equal(1, code)
    assert.equal("weir status: weir answered with status 404\n", err)
  end)

  it("uses colour on a terminal only, and not when NO_COLOR is set", function()
    local command = process.program "weir" .. " help"
    local function on_terminal(env)
      env.TERM = "xterm"
      local child = process.spawn { "/usr/bin/script", "-qec", command, "/dev/null", env = env }
      children[#children + 1] = child
      assert.equal(0, child:wait())
      return child:stdout()
    end
    assert.is_truthy(on_terminal({ NO_COLOR = false }):find("\27[1m", 1, true))
    assert.is_nil(on_terminal({ NO_COLOR = "1" }):find("\27", 1, true))
    local _, out = weir { "help" }
    assert.is_nil(out:find("\27", 1, true))
  end)
end)
