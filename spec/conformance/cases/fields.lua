--- Fields of requests: §4 lines 1, 6, 7, 8, 9, 29.
local case = require "spec.conformance.case"

local add = case.list()
local get, head = case.get, case.head

-- 1. Hop-by-hop fields.

local hops = {
  "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip;q=0.5",
  "Trailer: X-Sum", "Upgrade: websocket", "Proxy-Authorization: Basic eA==",
  "Proxy-Authenticate: Basic", "HTTP2-Settings: AAMAAABk", "Connection: keep-alive",
}
for _, field in ipairs(hops) do
  add(1, "9110 7.6.1", field:match "^[^:]+" .. " ends here", {
    send = get("X-Before: 1", field, "X-After: 2"), seen = { "GET /", "X-Before: 1", "X-After: 2" },
    over = "h1",
  })
end
add(1, "9110 7.6.1", "every field that Connection names ends here, whatever its case", {
  send = get("Connection: x-one, X-TWO", "X-One: 1", "x-two: 2", "X-Three: 3", "X-ONE: 4"),
  seen = { "GET /", "X-Three: 3" }, over = "h1",
})
add(1, "9110 7.6.1", "two Connection fields are one list, and empty elements are nothing", {
  send = get("Connection: ,X-One,, ", "Connection: X-Two", "X-One: 1", "X-Two: 2", "X: 3"),
  seen = { "GET /", "X: 3" }, over = "h1",
})
add(1, "9110 7.6.1", "a name in Connection that is there twice or not at all", {
  send = get("Connection: X-One, X-One, X-None", "X-One: 1"), seen = { "GET /" }, over = "h1",
})
for _, name in ipairs { "Authorization", "Cookie", "Host", "X-Real-IP", "Cache-Control", "Range",
  "If-None-Match", "Content-Type", "Origin", "Traceparent", "Idempotency-Key" } do
  local is_ours = name == "Host" or name == "X-Real-IP"
  local seen = { "GET /", not is_ours and name .. ": v" or nil }
  add(1, "hop-by-hop abuse", "a client cannot have " .. name .. " removed by naming it", {
    send = head("GET / HTTP/1.1", "Host: a", name ~= "Host" and name .. ": v" or "X: y",
      "Connection: close, " .. name),
    seen = name == "Host" and { "GET /", "X: y" } or seen, ends = "closed", over = "h1",
  })
end
add(1, "hop-by-hop abuse", "nor who asked", {
  send = get("Connection: X-Forwarded-For, X-Forwarded-Host, Via, X-Request-ID"),
  seen = { "GET /" }, over = "h1",
})
add(1, "hop-by-hop abuse", "nor the framing of its body", {
  send = case.post("Connection: Content-Length", "Content-Length: 3") .. "abc",
  seen = { "POST /" }, body = "abc", over = "h1",
})
add(1, "hop-by-hop abuse", "more than 32 options are an attack", {
  send = get("Connection: " .. ("a,"):rep(33)), refused = 400, over = "h1",
})
add(1, "9110 7.6.1", "of a response, hop-by-hop fields and what Connection names end here too", {
  send = get(),
  answers = { case.ok("ok", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=9",
    "Proxy-Connection: x", "Upgrade: h2c", "Proxy-Authenticate: x", "Trailer: x", "TE: x",
    "X-End: 2") },
  seen = { "GET /" }, got_body = "ok",
  got = { "HTTP/1.1 200 OK", "X-End: 2", "Date: *", "Via: 1.1 weir", "X-Request-ID: *",
    "Content-Length: 2" },
})
add(1, "hop-by-hop abuse", "a response cannot have a cookie or its own caching removed", {
  send = get(),
  answers = { case.ok("ok", "Connection: Set-Cookie, Cache-Control", "Set-Cookie: a=b",
    "Cache-Control: private") },
  seen = { "GET /" },
  got = { "HTTP/1.1 200 OK", "Set-Cookie: a=b", "Cache-Control: private", "Date: *",
    "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 2" },
})
add(1, "9110 5.3", "order, spelling and repeats of end-to-end fields stay", {
  send = get("x-b: 1", "X-A: 2", "X-b: 3", "x-B:4", "X-Empty:"),
  seen = { "GET /", "x-b: 1", "X-A: 2", "X-b: 3", "x-B: 4", "X-Empty:" }, over = "h1",
})

