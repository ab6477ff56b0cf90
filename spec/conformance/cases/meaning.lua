--- What a message means beyond its bytes: §4 lines 13, 14, 15, 16, 18, 20.
local case = require "spec.conformance.case"

local add = case.list()
local head, get, post, ok = case.head, case.get, case.post, case.ok
local H = "Host: a"

-- 13. Expect.

add(13, "9110 10.1.1", "the client gets 100 when its body is wanted, and the upstream no Expect", {
  send = { post("Expect: 100-continue", "Content-Length: 3"), { client = "100 Continue" }, "abc" },
  seen = { "POST /" }, body = "abc", interims = { 100 },
})
add(13, "9110 10.1.1", "of a chunked body too, whatever the case of letters", {
  send = { post("expect: 100-CONTINUE", "Transfer-Encoding: chunked"), { client = "100 Continue" },
    "3\r\nabc\r\n0\r\n\r\n" },
  seen = { "POST /" }, body = "abc", chunked = true, interims = { 100 }, over = "h1",
})
add(13, "9110 10.1.1", "a refusal before the body is wanted says so instead, and the end comes", {
  send = head("POST /refused HTTP/1.1", H, "Expect: 100-continue", "Content-Length: 3"),
  seen = {}, status = 403, ends = "closed",
})
add(13, "9110 10.1.1", "one that sends its body at once is served all the same", {
  send = post("Expect: 100-continue", "Content-Length: 3") .. "abc",
  seen = { "POST /" }, body = "abc", interims = { 100 },
})
add(13, "9110 10.1.1", "an expectation without a body is nothing", {
  send = get "Expect: 100-continue", seen = { "GET /" },
})
add(13, "9110 10.1.1", "and none of HTTP/1.0", {
  send = head("POST / HTTP/1.0", H, "Expect: 100-continue", "Content-Length: 3") .. "abc",
  seen = { "POST /" }, body = "abc", via = "1.0 weir", ends = "closed", over = "h1",
})
add(13, "9110 10.1.1", "an upstream's 100 that nobody asked for ends here", {
  send = post "Content-Length: 3" .. "abc",
  answers = { "HTTP/1.1 100 Continue\r\n\r\n" .. ok "ok" }, seen = { "POST /" }, body = "abc",
})

-- 14. Interim responses.

for _, interim in ipairs { "102 Processing", "103 Early Hints\r\nLink: </x>", "199 x" } do
  add(14, "9110 15.2", "a " .. interim:match "%d+" .. " is not the answer", {
    send = get(), answers = { "HTTP/1.1 " .. interim .. "\r\n\r\n" .. ok "ok" },
    seen = { "GET /" }, got_body = "ok",
    got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 2" },
  })
end
add(14, "9110 15.2", "nor are several of them", {
  send = get(), seen = { "GET /" }, got_body = "ok",
  answers = { ("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"):rep(5) .. ok "ok" },
})
add(14, "9110 15.2", "an upstream that sends them for ever has failed", {
  send = get(), answers = { ("HTTP/1.1 102 x\r\n\r\n"):rep(500) }, seen = { "GET /" },
  status = 502, upstream_ends = true,
})
add(14, "9110 15.2", "a client of HTTP/1.0 gets none", {
  send = head("GET / HTTP/1.0", H), answers = { "HTTP/1.1 103 x\r\n\r\n" .. ok "ok" },
  seen = { "GET /" }, via = "1.0 weir", got_body = "ok", ends = "closed", over = "h1",
})
add(14, "9110 15.2.2", "a 101 that weir did not ask for is no answer", {
  send = get(), seen = { "GET /" }, status = 502, upstream_ends = true,
  answers = { "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw" },
})
add(14, "9110 15.2", "an interim response that frames a body has failed", {
  send = get(), seen = { "GET /" }, upstream_ends = true,
  answers = { "HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nhello" .. ok "ok" }, status = 502,
})

-- 15. What has no body.

