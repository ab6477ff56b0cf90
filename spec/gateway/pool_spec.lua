local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

-- What rides pooled connections, and what is made of those that are dead.
describe("pooled connections", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local at = { "http://127.0.0.1:$(origin)" }
      local recent = weir.upstream("recent", { endpoints = at, pool = { idle = "1h" } })
      local careful = weir.upstream("careful", { endpoints = at, pool = { reuse = "idempotent" } })
      weir.route("/recent/*rest", function(req)
        return recent:forward(req, { path = "/" .. req.params.rest })
      end)
      weir.route("/careful/*rest", function(req)
        return careful:forward(req, { path = "/" .. req.params.rest })
      end)
      weir.route("/die/now", function(req)
        return recent:forward(req, { path = "/run?close" })
      end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function connection(method, path)
    local r = g:request(method, path, nil, method == "POST" and "x" or nil)
    assert.equal(200, r.status, r.body)
    return json.decode(r.body).connection
  end

  it("that answered within the last second are ridden by POSTs, too", function()
    -- On a machine that is busy the second may be over.
    wait.for_("a POST on a pooled connection", function()
      return connection("GET", "/recent/ok") == connection("POST", "/recent/ok")
    end)
  end)

  it("are counted, idle and active ones", function()
    connection("GET", "/recent/ok")
    wait.for_("an idle connection in the metrics", function()
      return g:metric("http_client_open_connections", "idle") >= 1
        and g:metric("http_client_open_connections", "active") == 0
    end)
  end)

  it("are left to idempotent requests where the policy says so", function()
    local first = connection("GET", "/careful/ok")
    assert.not_equal(first, connection("POST", "/careful/ok"))
    assert.not_equal(first, connection("POST", "/careful/ok"))
  end)

  it("that turn out dead give an idempotent request a second chance, which is counted", function()
    connection("GET", "/recent/ok")
    local before = o:counts().methods
    local resent = g:metric("weir_upstream_resent_total", "recent")
    assert.equal(502, g:get("/die/now").status)
    assert.equal(before.GET + 2, o:counts().methods.GET)
    assert.equal(resent + 1, (g:metric("weir_upstream_resent_total", "recent")))
    connection("GET", "/recent/ok")
    assert.equal(502, g:request("POST", "/die/now", nil, "x").status)
    assert.equal((before.POST or 0) + 1, o:counts().methods.POST)
    assert.equal(resent + 1, (g:metric("weir_upstream_resent_total", "recent")))
  end)
end)
