--- What a case of the conformance suite is, and how it is judged.
---
--- A file in `cases/` is about one subject. It makes a list with `case.list()` and adds cases:
---
---     local add = case.list()
---     add(2, "9112 6.3", "Content-Length beside Transfer-Encoding", {
---       send = case.post("Content-Length: 5", "Transfer-Encoding: chunked") .. "0\r\n\r\n",
---       refused = 400,
---     })
---     add(1, "9110 7.6.1", "a field that Connection names ends here", {
---       send = case.get("Connection: X-Hop", "X-Hop: 1", "X-End: 2"),
---       seen = { "GET /", "X-End: 2" },
---     })
---     return add
---
--- `add(line, source, reason, case)`: `line` is the number in README.md's checklist, `source` the
--- section of an RFC (9110, 9112) or the kind of attack. Fields of a case:
---
--- - `send`: bytes or steps (spec/support/wire.lua); `answers`: what upstreams do, as there.
--- - `refused = 4xx`: that status, no byte to any upstream, and the connection ends.
--- - `seen`: the request that the upstream saw, to the byte: method and target, then the fields
---   that came from the client; what weir adds is added here. A list of such lists for several;
---   `{}` for none. What weir adds differs by `host` (`a`), `via` (`1.1 weir`; false when it
---   stands among the fields), `te` (trailers are asked for), `has_id` (X-Request-ID stands
---   among the fields), `bare` (a script's own call); `by_script`: the fields are not the
---   client's.
--- - `body`: its decoded body; `chunked = true`: framed so; `length` when that is not the
---   body's. `seen_short`: the request was not whole when it ended; `no_whole`: nothing is known
---   but that.
--- - `status` (200, a list, or false for no response), `got`: the response's head to the byte,
---   as lines; dates and ids are `*`. `got_body`: its body. `interims`: statuses of 1xx.
---   `check`: a function of the talk.
--- - `ends`: "closed" or "reset" when weir ends the connection. Otherwise it must go on, and a
---   second request on it proves that both sides agree on where the first one ended.
--- - `upstream_ends`: the upstream's connection is not used again.
--- - `broken = "bytes"`: the body is not what its framing promised: 400, the connection ends,
---   and of the one request that the upstream may have seen so far it saw at most the head and
---   the first of these bytes, never an end.
--- - `not_over = "curl"`: a transport that does otherwise; why is in README.md.
--- - `over = "h1"`: says something of HTTP/1.1's bytes alone, `over = "h2"` of HTTP/2's, whose
---   `send` has `{ frames = … }` (spec/support/wire_h2.lua). Without it the case holds for any
---   version downstream; what differs in HTTP/2 by its rules is known here: field names are in
---   lower case, Via says 2, no connection ends with its request, what is cut is reset.
--- - `resets = true`: over HTTP/2 there is no response, the stream is reset with PROTOCOL_ERROR.
--- - `cut = "bytes"`: so much of the body, and never its end.
local wire = require "spec.support.wire"

local case = {}

local PROTOCOL_ERROR = 1 -- RFC 9113 7

--- A list of cases: call it to add one.
function case.list()
  return setmetatable({}, {
    __call = function(list, line, source, reason, c)
      c.line, c.source, c.reason = line, source, reason
      c.place = debug.getinfo(2, "Sl").short_src:match "[^/]+$" .. ":"
        .. debug.getinfo(2, "l").currentline
      list[#list + 1] = c
    end,
  })
end

-- Bytes.

--- Lines joined by CRLF and closed by an empty one.
function case.head(...)
  return table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

--- A GET with more field lines.
function case.get(...) return case.head("GET / HTTP/1.1", "Host: a", ...) end

--- The head of a POST.
function case.post(...) return case.head("POST / HTTP/1.1", "Host: a", ...) end

--- A chunked POST whose body is these bytes.
function case.chunked(bytes, ...) return case.post("Transfer-Encoding: chunked", ...) .. bytes end

--- An upstream's 200 with these field lines and this body.
function case.ok(body, ...)
  return case.head("HTTP/1.1 200 OK", "Content-Length: " .. #body, ...) .. body
end

-- Judging.

local function fail(c, what, ...)
  error(("%s §4.%d (%s) %s: %s"):format(c.place, c.line, c.source, c.reason, what:format(...)), 0)
end

local function same(c, what, wanted, got)
  if wanted ~= got then fail(c, "%s:\n wanted %q\n got    %q", what, wanted, tostring(got)) end
end

-- A client's field as the upstream gets it. What weir writes anew has weir's spelling.
local function as_sent(c, line, version)
  if version ~= "h2" or c.by_script or line:find "^X%-Request%-ID:" then return line end
  if line:find "^Via:" then return (line:gsub("1%.1 weir$", "2 weir")) end
  return (line:gsub("^[^:]+", string.lower))
end

-- What the upstream that weir knows by `port` must have got for `lines`.
local function expected_head(c, lines, port, framing, version)
  local out = { lines[1] .. " HTTP/1.1", "Host: 127.0.0.1:" .. port }
  for i = 2, #lines do out[#out + 1] = as_sent(c, lines[i], version) end
  if c.bare then
    out[#out + 1] = "X-Request-Deadline-Ms: *"
    return table.concat(out, "\r\n") .. "\r\n\r\n"
  end
  out[#out + 1] = "X-Forwarded-For: 127.0.0.1"
  out[#out + 1] = "X-Forwarded-Proto: http"
  if c.host ~= "" then out[#out + 1] = "X-Forwarded-Host: " .. (c.host or "a") end
  if not c.has_id then out[#out + 1] = "X-Request-ID: *" end
  local via = c.via or version == "h2" and "2 weir" or "1.1 weir"
  if c.via ~= false then out[#out + 1] = "Via: " .. via end
  out[#out + 1] = "X-Request-Deadline-Ms: *"
  if c.te then
    out[#out + 1] = "TE: trailers"
    out[#out + 1] = "Connection: TE"
  end
  out[#out + 1] = framing
  return table.concat(out, "\r\n") .. "\r\n\r\n"
end

local function framing_of(c, lines)
  if c.chunked then return "Transfer-Encoding: chunked" end
  if c.body then return "Content-Length: " .. (c.length or #c.body) end
  local method = lines[1]:match "^%S+"
  return (method == "POST" or method == "PUT" or method == "PATCH") and "Content-Length: 0" or nil
end

-- Ids and times are what nobody can know.
local function without_chance(head)
  return (head:gsub("([Xx]%-[Rr]equest%-[Ii][Dd]): %x+\r", "%1: *\r")
    :gsub("X%-Request%-Deadline%-Ms: %d+\r", "X-Request-Deadline-Ms: *\r")
    :gsub("([Dd]ate): %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r", "%1: *\r"))
end

local function check_seen(c, seen, port, version)
  if c.no_whole then
    for _, one in ipairs(seen) do
      if one.is_whole then fail(c, "the upstream saw a whole request: %q", one.head) end
    end
    return
  end
  local wanted = c.seen or {}
  if type(wanted[1]) == "string" then wanted = { wanted } end
  for i, lines in ipairs(wanted) do
    local one = seen[i]
    if not one then fail(c, "request %d did not reach the upstream", i) end
    local framing = i == 1 and framing_of(c, lines) or nil
    same(c, "the upstream's head", expected_head(c, lines, port, framing, version),
      without_chance(one.head))
    if i == 1 and not c.seen_short then
      same(c, "the upstream's body", c.body or "", one.body)
    end
    same(c, "the request is whole", not (i == 1 and c.seen_short), one.is_whole or false)
  end
  if #seen > #wanted then
    fail(c, "the upstream saw a request too many: %q", seen[#wanted + 1].head)
  end
end

-- The upstream saw a beginning, and no end.
local function check_broken(c, t, w)
  if #t.seen > 1 then fail(c, "the upstream saw more than one request") end
  local framing = "Transfer-Encoding: chunked"
  local head = expected_head(c, { "POST /" }, w.known_port, framing, "h1")
  local heard = without_chance(w.heard)
  local most = head .. c.broken
  if most:sub(1, #heard) ~= heard then fail(c, "the upstream saw %q", heard) end
end

-- The lines of a response's head as HTTP/2 says them.
local function got_by_h2(lines)
  local out = { "HTTP/2 " .. lines[1]:match "%d%d%d" }
  for i = 2, #lines do
    local name = lines[i]:match "^[^:]+":lower()
    if name ~= "connection" and name ~= "transfer-encoding" then
      out[#out + 1] = lines[i]:gsub("^[^:]+", string.lower)
    end
  end
  return out
end

local function check_responses(c, t, version)
  local statuses = c.refused and { c.refused } or c.status or { 200 }
  if type(statuses) == "number" then statuses = { statuses } end
  for i, status in ipairs(statuses) do
    local r = t.responses[i]
    if not r then fail(c, "no response %d; ended: %s, rest %q", i, tostring(t.ended), t.rest) end
    same(c, "the status", status, r.status)
  end
  if #t.responses > #statuses then fail(c, "a response too many") end
  local first = t.responses[1]
  if c.got then
    local got = version == "h2" and got_by_h2(c.got) or c.got
    same(c, "the client's head", case.head(unpack(got)), without_chance(first.head))
  end
  if c.got_body then same(c, "the client's body", c.got_body, first.body) end
  if c.refused and first then
    if version ~= "h2" then same(c, "Connection", "close", first.fields.connection) end
    same(c, "what the refusal is", "application/problem+json", first.fields["content-type"])
  end
  local interims = {}
  for i, r in ipairs(t.interims) do interims[i] = r.status end
  same(c, "interim responses", table.concat(c.interims or {}, ","), table.concat(interims, ","))
end

-- The second request on the same connection.
local function check_goes_on(c, w, t)
  local before = #t.seen
  w.answers = {}
  w:act(t.client, "GET /still-here HTTP/1.1\r\nHost: a\r\n\r\n")
  w:more(t, { count = #t.responses + 1, is_head = c.is_head })
  local last = t.responses[#t.responses]
  if t.ended or not last or last.status ~= 200 then
    fail(c, "the connection did not go on: %s, rest %q", tostring(t.ended), t.rest)
  end
  same(c, "the second request's answer", "ok", last.body)
  same(c, "requests that the upstream saw after it", before + 1, #t.seen)
  same(c, "the second target", "/still-here", t.seen[#t.seen].target)
  if c.upstream_ends and t.seen[1].connection == t.seen[#t.seen].connection then
    fail(c, "the upstream's connection was used again")
  end
end

local function statuses_of(c)
  if type(c.status) == "table" then return #c.status end
  return c.status == false and 0 or 1
end

-- The response has begun and goes no further.
local function check_cut(c, t, version)
  local body
  if version == "h2" then
    local s = t.client.h2.last
    same(c, "the stream is reset", true, s.reset ~= nil)
    body = table.concat(s.body)
  else
    local head
    head, body = t.rest:match "^(.-\r\n\r\n)(.*)$"
    if (head or ""):find("\r\nTransfer-Encoding: chunked\r\n", 1, true) then
      body = body:gsub("%x+\r\n([^\r\n]+)\r\n", "%1")
    end
  end
  same(c, "what came before the cut", c.cut, body)
end

-- Over HTTP/2: a stream that breaks a rule is reset, and none ends the connection.
local function check_h2(c, t)
  same(c, "the connection's end", "nil", tostring(t.ended or t.client.h2.goaway))
  local s = t.client.h2.last
  if c.resets then
    same(c, "the stream's reset", PROTOCOL_ERROR, s.reset)
    same(c, "responses", 0, #t.responses)
  elseif not c.cut and c.status ~= false then
    same(c, "the stream's reset", "nil", tostring(s.reset))
  end
end

--- Runs a case through weir at `port` with `w` as its upstream, which weir knows by `w.known_port`,
--- and a client that talks `version` ("h1", "h2"); raises when it fails.
function case.run(c, w, port, version)
  version = version or "h1"
  w:reset()
  if c.broken then c.refused = 400 end
  if c.cut then c.status, c.ends = false, "closed" end
  local is_h2 = version == "h2"
  local ends = not is_h2 and (c.ends or c.refused and "closed") or nil
  local ok, t = pcall(w.talk, w, port, {
    send = c.send, answers = c.answers and { unpack(c.answers) }, count = statuses_of(c),
    is_head = c.is_head, wants_end = ends ~= nil, receive_buffer = c.receive_buffer, h2 = is_h2,
  })
  if not ok then fail(c, "%s", tostring(t)) end
  local has_responses = c.status ~= false and not (is_h2 and c.resets)
  if is_h2 then check_h2(c, t) end
  if c.cut then check_cut(c, t, version) end
  if has_responses then check_responses(c, t, version) end
  if c.broken then check_broken(c, t, w) else check_seen(c, t.seen, w.known_port, version) end
  if c.check then c.check(t, w) end
  same(c, "how the connection ended", tostring(ends), tostring(t.ended))
  if not has_responses then same(c, "responses", 0, #t.responses) end
  if ends then
    if has_responses then same(c, "what is left on the connection", "", t.rest) end
  else
    check_goes_on(c, w, t)
  end
end

case.wire = wire
return case
