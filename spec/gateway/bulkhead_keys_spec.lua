local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local function script(max)
  return (([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
    local function pass(guarded)
      return function(req)
        local path = req.target:gsub("^/[ab]/", "/")
        return guarded(function() return up:forward(req, { path = path }) end)
      end
    end
    local tenants = weir.policy("tenants", {
      weir.bulkhead { max = MAX, queue = 2, wait = "20s", key = "header:X-Tenant" } })
    weir.route("/run", { deadline = "30s" }, pass(tenants))
    for _, name in ipairs { "a", "b" } do
      weir.route("/" .. name .. "/run", { deadline = "30s" }, pass(weir.policy(name, {
        weir.bulkhead { max = 2, queue = 0, name = "pool" } })))
    end
  ]]):gsub("MAX", max))
end

describe("a bulkhead with keys", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, (script(2)) }
    g:expect "worker.exit"
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local fine = origin.target { origin.answer("200 OK", "x") }

  local function state(in_use, queued)
    wait.for_(("%d inside, %d waiting"):format(in_use, queued), function()
      local b = g:bulkhead "tenants"
      return b.in_use == in_use and b.queued == queued, json.encode(b)
    end)
  end

  local function hang(tenant, count)
    local clients = {}
    for i = 1, count do clients[i] = g:begin("GET", "/run?hang", { ["X-Tenant"] = tenant }) end
    return clients
  end

  local function close(clients)
    for _, c in ipairs(clients) do c:close() end
  end

  it("holds one tenant back, not the others, in all workers", function()
    local a = hang("a", 4)
    state(2, 2)
    local r = g:get(fine, { ["X-Tenant"] = "a" })
    assert.equal(503, r.status)
    assert.matches("2 of 2 in flight, 2 of 2 queued", r.body)
    assert.equal(200, g:get(fine, { ["X-Tenant"] = "b" }).status)
    assert.equal(200, g:get(fine).status)
    assert.equal(1, g:bulkhead "tenants".keys)
    close(a)
    state(0, 0)
    assert.equal(200, g:get(fine, { ["X-Tenant"] = "a" }).status)
  end)

  it("gives back what a dead worker's calls held", function()
    local clients = hang("c", 4)
    state(2, 2)
    for _, pid in ipairs(g:pids()) do
      os.execute("kill -9 " .. pid)
      wait.for_("a successor of " .. pid, function()
        for _, w in ipairs(g:status().workers) do
          if w.pid == pid or w.pid == 0 then return false end
        end
        return true
      end)
      g:workers_live()
    end
    close(clients)
    state(0, 0)
    assert.equal(200, g:get(fine, { ["X-Tenant"] = "c" }).status)
  end)

  it("is resized by a reload: those who wait come in, nobody is thrown out", function()
    local clients = hang("d", 4)
    state(2, 2)
    assert.equal("live", g:reload { (script(3)) }.result)
    state(3, 1)
    assert.equal("live", g:reload { (script(1)) }.result)
    state(3, 1)
    close(clients)
    state(0, 0)
    assert.is_true(g:metric("weir_bulkhead_calls_total", 'name="tenants"', 'kind="admitted"') > 0)
    assert.equal(0, g:metric("weir_bulkhead_keys", 'name="tenants"'))
  end)

  it("with a name is one pool for all policies that say it", function()
    local one, two = g:begin("GET", "/a/run?hang"), g:begin("GET", "/b/run?hang")
    wait.for_("a full pool", function() return g:bulkhead "pool".in_use == 2 end)
    for _, path in ipairs { "/a", "/b" } do
      local r = g:get(path .. fine)
      assert.equal(503, r.status)
      assert.matches("bulkhead 'pool' refused", r.body)
    end
    close { one, two }
    wait.for_("an empty pool", function() return g:bulkhead "pool".in_use == 0 end)
  end)
end)
