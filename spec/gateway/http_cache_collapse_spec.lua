local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local CLIENTS = 20

describe("the HTTP cache", function()
  local g, o
  local count = 0

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local pages = weir.http_cache("pages", { max_object = "3MiB" })
      weir.route("/pages/:name", { deadline = "30s" }, function(req)
        return pages:serve(req, function()
          return up:forward(req, { path = "/plan/" .. req.params.name })
        end)
      end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function resource(responses)
    count = count + 1
    local name = "c" .. count
    o:plan(name, responses)
    return name
  end

  local function begin(name) return g:begin("GET", "/pages/" .. name) end

  local function get(name) return g:get("/pages/" .. name) end

  local function is_asked(name, times)
    wait.for_(times .. " requests at the origin", function() return #o:seen(name) >= times end)
  end

  it("asks the origin once for all who want the same at once, in all workers", function()
    local name = resource { { "until:all",
      origin.answer("200 OK", "one", "Cache-Control: max-age=60\r\n") } }
    local clients = {}
    for i = 1, CLIENTS do clients[i] = begin(name) end
    is_asked(name, 1)
    o:release "all"
    local how = { stored = 0, collapsed = 0, hit = 0 }
    for i = 1, CLIENTS do
      local r = clients[i]:response()
      assert.equal("one", r.body)
      for word in pairs(how) do
        if r.headers["cache-status"]:find(word, 1, true) then how[word] = how[word] + 1 end
      end
      clients[i]:close()
    end
    assert.equal(1, how.stored)
    assert.equal(CLIENTS, how.stored + how.collapsed + how.hit)
    assert.equal(1, #o:seen(name))
  end)

  it("asks once for what is to be validated, too", function()
    local name = resource {
      origin.answer("200 OK", "one", 'Cache-Control: max-age=60\r\nAge: 100\r\nETag: "x"\r\n'),
      { "until:valid", 'send:HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n'
        .. "Cache-Control: max-age=60\r\n\r\n" },
    }
    get(name)
    local clients = {}
    for i = 1, CLIENTS do clients[i] = begin(name) end
    is_asked(name, 2)
    o:release "valid"
    for i = 1, CLIENTS do
      assert.equal("one", clients[i]:response().body)
      clients[i]:close()
    end
    assert.equal(2, #o:seen(name))
  end)

  it("lets nobody wait for the end of what will not be stored", function()
    local private = "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 3\r\n\r\n"
    local plan = { { "until:head", "send:" .. private, "until:body", "send:one" } }
    for i = 2, 2 * CLIENTS do plan[i] = "send:" .. private .. "one" end
    local name = resource(plan)
    local first, waiting = begin(name), {}
    is_asked(name, 1)
    for i = 2, CLIENTS do waiting[i] = begin(name) end
    wait.for_("the others to wait", function()
      return g:metric("weir_cache_waiting_calls", 'name="pages"') == CLIENTS - 1
    end)
    o:release "head"
    for i = 2, CLIENTS do -- the first one's body has not come yet
      assert.equal("one", waiting[i]:response().body)
      waiting[i]:close()
    end
    for _ = 1, CLIENTS do assert.equal("one", get(name).body) end -- nor does anybody wait anew
    o:release "body"
    assert.equal("one", first:response().body)
    first:close()
  end)

  it("hands the lead on when the client that led leaves", function()
    local answer = origin.answer("200 OK", "one", "Cache-Control: max-age=60\r\n")
    local name = resource { { "until:never", answer }, answer, answer }
    local first = begin(name)
    is_asked(name, 1)
    local second = begin(name)
    first:close()
    assert.equal("one", second:response().body)
    assert.equal(2, #o:seen(name))
    second:close()
    o:release "never"
  end)

  it("lets nobody wait for a client that reads slowly", function()
    local size = 3 * 1024 * 1024 -- more than a socket takes
    local name = resource { { ("send:HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
      .. "Content-Length: %d\r\n\r\n"):format(size), "zeros:" .. size } }
    local slow = g:connect { receive_buffer = 4096 }
    slow:send(gateway.head("GET", "/pages/" .. name))
    is_asked(name, 1)
    assert.equal(size, #get(name).body)
    assert.equal(1, #o:seen(name))
    assert.equal(size, #slow:response().body)
    slow:close()
  end)

  it("refreshes behind what is large, too", function()
    local size = 2 * 1024 * 1024
    local function answer(directives)
      return { ("send:HTTP/1.1 200 OK\r\nCache-Control: max-age=60, stale-while-revalidate=60\r\n"
        .. "%sContent-Length: %d\r\n\r\n"):format(directives, size), "zeros:" .. size }
    end
    local name = resource { answer "Age: 100\r\n", answer "" }
    get(name)
    assert.equal(size, #get(name).body)
    wait.for_("the fresh one", function()
      local r = get(name)
      return r.headers["cache-status"]:match "ttl=[56]%d$" and #r.body == size
    end)
    assert.equal(2, #o:seen(name))
  end)
end)
