local gateway = require "spec.support.gateway"
local json = require "cjson"

describe("routing", function()
  local g

  setup(function()
    g = gateway.start { [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /hello", function() return "hello" end)
      weir.route("GET /users/:id", function(req) return weir.json(200, { id = req.params.id,
        route = req.route }) end)
      weir.route("GET /users/me", function() return "me" end)
      weir.route("POST,PUT /users/:id", function(req) return req.method .. " " .. req.params.id end)
      weir.route("GET /files/*path", function(req) return req.params.path end)
      weir.route("/any", function(req) return req.method end)
      weir.route("GET /host", { host = "*.example.com" }, function() return "below" end)
      weir.route("GET /host", function(req) return "any " .. tostring(req.host) end)
      weir.route("GET /query", function(req) return weir.json(200, req.query) end)
      weir.route("POST /echo", function(req) return req:text() end)
    ]] }
  end)

  teardown(function() g:stop() end)
  after_each(function() if g.process:is_over() then error(g.process:stderr()) end end)

  it("answers with a string as text", function()
    local r = g:get "/hello"
    assert.equal(200, r.status)
    assert.equal("hello", r.body)
    assert.equal("text/plain; charset=utf-8", r.headers["content-type"])
    assert.is_truthy(r.headers["x-request-id"])
  end)

  it("prefers a literal segment to a parameter", function()
    assert.equal("me", g:get("/users/me").body)
    assert.same({ id = "7", route = "/users/:id" }, json.decode(g:get("/users/7").body))
  end)

  it("decodes parameters once", function()
    assert.equal("a b", json.decode(g:get("/users/a%20b").body).id)
    assert.equal("a%20b", json.decode(g:get("/users/a%2520b").body).id)
    assert.equal("ü", json.decode(g:get("/users/%C3%BC").body).id)
  end)

  it("gives the rest of the path to a wildcard", function()
    assert.equal("a/b/c.txt", g:get("/files/a/b/c.txt").body)
  end)

  it("answers 404 to a path that no route has", function()
    local r = g:get "/nowhere"
    assert.equal(404, r.status)
    assert.equal("application/problem+json", r.headers["content-type"])
    local problem = json.decode(r.body)
    assert.equal(404, problem.status)
    assert.equal(r.headers["x-request-id"], problem.request_id)
  end)

  it("answers 405 with Allow when the path takes other methods", function()
    local r = g:request("DELETE", "/users/7")
    assert.equal(405, r.status)
    assert.equal("GET, HEAD, POST, PUT", r.headers.allow)
  end)

  it("answers HEAD with GET's head and no body", function()
    local r = g:request("HEAD", "/hello")
    assert.equal(200, r.status)
    assert.equal("5", r.headers["content-length"])
    assert.equal("", r.body)
  end)

  it("takes every method on a route without one", function()
    for _, method in ipairs { "GET", "PATCH", "DELETE", "OPTIONS", "PROPFIND" } do
      assert.equal(method, g:request(method, "/any").body)
    end
  end)

  it("prefers the route of the host", function()
    assert.equal("below", g:get("/host", { Host = "shop.example.com" }).body)
    assert.equal("below", g:get("/host", { Host = "shop.example.com:8080" }).body)
    assert.equal("any example.org:8080", g:get("/host", { Host = "example.org:8080" }).body)
    assert.equal("any [::1]:8080", g:get("/host", { Host = "[::1]:8080" }).body)
    assert.equal("any [::1]", g:get("/host", { Host = "[::1]" }).body)
  end)

  it("decodes the query", function()
    local query = json.decode(g:get("/query?a=1&b=x%20y&c&a=2").body)
    assert.equal("x y", query.b)
    assert.equal("", query.c)
    assert.equal("2", query.a)
  end)

  it("serves many requests of one connection in order", function()
    local c = g:connect()
    c:send(("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"):rep(20)
      .. "GET /users/me HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ = 1, 20 do assert.equal("hello", c:response().body) end
    assert.equal("me", c:response().body)
    c:close()
  end)

  it("gives the request body to a handler, whole", function()
    local body = ("x"):rep(300000)
    assert.equal(body, g:request("POST", "/echo", nil, body).body)
    assert.equal("hello world", g:request("POST", "/echo", { ["Transfer-Encoding"] = "chunked" },
      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").body)
  end)

  it("refuses a body that is larger than a handler may read", function()
    local c = g:begin("POST", "/echo", { ["Content-Length"] = "9000000" })
    local piece = ("x"):rep(65536)
    for _ = 1, 138 do if c:try_send(piece) < #piece then break end end
    local r = c:response()
    assert.equal(413, r.status)
    c:close()
  end)
end)
