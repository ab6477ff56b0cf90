local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

-- A connection each: one that dies when it is used again is tried anew by the transport.
local function answer(body, fields)
  return origin.answer("200 OK", body, fields .. "Connection: close\r\n")
end

-- Age stands in for time that passes: "max-age=60" and "Age: 100" is 40 s stale.
local function stale(body, directives)
  return answer(body, ("Cache-Control: max-age=60%s\r\nAge: 100\r\n"):format(
    directives and ", " .. directives or ""))
end

local function fresh(body)
  return answer(body, "Cache-Control: max-age=60\r\n")
end

local failures = {
  { "closes the connection", "close" },
  { "answers 500", origin.answer("500 Oh", "", "Connection: close\r\n") },
  { "answers 502", origin.answer("502 Oh", "", "Connection: close\r\n") },
  { "answers 503", origin.answer("503 Oh", "", "Connection: close\r\n") },
  { "answers 504", origin.answer("504 Oh", "", "Connection: close\r\n") },
}

describe("the HTTP cache", function()
  local g, o
  local count = 0

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("origin", { weir.bulkhead(8) })
      local stores = {
        loose = weir.http_cache("loose"),
        strict = weir.http_cache("strict", { stale_if_error = 0 }),
        behind = weir.http_cache("behind", { stale_while_revalidate = "1m" }),
        own = weir.http_cache("own", { shared = false }),
      }
      weir.route("/:store/:name", function(req)
        local path = "/plan/" .. req.params.name
        return stores[req.params.store]:serve(req, function()
          return guarded(function() return up:forward(req, { path = path }) end)
        end)
      end)
    ]] }
  end)

  teardown(function()
    g:wait_idle()
    g:stop()
    o:kill()
  end)

  local function resource(responses)
    count = count + 1
    local name = "s" .. count
    o:plan(name, responses)
    return name
  end

  local function get(name, store, headers)
    return g:get(("/%s/%s"):format(store or "strict", name), headers)
  end

  describe("when the origin", function()
    for _, failure in ipairs(failures) do
      it(failure[1] .. ", serves stale as far as stale-if-error permits", function()
        local allowed = resource { stale("one", "stale-if-error=60"), failure[2] }
        get(allowed)
        local r = get(allowed)
        assert.equal(200, r.status)
        assert.equal("one", r.body)
        assert.truthy(tonumber(r.headers.age) >= 100)
        assert.truthy(r.headers["cache-status"]:find("weir; fwd=stale; ", 1, true))
        local past = resource { stale("one", "stale-if-error=30"), failure[2] }
        get(past)
        assert.truthy(get(past).status >= 500)
      end)

      it(failure[1] .. ", serves stale as far as the policy permits", function()
        local name = resource { stale("one", 'x="stale-if-error=60"'), failure[2], failure[2] }
        get(name, "loose")
        assert.equal("one", get(name, "loose").body)
        local none = resource { stale("one"), failure[2] }
        -- without validator nor permission nothing would ever use it
        get(none)
        assert.truthy(get(none).status >= 500)
      end)

      local strict = { "must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1" }
      for _, directive in ipairs(strict) do
        it(failure[1] .. ", serves nothing stale against " .. directive, function()
          local name = resource { answer("one",
            "Cache-Control: max-age=60, stale-if-error=60, " .. directive
            .. '\r\nAge: 100\r\nETag: "x"\r\n'), failure[2] }
          get(name, "loose")
          local r = get(name, "loose", { ["Cache-Control"] = "stale-if-error=60" })
          assert.truthy(r.status >= 500)
          assert.truthy(o:seen(name)[2]:find 'If%-None%-Match: "x"')
        end)
      end
    end

    it("answers 404, passes that on", function()
      local name = resource { stale("one", "stale-if-error=60"),
        origin.answer("404 No", "gone", "Connection: close\r\n") }
      get(name)
      assert.equal("gone", get(name).body)
    end)

    it("fails, obeys proxy-revalidate in shared caches only", function()
      local name = resource { stale("one", "proxy-revalidate, stale-if-error=60"), "close" }
      get(name, "own")
      assert.equal("one", get(name, "own").body)
    end)

    it("fails, lets the client permit it too", function()
      local name = resource { answer("one", "Cache-Control: max-age=60, stale-if-error=1\r\n"
        .. 'Age: 100\r\nETag: "x"\r\n'), "close", "close" }
      get(name)
      assert.equal(502, get(name).status)
      assert.equal("one", get(name, nil, { ["Cache-Control"] = "stale-if-error=60" }).body)
    end)
  end)

  describe("with stale-while-revalidate", function()
    it("serves stale at once, and refreshes behind", function()
      local gate = "gate" .. count
      local name = resource { stale("one", "stale-while-revalidate=60"),
        { "until:" .. gate, fresh "two" } }
      get(name)
      local second = get(name)
      assert.equal("one", second.body)
      assert.truthy(second.headers["cache-status"]:match "^weir; hit; ttl=%-4[01]$")
      assert.equal("one", get(name).body)
      o:release(gate)
      wait.for_("the refreshed one", function() return get(name).body == "two" end)
    end)

    it("refreshes by validation, as a GET without what was for one client", function()
      local name = resource {
        answer("0123", "Cache-Control: max-age=60, stale-while-revalidate=60\r\n"
          .. 'Age: 100\r\nETag: "x"\r\n'),
        'send:HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: "x"\r\n'
          .. "Cache-Control: max-age=60\r\n\r\n" }
      get(name)
      local part = get(name, nil, { Range = "bytes=0-1" })
      assert.equal("01", part.body)
      wait.for_("the validation", function() return #o:seen(name) == 2 end)
      local head = o:seen(name)[2]
      assert.truthy(head:find 'If%-None%-Match: "x"')
      assert.is_nil(head:find "Range")
      wait.for_("it to be fresh", function()
        return get(name).headers["cache-status"]:match "ttl=[56]%d$"
      end)
      assert.equal("0123", get(name).body)
      assert.equal(2, #o:seen(name))
    end)

    it("refreshes for HEAD too, with GET", function()
      local name = resource { stale("one", "stale-while-revalidate=60"), fresh "two" }
      get(name)
      assert.equal("3", g:request("HEAD", "/strict/" .. name).headers["content-length"])
      wait.for_("the refresh", function() return get(name).body == "two" end)
      assert.truthy(o:seen(name)[2]:find "^GET ")
    end)

    it("goes on serving stale when the refresh fails, and tries again", function()
      local name = resource { stale("one", "stale-while-revalidate=60"), "close",
        origin.answer("503 Oh", "", "Connection: close\r\n"), fresh "three" }
      get(name)
      for tries = 2, 4 do
        wait.for_("refresh " .. tries, function()
          if #o:seen(name) >= tries then return true end
          assert.equal(200, get(name).status)
        end)
      end
      wait.for_("the fresh one", function() return get(name).body == "three" end)
    end)

    it("asks first when it is too stale, or when the response forbids it", function()
      local late = resource { stale("one", "stale-while-revalidate=30"), fresh "two" }
      get(late)
      assert.equal("two", get(late).body)
      local forbidden = resource { stale("one", "stale-while-revalidate=60, must-revalidate"),
        fresh "two" }
      get(forbidden, "behind")
      assert.equal("two", get(forbidden, "behind").body)
    end)

    it("does so for what does not say, when the policy does", function()
      local name = resource { answer("one",
        'Cache-Control: max-age=60\r\nAge: 100\r\nETag: "x"\r\n'), fresh "two" }
      get(name, "behind")
      assert.equal("one", get(name, "behind").body)
      wait.for_("the refresh", function() return get(name, "behind").body == "two" end)
    end)
  end)
end)