-- 6. Line ends and characters.

local H = "Host: a"
local lines = {
  { "bare LF throughout", "GET / HTTP/1.1\nHost: a\n\n" },
  { "bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n" },
  { "bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n" },
  { "bare LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n" },
  { "bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n" },
  { "bare CR in a value", head("GET / HTTP/1.1", H, "X: a\rb") },
  { "CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n" },
  { "CRLF CR and more", "GET / HTTP/1.1\r\nHost: a\r\n\rX" },
  { "LF LF before the end",
    "GET / HTTP/1.1\r\nHost: a\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" },
  { "NUL in a value", head("GET / HTTP/1.1", H, "X: a\0b") },
  { "NUL at the end of a value", head("GET / HTTP/1.1", H, "X: a\0") },
  { "a control character in a value", head("GET / HTTP/1.1", H, "X: \1") },
  { "a vertical tab in a value", head("GET / HTTP/1.1", H, "X: a\11b") },
  { "DEL in a value", head("GET / HTTP/1.1", H, "X: a\127") },
  { "a space before the colon", head("GET / HTTP/1.1", H, "X : y") },
  { "a tab before the colon", head("GET / HTTP/1.1", H, "X\t: y") },
  { "a space before Host's colon", head("GET / HTTP/1.1", "Host : a") },
  { "a space before Content-Length's colon",
    head("POST / HTTP/1.1", H, "Content-Length : 3") .. "abc" },
  { "a space before Transfer-Encoding's colon",
    head("POST / HTTP/1.1", H, "Transfer-Encoding : chunked") .. "0\r\n\r\n" },
  { "an empty name (CVE-2023-25725)", head("GET / HTTP/1.1", H, ": y") },
  { "no colon", head("GET / HTTP/1.1", H, "X") },
  { "a space in a name", head("GET / HTTP/1.1", H, "X y: z") },
  { "a parenthesis in a name", head("GET / HTTP/1.1", H, "X(: z") },
  { "a quote in a name", head("GET / HTTP/1.1", H, 'X": z') },
  { "NUL in a name", head("GET / HTTP/1.1", H, "X\0: z") },
  { "a byte beyond ASCII in a name", head("GET / HTTP/1.1", H, "X\195\169: z") },
  { "two empty lines before the request", "\r\n\r\n" .. get() },
}
for _, row in ipairs(lines) do
  add(6, "9112 2.2", row[1], { send = row[2], refused = 400, over = "h1" })
end
add(6, "9112 2.2", "one empty line before a request is nothing", {
  send = "\r\n" .. get(), seen = { "GET /" }, over = "h1",
})
add(6, "9110 5.5", "bytes beyond ASCII and tabs in a value pass as they are", {
  send = get("X: caf\195\169 \255", "Y: a\tb"), over = "h1",
  seen = { "GET /", "X: caf\195\169 \255", "Y: a\tb" },
})
add(6, "9112 5", "white space around a value is not part of it", {
  send = get "X: \t a b \t", seen = { "GET /", "X: a b" }, over = "h1",
})
add(6, "9112 2.2", "a head that drips in byte by byte is one head", {
  send = { { drip = get "X: y" } }, seen = { "GET /", "X: y" }, over = "h1",
})

-- 7. Folded lines.

