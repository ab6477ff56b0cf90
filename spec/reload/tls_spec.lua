--- Certificates and reloads: what is taken up, what is refused, and that no client notices.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local tls = require "spec.support.tls_client"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen("127.0.0.1:$(port)", { tls = {
    certificates = { { cert = "$(cert)", key = "$(key)" } } } })
  weir.route("GET /x", function() return "ok" end)
]]

describe("a reload", function()
  local folder, ca, served, g

  before_each(function()
    folder = certificates.new()
    ca = folder:authority "root"
    served = folder:make("served", { san = "DNS:a.example", by = ca })
  end)

  after_each(function()
    if g then g:kill() end
    g = nil
    folder:remove()
  end)

  local function start(options)
    options = options or {}
    options[1] = options[1] or MAIN
    options.cert, options.key = served.cert, served.key
    g = gateway.start(options)
  end

  local function get()
    return tls.ask { ["do"] = "get", port = g.port, sni = "a.example", ca = ca.cert, path = "/x" }
  end

  it("takes up renewed certificates under load, and no request fails", function()
    start()
    local done = folder.path .. "/done"
    local load = tls.start { ["do"] = "load", port = g.port, sni = "a.example", ca = ca.cert,
      path = "/x", ["until"] = done }
    load:line "running"
    for i = 1, 4 do
      certificates.replace(served, folder:make("renewed" .. i, { san = "DNS:a.example", by = ca }))
      local verdict = g:reload()
      assert.same({ "live", true }, { verdict.result, verdict.changed })
      local serial = ("%02X"):format(i + 1)
      wait.for_("the new certificate", function() return get().serial == serial end)
    end
    assert(io.open(done, "w")):close()
    local r = tls.answer(load)
    assert.same({}, r.failures)
    assert.is_true(r.kept > 20 and r.fresh > 5)
    g:stop()
  end)

  it("takes a turn of the loop for each certificate, and stands still for none", function()
    local COUNT = 60
    local list = {}
    for i = 1, COUNT do
      list[i] = ('{ cert = "$(cert)%d", key = "$(key)%d" }'):format(i, i)
    end
    start()
    for i = 1, COUNT do
      assert(os.execute(("cp %s %s%d && cp %s %s%d"):format(served.cert, served.cert, i, served.key,
        served.key, i)) == 0)
    end
    local function slices() return (g:metric "weir_policy_load_seconds_count") end
    local before = slices()
    g:reload { (MAIN:gsub("certificates = (%b{})", "certificates = { " .. table.concat(list, ", ")
      .. " }")) }
    -- One takes several times as long as a slice is.
    assert.is_true(slices() - before >= COUNT, slices() - before .. " slices")
    g:stop()
  end)

  it("comes by itself for a watched file, whatever its name, and for no other beside it", function()
    start { watch = true }
    g:expect "reload" -- between the certificate and its key
    local first = get().serial
    local other = assert(io.open(folder.path .. "/other.pem", "w"))
    for i = 1, 100 do other:write("line ", i, "\n"); other:flush() end
    other:close()
    certificates.replace(served, folder:make("renewed", { san = "DNS:a.example", by = ca }))
    wait.for_("the new certificate", function() return get().serial ~= first end)
    wait.for_("the reload to be counted", function() return g:status().reloads.live == 2 end)
    g:stop()
  end)

  it("without a change is none", function()
    start()
    assert.is_false(g:reload().changed)
    g:stop()
  end)

  it("refuses files that are no good, naming file and reason, and the old ones stay", function()
    start()
    local other = folder:make("other", { by = ca })
    local expired = folder:make("expired", { san = "DNS:a.example", by = ca, days = -1 })
    g:expect "reload"
    for _, case in ipairs {
      { served.cert, "/nowhere.pem", "cannot read '/nowhere.pem': No such file" },
      { served.cert, served.key, "it holds no certificate" },
      { served.key, other.key, "it does not belong to certificate '" .. served.cert .. "'" },
      { served.key, served.cert, "it holds no private key" },
    } do
      local verdict = g:reload { (MAIN:gsub("%$%(" .. (case[1] == served.cert and "cert" or "key")
        .. "%)", case[2])) }
      assert.equal("failed", verdict.result)
      assert.is_truthy(verdict.message:find(case[3], 1, true), verdict.message)
      assert.equal(2, verdict.line)
      assert.equal("01", get().serial)
    end
    local before = folder:make("before", { san = "DNS:a.example", by = ca })
    certificates.replace(before, served)
    certificates.replace(served, expired)
    local verdict = g:reload { MAIN }
    assert.equal("failed", verdict.result)
    assert.is_truthy(verdict.message:find("it expired at", 1, true), verdict.message)
    assert.equal("01", get().serial)
    certificates.replace(served, before)
    assert.equal("live", g:reload().result)
    g:stop()
  end)

  it("is not needed by a worker that starts anew, whatever the files are by then", function()
    start { workers = 1 }
    certificates.replace(served, folder:make("other", { by = ca }))
    os.execute("rm " .. served.cert)
    local pid = g:pids()[1]
    g:expect "worker.exit"
    os.execute("kill -KILL " .. pid)
    wait.for_("a new worker", function()
      local now = g:pids()[1]
      return now ~= pid and now ~= 0
    end)
    g:workers_live()
    assert.equal("01", get().serial)
    g:stop()
  end)

  it("keeps sessions, and so does a change of the tickets' keys; a second one ends them", function()
    start { session_keys = "1s" }
    local go = folder.path .. "/go"
    local client = tls.start { ["do"] = "resume", port = g.port, sni = "a.example", path = "/x",
      times = 4, wait_for = go }
    client:line "waiting"
    g:reload { MAIN .. "-- changed\n" }
    assert(io.open(go, "w")):close()
    assert.equal(4, tls.answer(client).resumed)
    os.remove(go)
    client = tls.start { ["do"] = "resume", port = g.port, sni = "a.example", path = "/x",
      times = 4, wait_for = go }
    client:line "waiting"
    -- A ticket that this client cannot know of tells the time: once it is stale, so is the other.
    wait.for_("the keys to have changed twice", function()
      return tls.ask { ["do"] = "stale", port = g.port, sni = "a.example", path = "/x" }.stale
    end, 20)
    assert(io.open(go, "w")):close()
    assert.equal(0, tls.answer(client).resumed)
    assert.equal(200, get().status)
    g:stop()
  end)

  it("moves an address to TLS and back", function()
    start()
    assert.equal("live", g:reload { [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "plain" end)
    ]] }.result)
    assert.equal("plain", g:get "/x".body)
    assert.equal("live", g:reload { MAIN }.result)
    assert.equal(200, get().status)
    g:stop()
  end)
end)