add(15, "9110 9.3.2", "HEAD tells the length of GET and has no body", {
  send = head("HEAD / HTTP/1.1", H), answers = { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" },
  seen = { "HEAD /" }, is_head = { true },
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 99" },
})
add(15, "9110 9.3.2", "HEAD of a chunked resource tells no length", {
  send = head("HEAD / HTTP/1.1", H), is_head = { true }, seen = { "HEAD /" },
  answers = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *" },
})
add(15, "response smuggling", "an upstream that answers HEAD with a body: nothing of it passes", {
  send = head("HEAD / HTTP/1.1", H), is_head = { true }, seen = { "HEAD /" },
  answers = { "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" .. ok "evil" },
  upstream_ends = true,
})
for _, row in ipairs {
  { 204, "HTTP/1.1 204 No Content" }, { 304, "HTTP/1.1 304 Not Modified" },
} do
  local reason = row[2]:sub(10)
  add(15, "9110 15.3.5", row[1] .. " has neither body nor framing", {
    send = get(), answers = { "HTTP/1.1 " .. reason .. "\r\nETag: \"x\"\r\n\r\n" },
    seen = { "GET /" }, status = row[1],
    got = { row[2], 'ETag: "x"', "Date: *", "Via: 1.1 weir", "X-Request-ID: *" },
  })
  add(15, "response smuggling", row[1] .. " with a body: nothing of it passes", {
    send = get(), seen = { "GET /" }, status = row[1], upstream_ends = true,
    answers = { "HTTP/1.1 " .. reason .. "\r\nContent-Length: 40\r\n\r\n" .. ok "evil" },
    got = row[1] == 204 and { row[2], "Date: *", "Via: 1.1 weir", "X-Request-ID: *" } or nil,
  })
  add(15, "response smuggling", row[1] .. " with chunks: nothing of them passes", {
    send = get(), seen = { "GET /" }, status = row[1], upstream_ends = true,
    answers = { "HTTP/1.1 " .. reason .. "\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "5\r\nhello\r\n0\r\n\r\n" },
  })
end
add(15, "9110 15.4.5", "304 keeps the length that it tells of", {
  send = get(), answers = { "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n" },
  seen = { "GET /" }, status = 304,
})
add(15, "9110 15.3.6", "205 is empty", {
  send = get(), answers = { "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" },
  seen = { "GET /" }, status = 205, got_body = "",
})
add(15, "9110 15.3.6", "205 with a body loses it", {
  send = get(), answers = { "HTTP/1.1 205 Reset Content\r\nContent-Length: 4\r\n\r\nevil" },
  seen = { "GET /" }, status = 205, got_body = "",
})
for _, method in ipairs { "GET", "HEAD", "DELETE" } do
  add(15, "smuggling", "a body on " .. method .. " in HTTP/1.0, which old servers do not read", {
    send = head(method .. " / HTTP/1.0", H, "Content-Length: 3") .. "abc", refused = 400,
    is_head = { method == "HEAD" or nil }, over = "h1",
  })
end
add(15, "9110 9.3.2", "a response made here has no body for HEAD either", {
  send = head("HEAD /made HTTP/1.1", H), is_head = { true }, seen = {},
  got = { "HTTP/1.1 200 OK", "Content-Type: text/plain", "X-Set: true", "Date: *", "Via: 1.1 weir",
    "X-Request-ID: *", "Content-Length: 4" },
})
add(15, "9110 9.3.2", "nor a problem told to HEAD", {
  send = head("HEAD /refused HTTP/1.1", H), is_head = { true }, seen = {}, status = 403,
})

-- 16. Trailers.

add(16, "9110 6.5.1", "a request's trailers end here", {
  send = case.chunked("3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "Trailer: X-Sum"),
  seen = { "POST /" }, body = "abc", chunked = true, over = "h1",
})
for _, row in ipairs {
  { "frames", "Content-Length: 5" }, { "codes", "Transfer-Encoding: chunked" },
  { "routes", "Host: b" }, { "ends", "Connection: close" },
  { "is folded", "X: y\r\n z" }, { "has no colon", "X" },
  { "has a space before its colon", "X : y" },
  { "has a control character", "X: \1" }, { "has a bare LF", "X: y\nZ: w" },
  { "is past 8 KiB", "X: " .. ("y"):rep(9000) },
} do
  add(16, "9110 6.5.1", "a trailer that " .. row[1], {
    send = case.chunked("3\r\nabc\r\n0\r\n" .. row[2] .. "\r\n\r\n"),
    broken = "3\r\nabc\r\n", over = "h1",
  })
end
add(16, "9110 6.5.1", "a response's trailers end here when the client did not ask for them", {
  send = get(), seen = { "GET /" }, got_body = "abc",
  answers = { head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    .. "3\r\nabc\r\n0\r\nX: y\r\n\r\n" },
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *",
    "Transfer-Encoding: chunked" },
})

local with_trailers = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
  .. "3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"
add(16, "9110 6.5.1", "they pass when it did, and the upstream is asked for them", {
  send = get("Connection: TE", "TE: trailers"), seen = { "GET /" }, te = true, over = "h1",
  answers = { with_trailers }, got_body = "abc", check = function(t)
    assert(table.concat(t.responses[1].trailers or {}, ";") == "X-Sum: 1;Y: 2")
  end,
})
local function trailer(field)
  return case.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") .. "3\r\nabc\r\n0\r\n"
    .. field .. "\r\n\r\n"
end
add(16, "9110 6.5.1", "but never one that a recipient acts upon", {
  send = get "TE: trailers", seen = { "GET /" }, te = true, over = "h1",
  answers = { trailer "Set-Cookie: a=b" }, got_body = "abc", check = function(t)
    assert(not t.responses[1].trailers)
  end,
})
for _, field in ipairs { "Content-Length: 5", "Transfer-Encoding: chunked", "Host: b",
  "Connection: close" } do
  add(16, "9110 6.5.1", "an upstream whose trailer is " .. field .. " has failed", {
    send = get "TE: trailers", seen = { "GET /" }, te = true, over = "h1", not_over = "curl",
    answers = { trailer(field) }, status = 502, upstream_ends = true,
  })
end

-- 18. Upgrade.

add(18, "9110 7.8", "h2c is not switched to, and its settings end here", {
  send = get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
  seen = { "GET /" }, over = "h1",
})
add(18, "CVE-2026-2833", "bytes behind an upgrade that was not agreed to are the next request", {
  send = { get("Connection: Upgrade", "Upgrade: x")
    .. "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n" },
  seen = { { "GET /" }, { "GET /2" } }, status = { 200, 200 }, over = "h1",
})
add(18, "CVE-2026-58055", "an upgrade with a length: the body is a body", {
  send = post("Connection: Upgrade", "Upgrade: x", "Content-Length: 30")
    .. "GET /smuggled HTTP/1.1\r\nHost: " .. "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
  seen = { { "POST /" }, { "GET /2" } }, body = "GET /smuggled HTTP/1.1\r\nHost: ",
  status = { 200, 200 }, over = "h1",
})
add(18, "9110 7.8", "Upgrade in HTTP/1.0 is nothing", {
  send = head("GET / HTTP/1.0", H, "Connection: Upgrade", "Upgrade: websocket"),
  seen = { "GET /" }, via = "1.0 weir", ends = "closed", over = "h1",
})

-- 20. Who asked.

local claims = {
  "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
  "X-Forwarded-Port: 1", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6",
}
for _, claim in ipairs(claims) do
  add(20, "7239 8.1", "a stranger's " .. claim:match "^[^:]+" .. " is not believed", {
    send = get("X: y", claim), seen = { "GET /", "X: y" },
  })
end
add(20, "7239 8.1", "nor all of them, twice and in other letters", {
  send = get("x-forwarded-for: 1.1.1.1", "X-FORWARDED-FOR: 2.2.2.2", "forwarded: for=x",
    "Forwarded: for=y", "x-real-ip: 3.3.3.3"),
  seen = { "GET /" },
})
add(20, "injection", "an id that is no id is made anew", {
  send = get("X-Request-ID: a b"), seen = { "GET /", "X-Request-ID: *" }, has_id = true,
})

return add