local folds = {
  { "by a space", head("GET / HTTP/1.1", H, "X: a", " b") },
  { "by a tab", head("GET / HTTP/1.1", H, "X: a", "\tb") },
  { "of Host", head("GET / HTTP/1.1", "Host:", " a") },
  { "that hides a length", head("POST / HTTP/1.1", H, "X: y", " Content-Length: 3") .. "abc" },
  { "of a coding", head("POST / HTTP/1.1", H, "Transfer-Encoding:", " chunked") .. "0\r\n\r\n" },
  { "before the first field", head("GET / HTTP/1.1", " X: y", H) },
  { "of nothing but a space", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n" },
}
for _, row in ipairs(folds) do
  add(7, "9112 5.2", "a folded line " .. row[1], { send = row[2], refused = 400, over = "h1" })
end

-- 8. Underscores.

add(8, "smuggling", "names with an underscore, which CGI takes for a dash, end here", {
  send = get("X_Forwarded_For: 6.6.6.6", "Content_Type: x", "A-B: 1", "A_B: 2"),
  seen = { "GET /", "A-B: 1" },
})
add(8, "smuggling", "an underscore in a value is one", {
  send = get "X: a_b", seen = { "GET /", "X: a_b" },
})

-- 9. Limits.

local function many(count, ...)
  local lines_of = { ... }
  for i = 1, count do lines_of[#lines_of + 1] = ("X-%d: y"):format(i) end
  return lines_of
end
local function get_many(count) return head(unpack(many(count, "GET / HTTP/1.1", H))) end
add(9, "9110 5.4", "100 fields pass", {
  send = get_many(99), seen = many(99, "GET /"),
})
add(9, "9110 5.4", "101 do not", { send = get_many(100), refused = 431, over = "h1" })
add(9, "9110 5.4", "nor 5,000", { send = get_many(5000), refused = 431, over = "h1" })
add(9, "9110 5.4", "a field line of 8 KiB passes", {
  send = get("X: " .. ("y"):rep(8189)), seen = { "GET /", "X: " .. ("y"):rep(8189) }, over = "h1",
})
add(9, "9110 5.4", "one of a byte more does not", {
  send = get("X: " .. ("y"):rep(8190)), refused = 431, over = "h1",
})
add(9, "9110 4.1", "a request line of 8 KiB passes", {
  send = head("GET /" .. ("a"):rep(8178) .. " HTTP/1.1", H),
  seen = { "GET /" .. ("a"):rep(8178) }, over = "h1",
})
add(9, "9110 4.1", "one of a byte more does not", {
  send = head("GET /" .. ("a"):rep(8179) .. " HTTP/1.1", H), refused = 414, over = "h1",
})
add(9, "9110 5.4", "a head of more than 32 KiB does not pass", {
  send = get("A: " .. ("y"):rep(8000), "B: " .. ("y"):rep(8000), "C: " .. ("y"):rep(8000),
    "D: " .. ("y"):rep(8000), "E: " .. ("y"):rep(800)), refused = 431, over = "h1",
})
add(9, "9110 5.4", "a line that never ends is refused without its end", {
  send = "GET / HTTP/1.1\r\nX: " .. ("y"):rep(9000), refused = 431, over = "h1",
})

-- 29. What a script sets.

add(29, "9110 5.5", "a value with a line end, which a script took from the client, is refused", {
  send = head("GET /made?X-Bad=a%0D%0AX-Evil:%201 HTTP/1.1", H), seen = {},
  got = { "HTTP/1.1 200 OK", "Content-Type: text/plain", "X-Set: false", "Date: *",
    "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 4" }, got_body = "made",
})
for _, row in ipairs {
  { "CR alone", "X-Bad=a%0Db" }, { "LF alone", "X-Bad=a%0Ab" }, { "DEL", "X-Bad=a%7Fb" },
  { "a name with a colon", "X%3AY=1" }, { "a name with a line end", "X%0D%0AY=1" },
  { "a name with a space", "X%20Y=1" }, { "Content-Length", "Content-Length=0" },
  { "Transfer-Encoding", "Transfer-Encoding=chunked" }, { "Connection", "Connection=X-Set" },
  { "Keep-Alive", "Keep-Alive=timeout%3D1" }, { "Upgrade", "Upgrade=h2c" },
} do
  add(29, "9110 5.5", "a script cannot set " .. row[1], {
    send = head("GET /made?" .. row[2] .. " HTTP/1.1", H), seen = {},
    got = { "HTTP/1.1 200 OK", "Content-Type: text/plain", "X-Set: false", "Date: *",
      "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 4" }, got_body = "made",
  })
  add(29, "9110 5.5", "nor send upstream " .. row[1], {
    send = head("GET /sent?" .. row[2] .. " HTTP/1.1", H), seen = { "GET /plain", "X-Set: false" },
    by_script = true,
  })
end
add(29, "smuggling", "a script's path cannot carry a line end into the request", {
  send = head("GET /moved?to=/a%20HTTP/1.1%0D%0AX-Evil:%201%0D%0A%0D%0A HTTP/1.1", H),
  seen = {}, status = 500,
})
add(29, "smuggling", "nor a space", {
  send = head("GET /moved?to=/a%20b HTTP/1.1", H), seen = {}, status = 500,
})

return add
