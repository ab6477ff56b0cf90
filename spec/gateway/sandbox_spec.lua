local gateway = require "spec.support.gateway"
local json = require "cjson"

-- What a served handler can reach, as opposed to one in a bare state (unit/runtime/script).
describe("a served script", function()
  local g

  setup(function()
    g = gateway.start { [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local shared = {}
      GLOBAL_TABLE = { n = 0 }
      weir.route("GET /globals", function()
        local found = {}
        found["io"] = io ~= nil
        found["debug"] = debug ~= nil
        found["ffi"] = ffi ~= nil
        found["jit"] = jit ~= nil
        found["package"] = package ~= nil
        found["load"] = load ~= nil
        found["loadstring"] = loadstring ~= nil
        found["loadfile"] = loadfile ~= nil
        found["dofile"] = dofile ~= nil
        found["getfenv"] = getfenv ~= nil
        found["setfenv"] = setfenv ~= nil
        found["newproxy"] = newproxy ~= nil
        found["coroutine"] = coroutine ~= nil
        found["collectgarbage"] = collectgarbage ~= nil
        found["module"] = module ~= nil
        for _, name in ipairs { "execute", "exit", "remove", "rename", "tmpname", "getenv" } do
          found["os." .. name] = os ~= nil and os[name] ~= nil
        end
        found["string.dump"] = string.dump ~= nil
        return weir.json(200, found)
      end)
      weir.route("GET /try/:what", function(req)
        local tries = {
          global = function() leaked = 1 end,
          g = function() _G.leaked = 1 end,
          rawset = function() rawset(_G, "leaked", 1) end,
          meta = function() getmetatable("").__index = function() return "owned" end end,
          string = function() string.format = nil end,
          weir = function() weir.route = nil end,
          listen = function() weir.listen ":1" end,
          route = function() weir.route("GET /later", function() return "x" end) end,
          upstream = function()
            weir.upstream("later", { endpoints = { "http://127.0.0.1:1" } })
          end,
          policy = function() weir.policy("later", { weir.breaker {} }) end,
          every = function() weir.every("1s", function() end) end,
          require = function() require "os" end,
          core = function() require "weir.core" end,
          request = function() getmetatable(req).__index = nil end,
          framing = function()
            return weir.response(200, "x", { ["Transfer-Encoding"] = "chunked" })
          end,
          header = function() return weir.response(200, "x", { ["X-A"] = "a\r\nX-B: c" }) end,
          status = function() return weir.response(99, "x") end,
        }
        local ok, err = pcall(tries[req.params.what])
        return weir.json(200, { ok = ok, err = tostring(err) })
      end)
      weir.route("GET /state", function()
        GLOBAL_TABLE.n = GLOBAL_TABLE.n + 1
        return tostring(GLOBAL_TABLE.n)
      end)
      weir.route("GET /later", function() return "not replaced" end)
      weir.route("GET /pattern", function()
        return tostring((("a"):rep(10000) .. "b"):find(("a?"):rep(10000) .. ("a"):rep(10000)))
      end)
      weir.route("GET /nested", function()
        local ok = pcall(function() pcall(function() weir.sleep "1ms"; error "x" end);
          weir.sleep "1ms"; error "y" end)
        return tostring(ok)
      end)
      weir.route("GET /meta", function()
        local t = setmetatable({}, { __index = function(_, k) weir.sleep "1ms"; return k end,
          __call = function() weir.sleep "1ms"; return "called" end })
        return t.x .. t()
      end)
      weir.route("GET /sort", function()
        local ok, err = pcall(table.sort, { 3, 2, 1 }, function(a, b) weir.sleep "1ms";
          return a < b end)
        return tostring(ok)
      end)
      weir.route("GET /gone", function(req)
        weir.spawn(function()
          weir.sleep "30ms"
          local ok, err = pcall(function() return req.path end)
          weir.log.info("spawned", { ok = ok, err = tostring(err) })
        end)
        return "bye"
      end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function() g:stop() end)

  it("sees nothing that reaches out of it", function()
    for name, is_there in pairs(json.decode(g:get "/globals".body)) do
      assert.is_false(is_there, name)
    end
  end)

  for _, what in ipairs { "global", "g", "rawset", "meta", "string", "weir", "listen", "route",
    "upstream", "policy",
    "every", "require", "core", "request", "framing", "header", "status" } do
    it("cannot do this while it serves: " .. what, function()
      local r = g:get("/try/" .. what)
      assert.equal(200, r.status, r.body)
      local said = json.decode(r.body)
      assert.is_false(said.ok, said.err)
      assert.equal("not replaced", g:get "/later".body)
    end)
  end

  it("may wait in pcall, in metamethods and in calls", function()
    assert.equal("false", g:get "/nested".body)
    assert.equal("xcalled", g:get "/meta".body)
  end)

  it("is told when it waits where nothing can wait", function()
    assert.is_truthy(g:get "/sort".body:find "^%a+$")
  end)

  it("cannot hold the loop with a pattern", function()
    local r = g:get "/pattern"
    assert.is_true(r.status == 200 or r.status == 500)
    assert.equal("not replaced", g:get "/later".body)
  end)

  it("is told when it uses a request that is over", function()
    g:get "/gone"
    local line = g:wait_log("script.log", { message = "spawned" })
    assert.is_false(line.fields.ok)
    assert.is_truthy(line.fields.err:find "over")
  end)
end)
