--- How long a request's body is: §4 lines 2, 3, 4, 5.
local case = require "spec.conformance.case"

local add = case.list()
local post, chunked = case.post, case.chunked

-- 2. Content-Length and Transfer-Encoding.

local both = {
  { "CL.TE", "Content-Length: 6", "Transfer-Encoding: chunked" },
  { "TE.CL", "Transfer-Encoding: chunked", "Content-Length: 6" },
  { "a length of nothing beside chunked", "Content-Length: 0", "Transfer-Encoding: chunked" },
  { "a length beside a coding nobody has", "Content-Length: 6", "Transfer-Encoding: x" },
  { "a broken length beside chunked", "Content-Length: x", "Transfer-Encoding: chunked" },
  { "other cases of letters", "content-length: 6", "TRANSFER-ENCODING: CHUNKED" },
  { "with fields between", "Content-Length: 6", "X: y", "Transfer-Encoding: chunked" },
}
for _, row in ipairs(both) do
  add(2, "9112 6.3", row[1], {
    send = post(unpack(row, 2)) .. "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    refused = 400, over = "h1",
  })
end

-- 3. What a Transfer-Encoding may say.

local codings = {
  { 400, "chunked twice in a list", "chunked, chunked" },
  { 400, "a coding after chunked", "chunked, identity" },
  { 400, "a trailing comma", "chunked," },
  { 400, "a leading comma", ",chunked" },
  { 400, "nothing", "" },
  { 400, "a parameter", "chunked;q=1" },
  { 400, "quotes", '"chunked"' },
  { 400, "a vertical tab before", "\11chunked" },
  { 400, "a NUL behind", "chunked\0" },
  { 400, "two words", "chunked identity" },
  { 501, "a coding that weir does not have", "gzip" },
  { 501, "one of those before chunked", "gzip, chunked" },
  { 501, "identity, which is no coding any more", "identity" },
  { 501, "a name that ends with chunked", "xchunked" },
  { 501, "a name that begins with chunked", "chunkedx" },
}
for _, row in ipairs(codings) do
  add(3, "9112 6.1", "a Transfer-Encoding of " .. row[2], {
    send = post("Transfer-Encoding: " .. row[3]) .. "3\r\nabc\r\n0\r\n\r\n", refused = row[1],
    over = "h1",
  })
end
add(3, "9112 6.1", "two fields of chunked", {
  send = post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") .. "0\r\n\r\n",
  refused = 400, over = "h1",
})
add(3, "9112 6.1", "a coding in HTTP/1.0", {
  send = case.head("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked") .. "0\r\n\r\n",
  refused = 400, over = "h1",
})
add(3, "9112 7", "codings have no case, and white space around one is nothing", {
  send = post("Transfer-Encoding: \tChUnKeD ") .. "3\r\nabc\r\n0\r\n\r\n",
  seen = { "POST /" }, body = "abc", chunked = true, over = "h1",
})
add(3, "smuggling", "the name with an underscore frames nothing and goes nowhere", {
  send = post("Content-Length: 3", "Transfer_Encoding: chunked") .. "abc",
  seen = { "POST /" }, body = "abc",
})

-- 4. What a Content-Length may say.

local lengths = {
  { "nothing (CVE-2023-40225)", "" },
  { "blanks", "   " },
  { "a plus sign", "+3" },
  { "a minus sign", "-3" },
  { "hexadecimal", "0x3" },
  { "a list of equal ones", "3, 3" },
  { "a list that ends in a comma", "3," },
  { "two words", "3 3" },
  { "a fraction", "3.0" },
  { "an exponent", "3e0" },
  { "a parameter", "3;x" },
  { "quotes", '"3"' },
  { "letters", "abc" },
  { "2^63", "9223372036854775808" },
  { "2^64 + 3, which is 3 when it overflows", "18446744073709551619" },
  { "too many digits", ("0"):rep(40) .. "3" },
  { "another script's digit", "\217\163" },
}
for _, row in ipairs(lengths) do
  add(4, "9110 8.6", "a Content-Length of " .. row[1], {
    send = post("Content-Length: " .. row[2]) .. "abc", refused = 400,
    resets = not row[2]:find "^%d+$" or row[2]:find "^[1-9]" ~= nil,
  })
end
add(4, "9110 8.6", "two equal lengths", {
  send = post("Content-Length: 3", "Content-Length: 3") .. "abc", refused = 400, resets = true,
})
add(4, "9112 6.3", "two different lengths", {
  send = post("Content-Length: 3", "content-length: 4") .. "abcd", refused = 400, resets = true,
})
add(4, "9110 8.6", "leading zeros are digits, and leave as the number they are", {
  send = post "Content-Length: 003" .. "abc", seen = { "POST /" }, body = "abc",
})
add(4, "9110 8.6", "a body of no bytes says so", {
  send = post "Content-Length: 0", seen = { "POST /" }, body = "",
})
add(4, "9110 8.6", "a POST without framing has no body and says so upstream", {
  send = post(), seen = { "POST /" }, body = "", over = "h1",
})
add(4, "9112 6.3", "a body on GET passes with its framing", {
  send = case.get "Content-Length: 3" .. "abc", seen = { "GET /" }, body = "abc",
})
add(4, "smuggling", "what follows the body is the next request, not more of it", {
  send = post "Content-Length: 3" .. "abcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
  seen = { { "POST /" }, { "GET /2" } }, body = "abc", status = { 200, 200 }, over = "h1",
})
add(4, "9112 6.3", "a body in small pieces is one body", {
  send = { post "Content-Length: 5", { drip = "hello" } },
  seen = { "POST /" }, body = "hello",
})
add(4, "9112 8", "a client that leaves in the middle of its body: no upstream takes it for whole", {
  send = { post "Content-Length: 5" .. "hel", case.wire.FIN },
  seen = {}, status = false, ends = "closed", over = "h1",
})
add(4, "9112 8", "nor when the body is so large that it is sent on while it comes", {
  send = { post "Content-Length: 100000" .. ("x"):rep(90000), { upstream = "xxx" },
    case.wire.FIN },
  seen = { "POST /" }, seen_short = true, body = "", length = 100000, status = false,
  ends = "closed", over = "h1",
})

