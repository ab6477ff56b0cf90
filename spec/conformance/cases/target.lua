--- Whom a request is for: §4 lines 10, 11, 12, 19, 21.
local case = require "spec.conformance.case"

local add = case.list()
local head = case.head
local H = "Host: a"

-- 10. The request line.

local function line(text) return text .. "\r\nHost: a\r\n\r\n" end

for _, row in ipairs {
  { 400, "two spaces before the target", "GET  / HTTP/1.1" },
  { 400, "two spaces after the target", "GET /  HTTP/1.1" },
  { 400, "a tab for a space", "GET\t/ HTTP/1.1" },
  { 400, "a tab after the target", "GET /\tHTTP/1.1" },
  { 400, "a space after the version", "GET / HTTP/1.1 " },
  { 400, "a space before the method", " GET / HTTP/1.1" },
  { 400, "a space in the target", "GET /a b HTTP/1.1" },
  { 400, "no version (HTTP/0.9)", "GET /" },
  { 400, "no target", "GET HTTP/1.1" },
  { 400, "a method alone", "GET" },
  { 400, "a method that is no token", "G(T / HTTP/1.1" },
  { 400, "a method beyond ASCII", "G\195\169T / HTTP/1.1" },
  { 400, "another protocol", "GET / RTSP/1.0" },
  { 400, "a version in lower case", "GET / http/1.1" },
  { 400, "a version without minor digit", "GET / HTTP/1" },
  { 400, "a version of three digits", "GET / HTTP/1.10" },
  { 505, "HTTP/0.9 by name", "GET / HTTP/0.9" },
  { 505, "HTTP/1.2", "GET / HTTP/1.2" },
  { 505, "HTTP/2.0 as text", "GET / HTTP/2.0" },
  { 505, "HTTP/3.0", "GET / HTTP/3.0" },
  { 400, "a fragment", "GET /#f HTTP/1.1" },
  { 400, "a control character in the target", "GET /\1 HTTP/1.1" },
  { 400, "DEL in the target", "GET /\127 HTTP/1.1" },
  { 400, "NUL in the target", "GET /\0 HTTP/1.1" },
  { 400, "bytes above 0x7F in the target", "GET /\195\169 HTTP/1.1" },
  { 400, "a target that is no form", "GET x HTTP/1.1" },
  { 400, "* for another method than OPTIONS", "GET * HTTP/1.1" },
  { 400, "another scheme", "GET ftp://a/ HTTP/1.1" },
} do
  add(10, "9112 3", row[2], { send = line(row[3]), refused = row[1], over = "h1" })
end
add(10, "smuggling", "a TLS hello on a plain port", {
  send = "\22\3\1\2\0\1\0\1\252\3\3", refused = 400, over = "h1",
})
add(10, "9110 9.1", "a method that nobody knows passes, and so does its case", {
  send = { head("get /x HTTP/1.1", H) .. head("M-SEARCH /y HTTP/1.1", H) },
  seen = { { "get /x" }, { "M-SEARCH /y" } }, status = { 200, 200 }, over = "h1",
})
add(10, "9112 2.5", "an HTTP/1.0 client needs no Host, and its upstream gets HTTP/1.1", {
  send = head "GET / HTTP/1.0", seen = { "GET /" }, host = "", via = "1.0 weir", ends = "closed",
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 2",
    "Connection: close" }, over = "h1",
})
add(10, "9112 9.3", "an HTTP/1.0 client that asks for it is kept, and told so", {
  send = head("GET / HTTP/1.0", H, "Connection: keep-alive"), seen = { "GET /" }, via = "1.0 weir",
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 2",
    "Connection: keep-alive" }, over = "h1",
})
add(10, "9112 9.3", "a client that asks for the end gets it", {
  send = case.get "Connection: close", seen = { "GET /" }, ends = "closed",
  got = { "HTTP/1.1 200 OK", "Date: *", "Via: 1.1 weir", "X-Request-ID: *", "Content-Length: 2",
    "Connection: close" }, over = "h1",
})

-- 11. Host.

