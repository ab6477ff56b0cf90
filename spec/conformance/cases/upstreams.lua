--- What upstreams send: §4 lines 3, 6, 7, 9, 17, 22, 28.
local case = require "spec.conformance.case"

local add = case.list()
local get, post, ok, wire = case.get, case.post, case.ok, case.wire

local function answer(line, source, reason, bytes, more)
  local c = { send = get(), answers = { bytes }, seen = { "GET /" } }
  for key, value in pairs(more) do c[key] = value end
  add(line, source, reason, c)
end

local function bad(line, source, reason, bytes)
  answer(line, source, "an upstream's " .. reason, bytes, { status = 502, upstream_ends = true })
end

local S = "HTTP/1.1 200 OK\r\n"

-- 28. Codings of content.

add(28, "9110 8.4", "codings of content are the two ends' business", {
  send = get("Accept-Encoding: gzip;q=0.5, br"),
  seen = { "GET /", "Accept-Encoding: gzip;q=0.5, br" },
  answers = { ok("\31\139no\0gzip", "Content-Encoding: gzip", "Vary: Accept-Encoding",
    'ETag: "g"') },
  got = { "HTTP/1.1 200 OK", "Content-Encoding: gzip", "Vary: Accept-Encoding", 'ETag: "g"',
    "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 9" },
  got_body = "\31\139no\0gzip",
})
add(28, "9110 8.4", "whether the client has asked for them or not", {
  send = get(), seen = { "GET /" },
  answers = { ok("\31\139no\0gzip", "Content-Encoding: gzip") },
  got = { "HTTP/1.1 200 OK", "Content-Encoding: gzip", "Date: *", "Via: 1.1 weir",
    "X-Request-ID: *", "Content-Length: 9" },
  got_body = "\31\139no\0gzip",
})

-- 3. Codings.

