--- Connections of clients: §4 lines 26 and 27, and pipelining (35).
local case = require "spec.conformance.case"

local add = case.list()
local head, get, ok, wire = case.head, case.get, case.ok, case.wire
local H = "Host: a"

-- Pipelining (9112 9.3.2).

add(35, "9112 9.3.2", "requests sent at once are answered in their order", {
  send = head("GET /1 HTTP/1.1", H) .. head("GET /2 HTTP/1.1", H) .. head("GET /3 HTTP/1.1", H),
  answers = { { { upstream = "/1" }, ok "1" }, ok "2", ok "3" },
  seen = { { "GET /1" }, { "GET /2" }, { "GET /3" } }, status = { 200, 200, 200 },
  check = function(t)
    for i = 1, 3 do assert(t.responses[i].body == tostring(i), t.responses[i].body) end
  end, over = "h1",
})
add(35, "9112 9.3.2", "the second is not sent on before the first is answered", {
  send = head("POST /1 HTTP/1.1", H, "Content-Length: 1") .. "x" .. head("GET /2 HTTP/1.1", H),
  answers = { { { upstream = "/1" }, ok "1" }, ok "2" }, body = "x",
  seen = { { "POST /1" }, { "GET /2" } }, status = { 200, 200 }, over = "h1",
})
add(35, "9112 9.6", "what follows a request with close is nobody's", {
  send = get "Connection: close" .. head("GET /2 HTTP/1.1", H), seen = { "GET /" },
  ends = "closed", over = "h1",
})
add(35, "9112 9.3.2", "a bad request behind a good one spoils only itself", {
  send = head("GET /1 HTTP/1.1", H) .. head("GET /2 HTTP/1.1", H, "X : y")
    .. head("GET /3 HTTP/1.1", H),
  seen = { "GET /1" }, status = { 200, 400 }, ends = "closed", over = "h1",
})
local hundred = {}
for i = 1, 100 do hundred[i] = 200 end
local hundred_seen = {}
for i = 1, 100 do hundred_seen[i] = { "GET /" } end
add(35, "9112 9.3.2", "a hundred of them", {
  send = get():rep(100), seen = hundred_seen, status = hundred, over = "h1",
})

-- 26. A client that leaves.

add(26, "9112 9.6", "a FIN behind a whole request means that the client left", {
  send = { head("GET /waits HTTP/1.1", H), { upstream = "/waits" }, wire.FIN },
  answers = { { { when = function() return false end } } }, seen = { "GET /waits" },
  status = false, ends = "closed", over = "h1",
})
add(26, "9112 9.6", "a request that ends with FIN in its head is none", {
  send = { "GET / HTTP/1.1\r\nHost:", wire.FIN }, seen = {}, status = false, ends = "closed",
  over = "h1",
})
add(26, "9112 9.6", "requests that were answered before a FIN came had their answers", {
  send = { get(), { client = "ok" }, wire.FIN }, seen = { "GET /" }, ends = "closed", over = "h1",
})

-- 27. Bodies past the limit of a route (1 KiB).

local function limited(...) return head("POST /limited HTTP/1.1", H, ...) end
add(27, "9110 15.5.14", "a body at the limit passes", {
  send = limited "Content-Length: 1024" .. ("x"):rep(1024), seen = { "POST /limited" },
  body = ("x"):rep(1024),
})
add(27, "9110 15.5.14", "one past it is refused by what its length says", {
  send = { limited "Content-Length: 1025", { client = "takes 1024" }, wire.FIN }, seen = {},
  status = 413, ends = "closed",
})
add(27, "9110 15.5.14", "and not asked for", {
  send = limited("Content-Length: 1025", "Expect: 100-continue"), seen = {}, status = 413,
  ends = "closed",
})
add(27, "9110 15.5.14", "a chunked one is refused when it gets there, the upstream sees no end", {
  send = head("POST /limited HTTP/1.1", H, "Transfer-Encoding: chunked")
    .. ("400\r\n" .. ("x"):rep(1024) .. "\r\n"):rep(2) .. "0\r\n\r\n",
  status = 413, no_whole = true, over = "h1",
})
add(27, "9112 9.6", "a body that nobody reads is swallowed to keep the connection", {
  send = head("POST /refused HTTP/1.1", H, "Content-Length: 1000") .. ("x"):rep(1000), seen = {},
  status = 403, over = "h1",
})

return add