for _, row in ipairs {
  { "none", "GET / HTTP/1.1" },
  { "two equal ones", "GET / HTTP/1.1", H, H },
  { "two", "GET / HTTP/1.1", H, "host: b" },
  { "two in HTTP/1.0", "GET / HTTP/1.0", H, "Host: b" },
  { "an empty one", "GET / HTTP/1.1", "Host:" },
  { "a space in it", "GET / HTTP/1.1", "Host: a b" },
  { "a list", "GET / HTTP/1.1", "Host: a,b" },
  { "a path", "GET / HTTP/1.1", "Host: a/b" },
  { "a URL", "GET / HTTP/1.1", "Host: http://a" },
  { "user information", "GET / HTTP/1.1", "Host: u@a" },
  { "a fragment", "GET / HTTP/1.1", "Host: a#b" },
  { "a query", "GET / HTTP/1.1", "Host: a?b" },
  { "a backslash", "GET / HTTP/1.1", "Host: a\\b" },
  { "an escape", "GET / HTTP/1.1", "Host: a%2eb" },
  { "a port that is no number", "GET / HTTP/1.1", "Host: a:b" },
  { "a port past 65535", "GET / HTTP/1.1", "Host: a:65536" },
  { "two ports", "GET / HTTP/1.1", "Host: a:80:80" },
  { "a port alone", "GET / HTTP/1.1", "Host: :80" },
  { "an open bracket", "GET / HTTP/1.1", "Host: [::1" },
  { "IPv6 without brackets", "GET / HTTP/1.1", "Host: ::1" },
  { "an absolute target and none", "GET http://a/ HTTP/1.1" },
  { "one that differs from the absolute target", "GET http://a/ HTTP/1.1", "Host: b" },
  { "one whose port differs from it", "GET http://a/ HTTP/1.1", "Host: a:8080" },
  { "one that differs in HTTP/1.0", "GET http://a/ HTTP/1.0", "Host: b" },
  { "an absolute target with user information", "GET http://u@a/ HTTP/1.1", H },
  { "an absolute target without a host", "GET http:///x HTTP/1.1", H },
} do
  add(11, "9112 3.2", "Host: " .. row[1], {
    send = head(unpack(row, 2)), refused = 400, over = "h1",
  })
end
add(11, "9112 3.2.2", "an absolute target becomes a path, and its host the one that counts", {
  send = head("GET http://A.Example:80/x?y=/../z HTTP/1.1", "Host: a.example"),
  seen = { "GET /x?y=/../z" }, host = "a.example", over = "h1",
})
add(11, "9112 3.2.2", "an absolute target without path is /", {
  send = head("GET http://a HTTP/1.1", H), seen = { "GET /" }, over = "h1",
})
add(11, "9112 3.2.2", "with a query and no path too", {
  send = head("GET http://a?q HTTP/1.1", H), seen = { "GET /?q" }, over = "h1",
})
for _, row in ipairs {
  { "letters have no case", "SHOP.Example", "shop.example" },
  { "the default port says nothing", "shop.example:80", "shop.example" },
  { "an empty port neither", "shop.example:", "shop.example" },
  { "another port stays", "shop.example:8080", "shop.example:8080" },
  { "a trailing dot says nothing", "shop.example.", "shop.example" },
  { "IPv6 has one spelling", "[2001:DB8:0:0::1]:80", "[2001:db8::1]" },
} do
  add(11, "9110 4.2.3", row[1], {
    send = head("GET / HTTP/1.1", "Host: " .. row[2]), seen = { "GET /" }, host = row[3],
  })
end

-- 12. Paths: what is routed and what is sent agree.

for _, row in ipairs {
  { "/../x", "climbs above the root" },
  { "/a/../../x", "climbs above the root in two steps" },
  { "/%2e%2e/x", "climbs by escapes" },
  { "/a/%2E%2e/%2e./x", "climbs by escapes half way" },
  { "/a//../x", "climbs over an empty segment, which servers count differently" },
  { "/a%2fb", "hides a slash" },
  { "/a%2Fb", "hides a slash in upper case" },
  { "/a%5cb", "hides a backslash" },
  { "/a\\b", "has a backslash" },
  { "/a/..;x/b", "hides a climb behind a parameter" },
  { "/a/.;/b", "hides a dot behind a parameter" },
  { "/%00", "hides a NUL" },
  { "/a%0d%0aX:%20y", "hides a line end" },
  { "/a%7f", "hides DEL" },
  { "/a%", "has half an escape" },
  { "/a%2", "has two thirds of one" },
  { "/a%zz", "has an escape of letters" },
} do
  add(12, "9112 3.2", "a path that " .. row[2], {
    send = head("GET " .. row[1] .. " HTTP/1.1", H), refused = 400,
  })