bad(3, "9112 6.1", "gzip as transfer coding", S .. "Transfer-Encoding: gzip\r\n\r\nx")
bad(3, "9112 6.1", "gzip before chunked", S .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
bad(3, "9112 6.1", "chunked twice",
  S .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
bad(3, "9112 6.1", "coding in HTTP/1.0",
  "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
bad(2, "9112 6.3", "two framings",
  S .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
bad(4, "9110 8.6", "two lengths", S .. "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
bad(4, "9110 8.6", "list of lengths", S .. "Content-Length: 2, 2\r\n\r\nab")
bad(4, "9110 8.6", "signed length", S .. "Content-Length: +2\r\n\r\nab")
bad(4, "9110 8.6", "empty length", S .. "Content-Length:\r\n\r\nab")
bad(4, "9110 8.6", "length past 64 bits", S .. "Content-Length: 18446744073709551618\r\n\r\nab")

-- 6, 7. Lines.

bad(6, "9112 2.2", "bare LF throughout", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
bad(6, "9112 2.2", "bare LF after a field", S .. "X: y\nContent-Length: 2\r\n\r\nok")
bad(6, "9110 5.5", "NUL in a value", S .. "X: \0\r\nContent-Length: 2\r\n\r\nok")
bad(6, "9110 5.5", "CR in a value", S .. "X: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok")
bad(6, "9112 5.1", "space before a colon", S .. "X : y\r\nContent-Length: 2\r\n\r\nok")
bad(6, "9112 5", "empty name", S .. ": y\r\nContent-Length: 2\r\n\r\nok")
bad(6, "9112 5", "field without a colon", S .. "X\r\nContent-Length: 2\r\n\r\nok")
bad(7, "9112 5.2", "folded line", S .. "X: a\r\n b\r\nContent-Length: 2\r\n\r\nok")
bad(7, "9112 5.2", "folded first line", S .. " X: a\r\nContent-Length: 2\r\n\r\nok")
answer(8, "9110 5.1", "an upstream's names with an underscore pass", ok("ok", "X_Y: z"), {
  got = { "HTTP/1.1 200 OK", "X_Y: z", "Date: *", "Via: 1.1 weir", "X-Request-ID: *",
    "Content-Length: 2" },
})

-- 9. Limits.

bad(9, "9110 5.4", "101 fields", S .. ("X: y\r\n"):rep(101) .. "\r\n")
bad(9, "9110 5.4", "10,000 fields", S .. ("X: y\r\n"):rep(10000) .. "\r\n")
bad(9, "9110 5.4", "field line past 8 KiB", S .. "X: " .. ("y"):rep(8190) .. "\r\n\r\n")
bad(9, "9110 5.4", "head past 32 KiB", S .. ("X: " .. ("y"):rep(8000) .. "\r\n"):rep(5) .. "\r\n")
bad(9, "9110 5.4", "line that never ends", S .. "X: " .. ("y"):rep(300000))

-- 28. What the status line says, and bodies that are not what they were said to be.

for _, row in ipairs {
  { "other protocol", "SSH-2.0-OpenSSH_9\r\n" },
  { "page without a head", "<html>hello</html>\r\n\r\n" },
  { "status of two digits", "HTTP/1.1 20 OK\r\n\r\n" },
  { "status of four digits", "HTTP/1.1 2000 OK\r\n\r\n" },
  { "status of letters", "HTTP/1.1 abc OK\r\n\r\n" },
  { "status below 100", "HTTP/1.1 099 OK\r\n\r\n" },
  { "status past 599", "HTTP/1.1 600 OK\r\n\r\n" },
  { "version that nobody speaks", "HTTP/1.2 200 OK\r\n\r\n" },
  { "HTTP/2.0 as text", "HTTP/2.0 200 OK\r\n\r\n" },
  { "ICY", "ICY 200 OK\r\n\r\n" },
  { "lower-case version", "http/1.1 200 OK\r\n\r\n" },
  { "two spaces", "HTTP/1.1  200 OK\r\n\r\n" },
  { "NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n" },
  { "empty line before the head", "\r\n" .. ok "ok" },
  { "random bytes", "\255\254\0\1\2\3\r\n\r\n" },
} do
  bad(28, "9112 4", row[1], row[2])
end
for _, row in ipairs {
  { "before a byte", { wire.CLOSE } },
  { "in the status line", { "HTTP/1.1 2", wire.CLOSE } },
  { "in the head", { S .. "Content-Le", wire.CLOSE } },
  { "in the head, by reset", { S .. "X: y\r\n", wire.RESET } },
} do
  local c = { send = post "Content-Length: 3" .. "abc", answers = { row[2] }, seen = { "POST /" },
    body = "abc", status = 502, upstream_ends = true }
  add(28, "9112 8", "an upstream that ends " .. row[1], c)
end
for _, row in ipairs { { "", wire.CLOSE }, { ", by reset", wire.RESET } } do
  answer(28, "9112 8", "a body shorter than its length: the client's is cut there" .. row[1],
    { S .. "Content-Length: 10\r\n\r\nfour", { client = "four" }, row[2] }, { cut = "four",
    over = "h1", check = function(t)
      assert(t.rest:find("\r\nContent-Length: 10\r\n", 1, true), t.rest)
    end })
  answer(28, "9113 8.1", "the same, and the stream is reset" .. row[1],
    { S .. "Content-Length: 10\r\n\r\nfour", { client = "four" }, row[2] }, { cut = "four",
    over = "h2" })
end
answer(28, "9112 8", "chunks without their end: the client does not see one",
  { S .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", { client = "abc" }, wire.CLOSE },
  { cut = "abc" })
for _, row in ipairs {
  { "a size that is none", "g\r\n" }, { "bare LF", "1\nx\r\n", "curl" }, { "a blank size", "\r\n" },
  { "a size past 64 bits", "11111111111111111\r\n" }, { "a signed size", "-1\r\n" },
} do
  answer(28, "9112 7.1", "chunks that break with " .. row[1] .. ": the client does not see an end",
    { S .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", { client = "abc" }, row[2] },
    { cut = "abc", not_over = row[3] })
end
for _, row in ipairs { { "abc", "curl" }, { "abcx", "h1" } } do
  answer(28, "9112 7.1", "data past its chunk's size: the client does not see an end",
    { S .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", { client = "abc" }, "1\r\nxy\r\n" },
    { cut = row[1], not_over = row[2] })
end
answer(28, "9112 6.3", "a body without length ends with the connection, and whole",
  { S .. "\r\nsome", { client = "some" }, " text", wire.CLOSE }, { got_body = "some text",
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *",
    "Transfer-Encoding: chunked" } })
answer(28, "9112 6.3", "one that ends by reset is not whole",
  { S .. "\r\nsome text", { client = "some text" }, wire.RESET },
  { cut = "some text" })
answer(28, "response smuggling", "bytes behind a response are nobody's: the connection is not used "
  .. "again", S .. "Content-Length: 2\r\n\r\nok" .. ok "evil", { got_body = "ok",
  upstream_ends = true })
answer(28, "response smuggling", "bytes behind the last chunk neither",
  S .. "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" .. ok "evil", { got_body = "ok",
  upstream_ends = true })
answer(28, "9112 9.3", "an upstream that asks for the end gets it", ok("ok", "Connection: close"), {
  upstream_ends = true })
answer(28, "9112 9.3", "HTTP/1.0 is not kept unless it says so",
  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", { upstream_ends = true, got_body = "ok" })
answer(28, "9112 7.1.1", "extensions of an upstream's chunks end here",
  S .. "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n", { got_body = "ok" })
answer(28, "9112 8", "a response that drips in byte by byte is one response",
  { { drip = ok("hello", "X: y") } }, { got_body = "hello" })
add(28, "9112 9.5", "an answer before the request is whole: the rest is not sent, the connection "
  .. "not used again", {
  send = { post "Content-Length: 1000000" .. ("x"):rep(100000), { client = "denied" },
    wire.FIN },
  answers = { { on = "head", "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied" } },
  seen = { "POST /" }, seen_short = true, body = "", length = 1000000, status = 403,
  got_body = "denied", ends = "closed", over = "h1",
})
add(28, "9112 9.5", "the same of a chunked request", {
  send = { case.chunked "3\r\nabc\r\n", { client = "denied" }, wire.FIN },
  answers = { { on = "head", "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied" } },
  seen = { "POST /" }, seen_short = true, chunked = true, status = 403, got_body = "denied",
  ends = "closed", over = "h1",
})
add(28, "response smuggling", "what an upstream says unasked is no other request's answer", {
  send = get(), answers = { { ok "ok", ok "evil" } }, seen = { "GET /" }, got_body = "ok",
  upstream_ends = true,
})

-- 17. What is sent again.

local function dead(method) -- answers once, then ends when the next request comes
  return { send = { method .. " / HTTP/1.1\r\nHost: a\r\n"
    .. (method == "POST" and "Content-Length: 3\r\n\r\nabc" or "\r\n") } }
end
for _, row in ipairs {
  { "by FIN", { wire.CLOSE } }, { "by RST", { wire.RESET } },
} do
  local c = dead "POST"
  c.answers, c.seen, c.body, c.status = { row[2], ok "twice" }, { "POST /" }, "abc", 502
  c.upstream_ends = true
  add(17, "9110 9.2.2", "a POST whose connection ends " .. row[1] .. " is not sent again", c)
end
add(17, "9110 9.2.2", "nor one without a body", {
  send = post "Content-Length: 0", answers = { { wire.CLOSE }, ok "twice" }, seen = { "POST /" },
  body = "", status = 502, upstream_ends = true,
})
add(17, "9110 9.2.2", "nor a PATCH", {
  send = case.head("PATCH / HTTP/1.1", "Host: a", "Content-Length: 3") .. "abc",
  answers = { { wire.CLOSE }, ok "twice" }, seen = { "PATCH /" }, body = "abc", status = 502,
  upstream_ends = true,
})
add(17, "9110 9.2.2", "a GET whose connection ends after a byte of the answer is not either", {
  send = get(), answers = { { "H", wire.CLOSE }, ok "twice" }, seen = { "GET /" }, status = 502,
  upstream_ends = true, not_over = "curl",
})

-- 22. Nothing waits for the whole.

add(22, "streaming", "the client has the first piece before the upstream has sent the last", {
  send = get(), answers = { { S .. "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    { client = "first" }, "4\r\nlast\r\n0\r\n\r\n" } }, seen = { "GET /" }, got_body = "firstlast",
})
add(22, "streaming", "the same of a length", {
  send = get(), answers = { { S .. "Content-Length: 9\r\n\r\nfirst", { client = "first" },
    "last" } }, seen = { "GET /" }, got_body = "firstlast",
})
add(22, "streaming", "the same of a body that the end ends", {
  send = get(), answers = { { S .. "\r\nfirst", { client = "first" }, "last", wire.CLOSE } },
  seen = { "GET /" }, got_body = "firstlast",
})
add(22, "streaming", "the head comes before the first byte of body", {
  send = get(), answers = { { S .. "Content-Length: 2\r\n\r\n", { client = "Content-Length: 2" },
    "ok" } }, seen = { "GET /" }, got_body = "ok",
})
add(22, "streaming", "the upstream has the first chunk before the client has sent the last", {
  send = { case.chunked "5\r\nfirst\r\n", { upstream = "first" }, "4\r\nlast\r\n0\r\n\r\n" },
  seen = { "POST /" }, body = "firstlast", chunked = true, over = "h1",
})
add(22, "streaming", "a large body of a known length too", {
  send = { post "Content-Length: 200000" .. ("x"):rep(100000), { upstream = ("x"):rep(30000) },
    ("x"):rep(100000) },
  seen = { "POST /" }, body = ("x"):rep(200000), over = "h1",
})
add(22, "streaming", "both ways at once", {
  send = { case.chunked "4\r\nping\r\n", { client = "pong" }, "3\r\nend\r\n0\r\n\r\n" },
  answers = { { on = "head", S .. "Transfer-Encoding: chunked\r\n\r\n", { upstream = "ping" },
    "4\r\npong\r\n", { upstream = "end" }, "0\r\n\r\n" } },
  seen = { "POST /" }, body = "pingend", chunked = true, got_body = "pong", over = "h1",
})
for _, size in ipairs { 0, 1, 16383, 16384, 65535, 65537, 1000000 } do
  answer(22, "streaming", ("a body of %d bytes arrives whole"):format(size), ok(("r"):rep(size)),
    { got_body = ("r"):rep(size) })
end

return add
