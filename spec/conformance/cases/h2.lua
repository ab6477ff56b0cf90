--- What HTTP/2 says in its own way: fields and frames that HTTP/1.1 has no bytes for. What both can
--- say, the cases of the other files say in both.
local case = require "spec.conformance.case"

local add = case.list()

local GET = { ":method", "GET" }
local POST = { ":method", "POST" }
local SCHEME, PATH, AUTHORITY = { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" }

-- A case of frames; what is not said of it is what a refusal by the rules of HTTP/2 looks like.
local function frames(line, source, reason, request, more)
  local c = { over = "h2", send = { { frames = request } }, seen = {} }
  for key, value in pairs(more or { resets = true }) do c[key] = value end
  add(line, source, reason, c)
end

local function with(...) return { fields = { GET, SCHEME, PATH, AUTHORITY, ... } } end

-- A POST to / with these pieces of body.
local function post(fields, ...)
  local all = { POST, SCHEME, PATH, AUTHORITY }
  for _, field in ipairs(fields) do all[#all + 1] = field end
  return { fields = all, ... }
end

-- 1. Fields that are about a connection.

for _, field in ipairs {
  { "connection", "close" }, { "connection", "x-hop" }, { "keep-alive", "timeout=5" },
  { "proxy-connection", "keep-alive" }, { "te", "gzip" }, { "te", "trailers, gzip" },
} do
  frames(1, "9113 8.2.2", field[1] .. ": " .. field[2] .. " is malformed", with(field))
end
frames(1, "9113 8.2.2", "te: trailers is not, and ends here", with({ "te", "trailers" }),
  { seen = { "GET /" }, te = true })
for _, name in ipairs { "trailer", "proxy-authorization", "proxy-authenticate" } do
  frames(1, "9110 7.6.1", name .. " ends here", with({ name, "x" }, { "x-end", "1" }),
    { seen = { "GET /", "x-end: 1" } })
end

-- 2, 3, 5. There is no transfer coding.

frames(2, "9113 8.2.2", "a length beside a coding",
  post({ { "content-length", "3" }, { "transfer-encoding", "chunked" } }, "abc"))
frames(3, "9113 8.2.2", "a coding", post({ { "transfer-encoding", "chunked" } }, "0\r\n\r\n"))
frames(5, "9113 8.1", "chunks are data like any other",
  post({}, "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), {
    seen = { "POST /" },
    body = "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
  })

-- 4. What the length says and what comes.

frames(4, "9113 8.1.1", "a body shorter than its length",
  post({ { "content-length", "5" } }, "abc"), { resets = true, no_whole = true })
frames(4, "9113 8.1.1", "a body longer than its length",
  post({ { "content-length", "3" } }, "ab", "cd"), { resets = true, no_whole = true })
frames(4, "9113 8.1.1", "a length and no body", with({ "content-length", "5" }))
frames(4, "9113 8.1.1", "a body where the length is nothing",
  post({ { "content-length", "0" } }, "abc"), { resets = true, no_whole = true })
frames(4, "9113 8.1", "frames that add up to the length are one body",
  post({ { "content-length", "6" } }, "a", "", "bc", "def"),
  { seen = { "POST /" }, body = "abcdef" })
frames(4, "9113 8.1", "a body without a length gets one when it is there whole",
  post({}, "abc", "def"), { seen = { "POST /" }, body = "abcdef" })
frames(4, "9113 8.1", "a POST that ends with its head has no body and says so", post {},
  { seen = { "POST /" }, body = "" })

-- 6, 7. Characters.

for _, row in ipairs {
  { "an upper-case name", "X-Upper", "1" }, { "a name in mixed case", "content-Length", "0" },
  { "an empty name", "", "1" }, { "a space in a name", "x y", "1" },
  { "a colon in a name", "x:y", "1" }, { "a colon before a name", ":x", "1" },
  { "CRLF in a name", "x\r\nx-evil", "1" }, { "NUL in a name", "x\0", "1" },
  { "a byte beyond ASCII in a name", "x\195\169", "1" }, { "NUL in a value", "x", "a\0b" },
  { "CR in a value", "x", "a\rb" }, { "LF in a value", "x", "a\nx-evil: 1" },
  { "CRLF in a value", "x", "a\r\nx-evil: 1" }, { "a space before a value", "x", " a" },
  { "a tab behind a value", "x", "a\t" }, { "DEL in a value", "x", "a\127" },
} do
  frames(6, "9113 8.2.1", row[1], with({ row[2], row[3] }))
end
frames(6, "9113 8.2.1", "a request within a value", with({ "x",
  "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" }))
frames(7, "9113 8.2.1", "a value that is folded", with({ "x", "a\r\n b" }))
frames(6, "9110 5.5", "bytes beyond ASCII and tabs within a value pass as they are",
  with({ "x", "caf\195\169 \255" }, { "y", "a\tb" }),
  { seen = { "GET /", "x: caf\195\169 \255", "y: a\tb" } })
frames(6, "9110 5.3", "order and repeats stay", with({ "b", "1" }, { "a", "2" }, { "b", "3" }),
  { seen = { "GET /", "b: 1", "a: 2", "b: 3" } })
frames(6, "9113 8.2.3", "crumbs of a cookie are one field", with({ "cookie", "a=1" }, { "x", "y" },
  { "cookie", "b=2" }), { seen = { "GET /", "x: y", "cookie: a=1; b=2" } })

-- 9. Limits.

local function many(count)
  local fields = {}
  for i = 1, count do fields[i] = { "x-" .. i, "y" } end
  return fields
end
frames(9, "9110 5.4", "101 fields", with(unpack(many(101))), { status = 431 })
frames(9, "9110 5.4", "a field past 8 KiB", with({ "x", ("y"):rep(8192) }), { status = 431 })
frames(9, "9110 4.1", "a path past 8 KiB",
  { fields = { GET, SCHEME, { ":path", "/" .. ("a"):rep(8192) }, AUTHORITY } }, { status = 414 })
frames(9, "9113 6.10", "a head of 20 kB in two frames passes",
  with({ "a", ("y"):rep(8000) }, { "b", ("y"):rep(8000) }, { "c", ("y"):rep(4000) }), { seen = {
    "GET /", "a: " .. ("y"):rep(8000), "b: " .. ("y"):rep(8000), "c: " .. ("y"):rep(4000) } })
frames(9, "9113 6.5.2", "a head of more than 32 KiB",
  with({ "a", ("y"):rep(8000) }, { "b", ("y"):rep(8000) }, { "c", ("y"):rep(8000) },
    { "d", ("y"):rep(8000) }, { "e", ("y"):rep(800) }), { status = 431 })

-- 10. Pseudo fields.

for _, row in ipairs {
  { "no :method", SCHEME, PATH, AUTHORITY }, { "no :scheme", GET, PATH, AUTHORITY },
  { "no :path", GET, SCHEME, AUTHORITY }, { "two methods", GET, GET, SCHEME, PATH, AUTHORITY },
  { "two paths", GET, SCHEME, PATH, { ":path", "/b" }, AUTHORITY },
  { "two authorities", GET, SCHEME, PATH, AUTHORITY, AUTHORITY },
  { "a pseudo field behind another", GET, SCHEME, PATH, { "x", "y" }, AUTHORITY },
  { "one that nobody knows", GET, SCHEME, PATH, AUTHORITY, { ":proto", "x" } },
  { "one of responses", GET, SCHEME, PATH, AUTHORITY, { ":status", "200" } },
  { "an empty method", { ":method", "" }, SCHEME, PATH, AUTHORITY },
  { "a method with a space", { ":method", "GET /x" }, SCHEME, PATH, AUTHORITY },
  { "a method with a line end", { ":method", "GET / HTTP/1.1\r\nX: y" }, SCHEME, PATH, AUTHORITY },
  { "a method that is no token", { ":method", "G(T" }, SCHEME, PATH, AUTHORITY },
} do
  frames(10, "9113 8.3", row[1], { fields = { unpack(row, 2) } })
end
frames(10, "9113 8.3.1", "another scheme",
  { fields = { GET, { ":scheme", "ftp" }, PATH, AUTHORITY } }, { status = 400 })
frames(10, "9110 9.1", "a method that nobody knows passes, and so does its case",
  { fields = { { ":method", "m-Search" }, SCHEME, { ":path", "/y" }, AUTHORITY } },
  { seen = { "m-Search /y" } })

-- 11. Authority and Host.

local function to(...) return { fields = { GET, SCHEME, PATH, ... } } end
for _, row in ipairs {
  { "neither" }, { "an empty authority", { ":authority", "" } },
  { "a space in it", { ":authority", "a b" } }, { "a path in it", { ":authority", "a/b" } },
  { "a line end in it", { ":authority", "a\r\nX: y" } },
  { "Host twice", AUTHORITY, { "host", "a" }, { "host", "a" } },
} do
  frames(11, "9113 8.3.1", row[1], to(unpack(row, 2)))
end
for _, row in ipairs {
  { "user information", { ":authority", "u@a" } }, { "a list", { ":authority", "a,b" } },
  { "a port that is no number", { ":authority", "a:b" } },
  { "a Host that differs", AUTHORITY, { "host", "b" } },
  { "a Host whose port differs", { ":authority", "a:8080" }, { "host", "a" } },
} do
  frames(11, "9113 8.3.1", row[1], to(unpack(row, 2)), { status = 400 })
end
frames(11, "9113 8.3.1", "Host alone will do", to({ "host", "B.Example" }),
  { seen = { "GET /" }, host = "b.example" })
frames(11, "9113 8.3.1", "a Host that says the same is not said twice",
  to({ ":authority", "SHOP.example:80" }, { "host", "shop.example" }),
  { seen = { "GET /" }, host = "shop.example" })

-- 12. Paths.

local function at(path, method)
  method = method and { ":method", method } or GET
  return { fields = { method, SCHEME, { ":path", path }, AUTHORITY } }
end
for _, row in ipairs {
  { "that is empty", "" }, { "that does not begin with /", "x" },
  { "that is a URL", "http://a/" }, { "that is *, for GET", "*" }, { "with a space", "/a b" },
  { "with a line end", "/a HTTP/1.1\r\nX: y" }, { "with NUL", "/\0" },
} do
  frames(12, "9113 8.3.1", "a path " .. row[1], at(row[2]))
end
frames(12, "9112 3.2", "a path with a fragment", at "/#f", { status = 400 })

-- 16. Trailers.

local function trailed(...)
  local request = post({}, "abc")
  request.trailers = { ... }
  return request
end
for _, field in ipairs { { "x-sum", "1" }, { "host", "b" }, { "x-forwarded-for", "6.6.6.6" },
  { "cookie", "a=b" } } do
  frames(16, "9110 6.5.1", "a request's trailers end here: " .. field[1], trailed(field),
    { seen = { "POST /" }, body = "abc" })
end
for _, row in ipairs {
  { "are pseudo fields", { ":path", "/b" } }, { "have upper-case names", { "X-Sum", "1" } },
  { "hold a line end", { "x", "a\r\nb: c" } }, { "are about a connection", { "connection", "x" } },
  { "frame", { "content-length", "5" } },
} do
  frames(16, "9113 8.1", "trailers that " .. row[1], trailed(row[2]),
    { resets = true, no_whole = true })
end
local with_trailers = case.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
  .. "3\r\nabc\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n"
frames(16, "9113 8.1", "a response's trailers pass, without what a recipient acts upon",
  with({ "te", "trailers" }), { seen = { "GET /" }, te = true, answers = { with_trailers },
    got_body = "abc", check = function(t)
      assert(table.concat(t.responses[1].trailers or {}, ";") == "x-sum: 1")
    end })

-- 18, 19. CONNECT and upgrades.

frames(18, "9113 8.2.2", "an upgrade is malformed", with({ "upgrade", "websocket" }))
frames(18, "8441 4", "an extended CONNECT, which is not offered", { fields = {
  { ":method", "CONNECT" }, { ":protocol", "websocket" }, SCHEME, PATH, AUTHORITY } })
frames(19, "9113 8.5", "CONNECT is refused",
  { fields = { { ":method", "CONNECT" }, { ":authority", "a:443" } } }, { status = 405 })
frames(19, "9113 8.5", "CONNECT with a path is malformed",
  { fields = { { ":method", "CONNECT" }, SCHEME, PATH, AUTHORITY } })
frames(19, "9110 9.3.8", "TRACE is refused", at("/", "TRACE"), { status = 405 })

-- 26. A client that leaves.

add(26, "9113 5.4.2", "a stream that its client resets ends the upstream's work", {
  over = "h2", send = { case.head("GET /waits HTTP/1.1", "Host: a"), { upstream = "/waits" },
    case.wire.FIN },
  answers = { { { when = function() return false end } } }, seen = { "GET /waits" },
  status = false, check = function(_, w)
    w:until_("the upstream's connection to end", function()
      for p in pairs(w.peers) do
        if p.is_upstream and p.acting == 1 and p.ended then return true end
      end
      return false
    end)
  end,
})

-- 27. Bodies past the limit of a route (1 KiB).

local function limited(...)
  return { fields = { POST, SCHEME, { ":path", "/limited" }, AUTHORITY }, ... }
end
frames(27, "9110 15.5.14", "a body without a length at the limit passes",
  limited(("x"):rep(1000), ("x"):rep(24)),
  { seen = { "POST /limited" }, body = ("x"):rep(1024) })
frames(27, "9110 15.5.14", "one past it is refused when it gets there, the upstream sees no end",
  limited(("x"):rep(1000), ("x"):rep(25)), { status = 413, no_whole = true })

-- 31. What only HTTP/2 has.

frames(31, "9113 5.3", "a priority is nobody's business", with({ "priority", "u=1" }),
  { seen = { "GET /", "priority: u=1" } })
frames(31, "9113 8.4", "an empty frame ends a body", post({}, "abc", ""),
  { seen = { "POST /" }, body = "abc" })

return add