end
for _, row in ipairs {
  { "/a/./b", "/a/b", "a dot" },
  { "/a/x/../b?c=/../d", "/a/b?c=/../d", "a climb within the path" },
  { "/a/%2e/b", "/a/b", "an escaped dot" },
  { "/a/.%2E/b", "/b", "a climb half escaped" },
  { "/a/b/..", "/a/", "a climb at the end" },
  { "/%61/./b%3b//", "/a/b%3B/", "with a dot, all of the path has its normal form" },
} do
  add(12, "3986 6.2.2.3", "dot segments are routed by and sent alike: " .. row[3], {
    send = head("GET " .. row[1] .. " HTTP/1.1", H), seen = { "GET " .. row[2] },
  })
end
for _, row in ipairs {
  { "/%61/b", "an escaped letter" },
  { "//a///b", "empty segments" },
  { "/a%3bb;c", "an escaped delimiter" },
  { "/a/b/", "a slash at the end" },
  { "/a..b/.c/...", "dots that are part of a name" },
  { "/a?b=%2e%2e/../%00//", "a query, which is nobody's path" },
  { "/a?", "an empty query" },
  { "/a|b{c}[d]?e={f}|g", "what browsers send unescaped" },
} do
  add(12, "9110 7.7", "what is no dot segment goes on as it came: " .. row[2], {
    send = head("GET " .. row[1] .. " HTTP/1.1", H), seen = { "GET " .. row[1] },
  })
end

-- 19. CONNECT, TRACE, OPTIONS.

add(19, "9110 9.3.6", "CONNECT is refused", {
  send = head("CONNECT a:443 HTTP/1.1", "Host: a:443"), seen = {}, status = 405, over = "h1",
})
for _, row in ipairs {
  { "to a path", "CONNECT / HTTP/1.1", H }, { "without a port", "CONNECT a HTTP/1.1", H },
  { "to another host than Host", "CONNECT a:443 HTTP/1.1", "Host: b:443" },
} do
  add(19, "9112 3.2.3", "CONNECT " .. row[1], { send = head(unpack(row, 2)), refused = 400,
    over = "h1" })
end
add(19, "9110 9.3.8", "TRACE is refused: it would show cookies to scripts", {
  send = head("TRACE / HTTP/1.1", H, "Cookie: a=b"), seen = {}, status = 405,
})
for _, row in ipairs {
  { "with another target", "PRI / HTTP/2.0" }, { "with another method", "GET * HTTP/2.0" },
} do
  add(31, "9113 3.4", "the preface of HTTP/2 " .. row[1] .. " is none", {
    send = head(row[2], H) .. "SM\r\n\r\n", refused = 505, over = "h1",
  })
end
local ALLOW = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
local own = { "HTTP/1.1 204 No Content", ALLOW, "Date: *", "Via: 1.1 weir", "X-Request-ID: *" }
add(19, "9110 9.3.7", "OPTIONS * is answered here", {
  send = head("OPTIONS * HTTP/1.1", H), seen = {}, status = 204, got = own,
})
add(19, "9112 3.2.4", "OPTIONS of an authority alone is the same", {
  send = head("OPTIONS http://a HTTP/1.1", H), seen = {}, status = 204, got = own, over = "h1",
})
add(19, "9110 9.3.7", "OPTIONS of a path goes on", {
  send = head("OPTIONS /x HTTP/1.1", H), seen = { "OPTIONS /x" },
})
add(19, "9110 7.6.2", "OPTIONS that may go no further is answered here", {
  send = head("OPTIONS /x HTTP/1.1", H, "Max-Forwards: 0"), seen = {}, status = 204, got = own,
})
add(19, "9110 7.6.2", "one that may go further goes with one less", {
  send = head("OPTIONS /x HTTP/1.1", H, "Max-Forwards: 10"),
  seen = { "OPTIONS /x", "Max-Forwards: 9" },
})
add(19, "9110 7.6.2", "a Max-Forwards that is no number is refused", {
  send = head("OPTIONS /x HTTP/1.1", H, "Max-Forwards: x"), refused = 400,
})
add(19, "9110 7.6.2", "for other methods Max-Forwards means nothing", {
  send = case.get "Max-Forwards: 0", seen = { "GET /", "Max-Forwards: 0" },
})

