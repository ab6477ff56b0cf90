local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

-- Age stands in for time that passes: nothing here waits for something to become stale.
local function fields(list)
  return #list > 0 and table.concat(list, "\r\n") .. "\r\n" or ""
end

local function ok(body, list) return origin.answer("200 OK", body, fields(list)) end
local function not_modified(list)
  return "send:HTTP/1.1 304 Not Modified\r\n" .. fields(list) .. "\r\n"
end

describe("the HTTP cache", function()
  local g, o
  local count = 0

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local pages = weir.http_cache("pages", { max_object = "64KiB" })
      local strict = weir.http_cache("strict", { stale_if_error = 0, obey_requests = false,
        set_cookie = "never", heuristic = 0 })
      local own = weir.http_cache("own", { shared = false, ttl = "1m", key = "header:X-Tenant" })
      local function serve(store)
        return function(req)
          local path = "/plan/" .. req.params.name
          if req.target:find("?", 1, true) then path = path .. req.target:match "%?.*" end
          return store:serve(req, function() return up:forward(req, { path = path }) end)
        end
      end
      weir.route("/pages/*name", serve(pages))
      weir.route("/strict/*name", serve(strict))
      weir.route("/own/*name", serve(own))
      weir.route("/made", function(req)
        return pages:serve(req, function()
          local made = weir.cache "made"
          local count = (made:get "count" or 0) + 1
          made:set("count", count)
          return weir.response(200, "made " .. count, { ["Cache-Control"] = "max-age=60" })
        end)
      end)
      weir.cache("made", { ttl = "1m" })
      weir.route("/forget/*path", function(req)
        pages:forget(req, "/" .. req.params.path)
        return "done"
      end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  -- A resource of its own for each test: its name below a store's route and at the origin.
  local function resource(responses)
    count = count + 1
    local name = "r" .. count
    o:plan(name, responses)
    return name
  end

  local function get(name, headers, store)
    return g:get(("/%s/%s"):format(store or "pages", name), headers)
  end

  local function status_of(r) return r.headers["cache-status"] end

  local function asked(name) return #o:seen(name) end

  local function last_head(name)
    local heads = o:seen(name)
    return heads[#heads]:lower()
  end

  describe("stores", function()
    it("what says that it is fresh, and tells its age and what it did", function()
      local name = resource { ok("one", { "Cache-Control: max-age=60", "Age: 7", "X-A: b" }) }
      local first, second = get(name), get(name)
      assert.equal("weir; fwd=uri-miss; fwd-status=200; stored", status_of(first))
      assert.truthy(status_of(second):match "^weir; hit; ttl=5[23]$")
      assert.equal("one", second.body)
      assert.equal("b", second.headers["x-a"])
      assert.truthy(tonumber(second.headers.age) >= 7)
      assert.equal(1, asked(name))
    end)

    it("in all workers", function()
      local name = resource { ok("one", { "Cache-Control: max-age=60" }) }
      get(name)
      for _ = 1, 20 do assert.equal("one", get(name).body) end
      assert.equal(1, asked(name))
    end)

    for _, case in ipairs {
      { "no-store", { "Cache-Control: no-store, max-age=60" } },
      { "private", { "Cache-Control: private, max-age=60" } },
      { "no-freshness", {} },
      { "stale", { "Cache-Control: max-age=0" } },
      { "stale", { "Cache-Control: max-age=1, max-age=60" } },
      { "stale", { "Expires: 0" } },
      { "vary", { "Cache-Control: max-age=60", "Vary: Accept, *" } },
      { "vary", { "Cache-Control: max-age=60", "Vary: X-Forwarded-For" } },
      { "set-cookie", { "Cache-Control: max-age=60", "Set-Cookie: a=b" } },
    } do
      it("nothing of what must not be, and says why: " .. table.concat(case[2], ", "), function()
        local name = resource { ok("one", case[2]), ok("two", case[2]) }
        local reason = "weir; fwd=uri-miss; fwd-status=200; detail=" .. case[1]
        assert.equal(reason, status_of(get(name)))
        assert.equal("two", get(name).body)
      end)
    end

    it("what sets a cookie for all when it says so", function()
      local name = resource { ok("one", { "Cache-Control: public, max-age=9", "Set-Cookie: a=b" }),
        ok("two", { "Cache-Control: public, max-age=9", "Set-Cookie: a=b" }) }
      get(name)
      assert.equal("a=b", get(name).headers["set-cookie"])
      local never = resource { ok("one", { "Cache-Control: public, max-age=9", "Set-Cookie: a=b" }),
        ok("two", {}) }
      get(never, nil, "strict")
      assert.equal("two", get(never, nil, "strict").body)
    end)

    it("no answer to a request with Authorization unless it is for all", function()
      local auth = { Authorization = "Basic x" }
      local name = resource { ok("one", { "Cache-Control: max-age=60" }), ok("two", {}) }
      get(name, auth)
      assert.equal("two", get(name, auth).body)
      local open = resource { ok("one", { "Cache-Control: max-age=60, public" }) }
      get(open, auth)
      assert.equal("one", get(open, auth).body)
    end)

    it("no fields that are for one client or one connection", function()
      local name = resource { ok("one", { 'Cache-Control: max-age=60, private="X-User", no-cache=X',
        "X-User: me", "X-Hop: 1", "Connection: X-Hop", "Proxy-Authentication-Info: x" }) }
      get(name)
      local second = get(name)
      for _, field in ipairs { "x-user", "x-hop", "proxy-authentication-info" } do
        assert.is_nil(second.headers[field], field)
      end
    end)

    it("no body that is cut short, and none that is too large", function()
      local cut = resource { { "send:HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
        .. "Content-Length: 10\r\n\r\nabc", "close" }, ok("two", { "Cache-Control: max-age=60" }) }
      pcall(get, cut)
      assert.equal("two", get(cut).body)
      local known = resource { ok(("x"):rep(70000), { "Cache-Control: max-age=60" }),
        ok("two", {}) }
      assert.truthy(status_of(get(known)):find("detail=too-large", 1, true))
      assert.equal("two", get(known).body)
      local chunked = resource { { "send:HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n11170\r\n", "zeros:70000", "send:\r\n0\r\n\r\n" },
        ok("two", {}) }
      assert.equal(70000, #get(chunked).body)
      assert.equal("two", get(chunked).body)
    end)

    it("what arrives in chunks, without its trailers", function()
      local name = resource { "send:HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Late: 1\r\n\r\n" }
      get(name)
      local second = get(name)
      assert.equal("one", second.body)
      assert.is_nil(second.headers["x-late"])
      assert.equal(1, asked(name))
    end)

    it("by a guess from Last-Modified, where the status allows one", function()
      local old = "Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT"
      local name = resource { ok("one", { old }), ok("two", {}) }
      get(name)
      assert.equal("one", get(name).body)
      local created = resource { origin.answer("201 Created", "one", old .. "\r\n"), ok("two", {}) }
      get(created)
      assert.equal("two", get(created).body)
      local off = resource { ok("one", { old }), ok("two", {}) }
      get(off, nil, "strict")
      assert.equal("two", get(off, nil, "strict").body)
    end)

    it("for one user what is private, for the time that the policy says, by the policy's key",
      function()
        local name = resource { ok("one", { "Cache-Control: private" }), ok("two", {}) }
        get(name, { ["X-Tenant"] = "a" }, "own")
        assert.equal("one", get(name, { ["X-Tenant"] = "a" }, "own").body)
        assert.equal("two", get(name, { ["X-Tenant"] = "b" }, "own").body)
      end)

    it("the answer to a POST only when it says that a GET would get it", function()
      local name = resource { ok("one", { "Cache-Control: max-age=60" }), ok("two", {}) }
      g:request("POST", "/pages/" .. name, nil, "x")
      assert.equal("two", get(name).body)
      local same = "r" .. count + 1
      resource { ok("one", { "Cache-Control: max-age=60", "Content-Location: /pages/" .. same }) }
      g:request("POST", "/pages/" .. same, nil, "x")
      assert.equal("one", get(same).body)
    end)
  end)

  describe("keeps apart", function()
    it("hosts, queries and variants", function()
      local fresh = { "Cache-Control: max-age=60", "Vary: Accept-Language" }
      local name = resource { ok("a", fresh), ok("b", fresh), ok("c", fresh), ok("d", fresh) }
      assert.equal("a", get(name, { ["Accept-Language"] = "en, de" }).body)
      assert.equal("b", get(name, { ["Accept-Language"] = "fr" }).body)
      assert.equal("a", get(name, { ["Accept-Language"] = "DE,en" }).body)
      assert.equal("b", get(name, { ["Accept-Language"] = "fr" }).body)
      assert.equal("c", get(name, { ["Accept-Language"] = "en, de", Host = "other.test" }).body)
      assert.equal("d", get(name .. "?x=1", { ["Accept-Language"] = "en, de" }).body)
      assert.equal(4, asked(name))
    end)

    it("requests that pretend to be for something else, or have a body", function()
      local fresh = { "Cache-Control: max-age=60" }
      local name = resource { ok("bad", fresh), ok("bad", fresh), ok("good", fresh) }
      local disguised = get(name, { ["X-HTTP-Method-Override"] = "DELETE" })
      assert.equal("weir; fwd=bypass", status_of(disguised))
      g:request("GET", "/pages/" .. name, nil, "body")
      assert.equal("good", get(name).body)
    end)
  end)

  describe("validates", function()
    local stale = { "Cache-Control: max-age=60", "Age: 100", 'ETag: "v1"', "X-A: old" }

    it("with the stored tag, and merges what a 304 says", function()
      local name = resource { ok("one", stale),
        not_modified { "Cache-Control: max-age=60", "X-A: new", "Content-Length: 99" } }
      get(name)
      local second = get(name)
      assert.equal(200, second.status)
      assert.equal("one", second.body)
      assert.equal("new", second.headers["x-a"])
      assert.truthy(status_of(second):find("fwd=stale; fwd-status=304", 1, true))
      assert.truthy(last_head(name):find('if-none-match: "v1"', 1, true))
      local third = get(name)
      assert.truthy(status_of(third):match "^weir; hit")
      assert.equal("new", third.headers["x-a"])
      assert.equal(2, asked(name))
    end)

    it("with its own condition instead of the client's, and answers the client's itself", function()
      local name = resource { ok("one", stale), not_modified { 'ETag: "v1"' } }
      get(name)
      local mine = get(name, { ["If-None-Match"] = '"other"' })
      assert.equal(200, mine.status)
      assert.equal("one", mine.body)
      assert.is_nil(last_head(name):find('"other"', 1, true))
    end)

    it("what must always be, and replaces it by what is new", function()
      local name = resource { ok("one", { "Cache-Control: no-cache", 'ETag: "v1"' }),
        ok("two", { "Cache-Control: max-age=60", 'ETag: "v2"' }) }
      get(name)
      assert.equal("two", get(name).body)
      assert.truthy(last_head(name):find('if-none-match: "v1"', 1, true))
      assert.equal("two", get(name).body)
      assert.equal(2, asked(name))
    end)

    it("by HEAD, which brings news of what is stored or drops it", function()
      local name = resource { ok("one", stale),
        'send:HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: "v1"\r\n'
          .. "Cache-Control: max-age=60\r\n\r\n",
        ok("two", {}) }
      get(name)
      assert.equal(200, g:request("HEAD", "/pages/" .. name).status)
      assert.equal("one", get(name).body)
      local changed = resource { ok("one", stale),
        'send:HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "v2"\r\n\r\n', ok("two", {}) }
      get(changed)
      g:request("HEAD", "/pages/" .. changed)
      assert.equal("two", get(changed).body)
      assert.is_nil(last_head(changed):find("if-none-match", 1, true))
    end)
  end)

  describe("answers by itself", function()
    local fresh = { "Cache-Control: max-age=60", 'ETag: W/"v,1"', "Content-Type: text/x",
      "Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT" }

    it("conditional requests", function()
      local name = resource { ok("one", fresh) }
      get(name)
      for condition, status in pairs {
        ['"v,1"'] = 304, ['"x", W/"v,1"'] = 304, ["*"] = 304, ['"v"'] = 200, ['"V,1"'] = 200,
      } do
        assert.equal(status, get(name, { ["If-None-Match"] = condition }).status, condition)
      end
      local since = "Mon, 01 Jan 2001 00:00:00 GMT"
      local r = get(name, { ["If-Modified-Since"] = since })
      assert.equal(304, r.status)
      assert.equal('W/"v,1"', r.headers.etag)
      assert.is_nil(r.headers["content-type"])
      local both = { ["If-Modified-Since"] = since, ["If-None-Match"] = '"x"' }
      assert.equal(200, get(name, both).status)
      assert.equal(1, asked(name))
    end)

    it("HEAD, with the length that GET would have", function()
      local name = resource { ok("one", fresh) }
      get(name)
      local r = g:request("HEAD", "/pages/" .. name)
      assert.equal("3", r.headers["content-length"])
      assert.equal("", r.body)
      assert.equal(1, asked(name))
    end)

    it("ranges of what is stored whole", function()
      local name = resource { ok("0123456789", { "Cache-Control: max-age=60", 'ETag: "s"' }) }
      get(name)
      for range, want in pairs {
        ["bytes=0-1"] = { 206, "01", "bytes 0-1/10" },
        ["bytes=8-99"] = { 206, "89", "bytes 8-9/10" },
        ["bytes=7-"] = { 206, "789", "bytes 7-9/10" }, ["bytes=-2"] = { 206, "89", "bytes 8-9/10" },
        ["bytes=10-"] = { 416, "", "bytes */10" }, ["bytes=3-1"] = { 200, "0123456789" },
        ["bytes=0-1,4-5"] = { 200, "0123456789" }, ["lines=0-1"] = { 200, "0123456789" },
      } do
        local r = get(name, { Range = range })
        assert.same(want, { r.status, r.body, r.headers["content-range"] }, range)
      end
      assert.equal(206, get(name, { Range = "bytes=0-1", ["If-Range"] = '"s"' }).status)
      assert.equal(200, get(name, { Range = "bytes=0-1", ["If-Range"] = '"t"' }).status)
      assert.equal(1, asked(name))
    end)

    it("and stores no part as if it were the whole", function()
      local part = origin.answer("206 Partial Content", "01",
        "Cache-Control: max-age=60\r\nContent-Range: bytes 0-1/4\r\n")
      local name = resource { part, ok("0123", {}) }
      assert.equal(206, get(name, { Range = "bytes=0-1" }).status)
      assert.equal("0123", get(name).body)
    end)
  end)

  describe("obeys clients", function()
    it("who want it fresher, staler, or not at all", function()
      local list = { "Cache-Control: max-age=60", "Age: 50" }
      local name = resource { ok("one", list), ok("two", list), ok("three", list), ok("four", list),
        ok("five", {}) }
      get(name)
      assert.equal("two", get(name, { ["Cache-Control"] = "max-age=10" }).body)
      assert.equal("three", get(name, { ["Cache-Control"] = "min-fresh=30" }).body)
      assert.equal("four", get(name, { Pragma = "no-cache" }).body)
      assert.equal("four", get(name, { ["Cache-Control"] = "only-if-cached" }).body)
      assert.equal("five", get(name, { ["Cache-Control"] = "no-store" }).body)
      local stale = resource { ok("one", { "Cache-Control: max-age=60", "Age: 70", 'ETag: "x"' }),
        ok("two", {}) }
      get(stale)
      assert.equal("one", get(stale, { ["Cache-Control"] = "max-stale=60" }).body)
      assert.equal("two", get(stale, { ["Cache-Control"] = "max-stale=5" }).body)
      local r = get(resource {}, { ["Cache-Control"] = "only-if-cached" })
      assert.equal(504, r.status)
    end)

    it("or not, as the policy says", function()
      local name = resource { ok("one", { "Cache-Control: max-age=60" }) }
      get(name, nil, "strict")
      assert.equal("one", get(name, { ["Cache-Control"] = "no-cache" }, "strict").body)
    end)
  end)

  describe("forgets", function()
    local fresh = { "Cache-Control: max-age=60" }

    for _, method in ipairs { "POST", "PUT", "DELETE", "M-SEARCH" } do
      it("the URL after a successful " .. method .. ", not after one that failed", function()
        local name = resource { ok("one", fresh), origin.answer("500 Oh", ""), ok("done", {}),
          ok("two", fresh) }
        get(name)
        g:request(method, "/pages/" .. name, nil, "x")
        assert.equal("one", get(name).body)
        g:request(method, "/pages/" .. name, nil, "x")
        assert.equal("two", get(name).body)
      end)
    end

    it("what Location and Content-Location name, of the same origin", function()
      local other = resource { ok("one", fresh), ok("two", fresh), ok("three", fresh),
        ok("four", fresh) }
      local function post(list)
        local name = resource { ok("", list) }
        g:request("POST", "/pages/" .. name, nil, "x")
        return get(other).body
      end
      assert.equal("one", get(other).body)
      assert.equal("two", post { "Location: /pages/" .. other })
      assert.equal("three", post { "Content-Location: x/../" .. other .. "#part" })
      assert.equal("four", post { "Location: http://gateway.test/pages/" .. other })
      assert.equal("four", post { "Location: http://elsewhere.test/pages/" .. other })
    end)

    it("all variants, and what is on its way meanwhile", function()
      local vary = { "Cache-Control: max-age=60", "Vary: X-V" }
      local name = resource { ok("a1", vary), ok("b1", vary), ok("", {}), ok("a2", vary),
        ok("b2", vary) }
      get(name, { ["X-V"] = "a" })
      get(name, { ["X-V"] = "b" })
      g:request("DELETE", "/pages/" .. name)
      assert.equal("a2", get(name, { ["X-V"] = "a" }).body)
      assert.equal("b2", get(name, { ["X-V"] = "b" }).body)

      local slow = resource { { "until:slow", ok("old", fresh) }, ok("", {}), ok("new", fresh) }
      local client = g:begin("GET", "/pages/" .. slow)
      wait.for_("the GET to be under way", function() return asked(slow) == 1 end)
      g:request("PUT", "/pages/" .. slow, nil, "x")
      o:release "slow"
      assert.equal("old", client:response().body)
      client:close()
      assert.equal("new", get(slow).body)
    end)

    it("when the policy says so", function()
      local name = resource { ok("one", fresh), ok("two", {}) }
      get(name)
      g:get("/forget/pages/" .. name .. "x")
      assert.equal("one", get(name).body)
      g:get("/forget/pages/" .. name)
      assert.equal("two", get(name).body)
    end)
  end)

  it("obeys the field that is meant for it", function()
    local on = { "Cache-Control: no-store", "CDN-Cache-Control: max-age=60" }
    local name = resource { ok("one", on) }
    get(name)
    assert.equal("one", get(name).body)
    local off = { "Cache-Control: max-age=60", "CDN-Cache-Control: no-store" }
    name = resource { ok("one", off), ok("two", {}) }
    get(name)
    assert.equal("two", get(name).body)
  end)

  it("keeps what the policy made itself, and gives what has no Date the date it was made",
    function()
      local first, second = g:get "/made", g:get "/made"
      assert.equal("made 1", second.body)
      assert.truthy(second.headers["cache-status"]:match "^weir; hit")
      assert.equal(first.headers.date, second.headers.date)
    end)

  it("keeps its copy when an answer is about the one who asked", function()
    local name = resource { ok("one", { "Cache-Control: max-age=60" }),
      origin.answer("401 Who", "", ""), origin.answer("429 Slow", "", "") }
    get(name)
    assert.equal(401, get(name, { ["Cache-Control"] = "no-cache" }).status)
    assert.equal(429, get(name, { ["Cache-Control"] = "no-cache" }).status)
    assert.equal("one", get(name).body)
  end)

  it("counts what it did", function()
    local before = g:metric("weir_cache_requests_total", 'name="pages"', 'status="hit"')
    local name = resource { ok("one", { "Cache-Control: max-age=60" }) }
    get(name)
    get(name)
    assert.equal(before + 1, g:metric("weir_cache_requests_total", 'name="pages"', 'status="hit"'))
  end)
end)
