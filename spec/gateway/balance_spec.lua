-- How calls are spread over endpoints, as clients see it.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"

local NAMES = { "a", "b", "c" }

-- Three origins that answer with their name on /plan/who, n times.
local function start_origins(n)
  local origins, ports = {}, {}
  for i, name in ipairs(NAMES) do
    origins[i] = origin.start()
    local answers = {}
    for k = 1, n do answers[k] = origin.answer("200 OK", name) end
    origins[i]:plan("who", answers)
    ports[name] = origins[i].port
  end
  return origins, ports
end

describe("an upstream with several endpoints", function()
  local g, origins, ports

  setup(function()
    origins, ports = start_origins(400)
    ports[1] = [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local A, B, C = "http://127.0.0.1:$(a)", "http://127.0.0.1:$(b)", "http://127.0.0.1:$(c)"
      local function up(name, options)
        options.endpoints = options.endpoints or { A, B, C }
        return weir.upstream(name, options)
      end
      local ups = {
        turn = up("turn", { balance = "round_robin" }),
        weighted = up("weighted", { balance = "round_robin",
          endpoints = { { url = A, weight = 5 }, B, { url = C, weight = 1 } } }),
        client = up("client", { balance = "ring_hash", hash = "client" }),
        header = up("header", { balance = "maglev", hash = { header = "X-User" } }),
        cookie = up("cookie", { balance = "maglev", hash = { cookie = "sid" } }),
        param = up("param", { balance = "ring_hash", hash = { param = "id" } }),
        fn = up("fn", { balance = "maglev",
          hash = function(req) return req.headers["X-A"] .. req.query.b end }),
        call = up("call", { balance = "maglev" }),
        near = up("near", { zone = "here", endpoints = { A, { url = B, zone = "here" }, C } }),
        retried = up("retried", { balance = "maglev", hash = { param = "id" } }),
      }
      weir.route("GET /to/:up/:id", function(req)
        return ups[req.params.up]:forward(req, { path = "/plan/who" })
      end)
      weir.route("GET /call/:key", function(req)
        return ups.call:request { path = "/plan/who", key = req.params.key }
      end)
      weir.route("GET /twice/:id", function(req)
        local first = ups.retried:forward(req, { path = "/plan/who" })
        local second = ups.retried:forward(req, { path = "/plan/who" })
        return weir.json(200, { first:text(), second:text() })
      end)
    ]]
    ports.workers = 1
    g = gateway.start(ports)
  end)
  teardown(function()
    g:stop()
    for _, o in ipairs(origins) do o:kill() end
  end)

  local function who(path, headers)
    local r = g:get(path, headers)
    assert.equal(200, r.status, r.body)
    return r.body
  end

  it("takes them in turn", function()
    local got = {}
    for i = 1, 6 do got[i] = who "/to/turn/x" end
    assert.equal("abcabc", table.concat(got))
  end)

  it("takes them by weight, smoothly", function()
    local got = {}
    for i = 1, 7 do got[i] = who "/to/weighted/x" end
    assert.equal("aabacaa", table.concat(got))
  end)

  it("keeps a client at one, whoever the key is", function()
    -- path, headers for a key
    local keys = {
      header = function(key) return "/to/header/x", { ["X-User"] = key } end,
      cookie = function(key)
        return "/to/cookie/x", { Cookie = "theme=sid; sid=" .. key .. "; x=y" }
      end,
      param = function(key) return "/to/param/" .. key end,
      fn = function(key) return "/to/fn/x?b=" .. key, { ["X-A"] = "u" } end,
      call = function(key) return "/call/" .. key end,
    }
    for name, make in pairs(keys) do
      local seen = {}
      for i = 1, 12 do
        local first = who(make("key" .. i))
        seen[first] = true
        assert.equal(first, who(make("key" .. i)), name)
      end
      assert.is_truthy(next(seen, next(seen)), name .. ": not all keys are at one")
    end
    assert.equal(who "/to/client/x", who "/to/client/x")
  end)

  it("prefers those of its zone", function()
    for _ = 1, 10 do assert.equal("b", who "/to/near/x") end
  end)

  it("takes another one for the second attempt", function()
    for i = 1, 10 do
      local got = json.decode(who("/twice/" .. i))
      assert.not_equal(got[1], got[2])
    end
  end)
end)

describe("weir.upstream", function()
  local function load(options)
    local _, text = gateway.fail_to_start { ([[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.upstream("up", { %s, endpoints = { "http://127.0.0.1:1" } })
    ]]):format(options) }
    return text
  end

  it("refuses what makes no sense, and says why", function()
    local cases = {
      { "balance = 'maglef'", "did you mean 'maglev'?" },
      { "hash = 'client'",
        "hash is for balance = 'ring_hash' or 'maglev', and it is 'least_request'" },
      { "balance = 'maglev', hash = { header = 'a', cookie = 'b' }",
        "hash has one of header, cookie and param" },
      { "balance = 'maglev', hash_bound = 0.5", "'hash_bound' must be a number from 1.01 to 100" },
      { "panic = 2", "'panic' must be a ratio from 0 to 1" },
    }
    for _, case in ipairs(cases) do
      local text = load(case[1])
      assert.truthy(text:find(case[2], 1, true), text)
      assert.matches("main.lua:3", text)
    end
  end)
end)