-- 21. Via.

add(21, "9110 7.6.3", "weir adds itself behind those before, with the version it was spoken to", {
  send = case.get("X: y", "Via: 1.0 fred, 1.1 p.example.net (x)"),
  seen = { "GET /", "X: y", "Via: 1.0 fred, 1.1 p.example.net (x), 1.1 weir" }, via = false,
})
add(21, "9110 7.6.3", "a request that came by a few times passes", {
  send = case.get "Via: 1.1 weir, 1.1 x, 1.1 weir, 1.1 weir",
  seen = { "GET /", "Via: 1.1 weir, 1.1 x, 1.1 weir, 1.1 weir, 1.1 weir" }, via = false,
})
add(21, "loops", "one that goes round in circles does not", {
  send = case.get "Via: 1.1 weir, 1.1 weir, 1.1 weir, 1.1 weir", seen = {}, status = 508,
})
add(21, "loops", "whatever case and fields it hides in", {
  send = case.get("Via: 1.1 WEIR (x), HTTP/1.1 weir", "Via: 1.1 weir,1.0  weir"), seen = {},
  status = 508,
})
add(21, "9110 7.6.3", "a response bears the Via of both", {
  send = case.get(), answers = { case.ok("ok", "Via: 1.1 origin", "Server: s/1") },
  seen = { "GET /" },
  got = { "HTTP/1.1 200 OK", "Via: 1.1 origin", "Server: s/1", "Date: *", "Via: 1.1 weir",
    "X-Request-ID: *", "Content-Length: 2" },
})
add(21, "9110 6.6.1", "a Date of the upstream's stays", {
  send = case.get(), answers = { case.ok("ok", "Date: Mon, 01 Jan 2024 00:00:00 UTC") },
  seen = { "GET /" },
  got = { "HTTP/1.1 200 OK", "Date: Mon, 01 Jan 2024 00:00:00 UTC", "Via: 1.1 weir",
    "X-Request-ID: *", "Content-Length: 2" },
})

-- 33. Calls to any URL.

for _, row in ipairs {
  { "invalid", "ftp%3A%2F%2FUP/x", "another scheme" },
  { "invalid", "file%3A%2F%2F/etc/passwd", "a file" },
  { "invalid", "http%3A%2F%2Fu%3Ap%40UP/x", "user and password" },
  { "invalid", "/x", "no host" },
  { "invalid", "http%3A%2F%2FUP/x%0D%0AX-Evil%3A%201", "a line end" },
  { "invalid", "http%3A%2F%2F169.254.169.254/latest", "a cloud's metadata" },
  { "invalid", "http%3A%2F%2F[fe80%3A%3A1]/", "link-local IPv6" },
  { "invalid", "http%3A%2F%2F[%3A%3Affff%3A169.254.169.254]/", "metadata in IPv6's clothes" },
} do
  add(33, "SSRF", "a script's call to a URL with " .. row[3] .. " is not made", {
    send = head("GET /any?url=" .. row[2] .. " HTTP/1.1", H), seen = {}, got_body = row[1],
  })
end
add(33, "SSRF", "a redirect is the script's to follow", {
  send = head("GET /any?url=http%3A%2F%2FUP/x HTTP/1.1", H), bare = true,
  answers = { head("HTTP/1.1 302 Found", "Location: http://169.254.169.254/",
    "Content-Length: 0") },
  seen = { "GET /x" }, status = 302, got_body = "answered",
})

return add