-- 5. Chunks.

add(5, "9112 8", "a client that leaves between two chunks: the upstream sees no last one", {
  send = { chunked "3\r\nabc\r\n", { upstream = "abc" }, case.wire.FIN },
  seen = { "POST /" }, seen_short = true, chunked = true, status = false, ends = "closed",
  over = "h1",
})

local sizes = {
  { "nothing", "\r\nabc\r\n0\r\n\r\n" },
  { "blanks before", " 3\r\nabc\r\n0\r\n\r\n" },
  { "blanks behind", "3 \r\nabc\r\n0\r\n\r\n" },
  { "a tab behind", "3\t\r\nabc\r\n0\r\n\r\n" },
  { "a plus sign", "+3\r\nabc\r\n0\r\n\r\n" },
  { "a minus sign", "-3\r\nabc\r\n0\r\n\r\n" },
  { "0x", "0x3\r\nabc\r\n0\r\n\r\n" },
  { "a letter that is no digit", "3g\r\nabc\r\n0\r\n\r\n" },
  { "an underscore", "3_0\r\nabc\r\n0\r\n\r\n" },
  { "17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n" },
  { "more than 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n" },
  { "2^63", "8000000000000000\r\nabc\r\n0\r\n\r\n" },
  { "2^64 - 1", "ffffffffffffffff\r\nabc\r\n0\r\n\r\n" },
  { "a decimal point", "3.0\r\nabc\r\n0\r\n\r\n" },
  { "a NUL behind", "3\0\r\nabc\r\n0\r\n\r\n" },
}
for _, row in ipairs(sizes) do
  add(5, "9112 7.1", "a chunk's size with " .. row[1], {
    send = chunked(row[2]), broken = "", over = "h1",
  })
end
local breaks = {
  { "bare LF after the size", "3\nabc\r\n0\r\n\r\n" },
  { "bare CR after the size", "3\rabc\r\n0\r\n\r\n" },
  { "bare LF after the data", "3\r\nabc\n0\r\n\r\n" },
  { "bare CR after the data", "3\r\nabc\r0\r\n\r\n" },
  { "no line end after the data", "3\r\nabc0\r\n\r\n" },
  { "more data than the size says", "3\r\nabcd\r\n0\r\n\r\n" },
  { "less data than the size says", "4\r\nabc\r\n0\r\n\r\n" },
  { "bare LF after the last size", "3\r\nabc\r\n0\n\r\n" },
  { "bare LF at the end of the body", "3\r\nabc\r\n0\r\n\n" },
  { "bare LF in an extension (the class of 2025)", "3;\nx\r\nabc\r\n0\r\n\r\n" },
  { "bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n" },
  { "NUL in an extension", "3;a=\0\r\nabc\r\n0\r\n\r\n" },
  { "an open quote in an extension", '3;a="b\r\nabc\r\n0\r\n\r\n' },
  { "an extension that is no token", "3;a=(\r\nabc\r\n0\r\n\r\n" },
  { "an extension past 256 bytes", "3;" .. ("a"):rep(300) .. "\r\nabc\r\n0\r\n\r\n" },
}
for _, row in ipairs(breaks) do
  add(5, "9112 7.1", row[1], {
    send = chunked(row[2]), broken = "3\r\nabc\r\n", over = "h1",
  })
end
add(5, "9112 7.1.1", "extensions end here", {
  send = chunked '3;a;b=c;d="e;\\""\r\nabc\r\n0\r\n\r\n',
  seen = { "POST /" }, body = "abc", chunked = true, over = "h1",
})
add(5, "9112 7.1", "upper and lower case digits, and leading zeros up to 16", {
  send = chunked("A\r\n0123456789\r\n000000000000000b\r\nabcdefghijk\r\n0000\r\n\r\n"),
  seen = { "POST /" }, body = "0123456789abcdefghijk", chunked = true, over = "h1",
})
add(5, "9112 7.1", "chunks that drip in byte by byte are the same body", {
  send = { chunked "", { drip = "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n" } },
  seen = { "POST /" }, body = "abcdefg", chunked = true, over = "h1",
})
add(5, "9112 7.1", "a chunked body without a byte", {
  send = chunked "0\r\n\r\n", seen = { "POST /" }, body = "", chunked = true, over = "h1",
})
add(5, "smuggling", "what follows the last chunk is the next request", {
  send = chunked "3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
  seen = { { "POST /" }, { "GET /2" } }, body = "abc", chunked = true, status = { 200, 200 },
  over = "h1",
})
add(5, "9112 7.1", "a request within chunk data is data", {
  send = chunked "1f\r\nGET /2 HTTP/1.1\r\nHost: abcd\r\n\r\n\r\n0\r\n\r\n",
  seen = { "POST /" }, body = "GET /2 HTTP/1.1\r\nHost: abcd\r\n\r\n", chunked = true,
  over = "h1",
})

return add
