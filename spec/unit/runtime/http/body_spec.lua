local c, ffi = require "spec.support.c" ("http/body.h", "base/rng.h")

local body = ffi.new("struct wr_body")
local used, payload = ffi.new("size_t[1]"), ffi.new("struct wr_str")
local words = { [0] = "more", "done", "bad" }

-- Feeds `text` in pieces of the sizes that `next_size` gives; what was read and how it ended.
local function feed(text, next_size)
  local read, at = {}, 0
  while true do
    local size = math.min(next_size(), #text - at)
    local bytes = ffi.new("char[?]", math.max(size, 1))
    ffi.copy(bytes, text:sub(at + 1, at + size), size)
    local done = 0
    repeat
      local status = words[tonumber(c.wr_body_feed(body, bytes + done, size - done, used, payload))]
      done = done + tonumber(used[0])
      if payload.ptr ~= nil then table.insert(read, ffi.string(payload.ptr, payload.len)) end
      if status ~= "more" then return status, table.concat(read), text:sub(at + done + 1) end
    until done == size
    at = at + size
    if at == #text then return "more", table.concat(read), "" end
  end
end

local function whole() return math.huge end

local function chunked(text, next_size)
  c.wr_body_init(body, c.WR_FRAMING_CHUNKED, 0)
  return feed(text, next_size or whole)
end

local E = "0\r\n\r\n"

-- { verdict, bytes, reason, payload }
local vectors = {
  { "done", E, "an empty body", "" },
  { "done", "5\r\nhello\r\n" .. E, "one chunk", "hello" },
  { "done", "1\r\na\r\n2\r\nbc\r\n" .. E, "two chunks", "abc" },
  { "done", "A\r\n0123456789\r\n" .. E, "a size in upper case", "0123456789" },
  { "done", "a\r\n0123456789\r\n" .. E, "a size in lower case", "0123456789" },
  { "done", "0005\r\nhello\r\n000\r\n\r\n", "leading zeros", "hello" },
  { "done", "4\r\n\r\n\r\n\r\n" .. E, "CRLF as payload", "\r\n\r\n" },
  { "done", "5;a\r\nhello\r\n" .. E, "an extension without value", "hello" },
  { "done", "5;a=b;c=d\r\nhello\r\n0;e\r\n\r\n", "extensions", "hello" },
  { "done", '5;a="b; c\\"d"\r\nhello\r\n' .. E, "a quoted extension", "hello" },
  { "done", '5;a="";b\r\nhello\r\n' .. E, "an empty quoted extension, and another", "hello" },
  { "done", "0\r\nX: y\r\nZ:\r\n\r\n", "trailers are dropped", "" },
  { "done", "0\r\nX-Checksum: \t caf\xc3\xa9\r\n\r\n", "obs-text in a trailer", "" },
  { "done", E .. "GET /", "what follows belongs to the next message", "" },
  { "more", "", "nothing yet", "" },
  { "more", "5", "part of a size", "" },
  { "more", "5\r", "CR waits for LF", "" },
  { "more", "5\r\nhel", "part of a chunk", "hel" },
  { "more", "5\r\nhello", "a chunk that is not closed", "hello" },
  { "more", "0\r\n", "the empty line to come", "" },
  { "more", "0\r\nX: y", "part of a trailer", "" },
  { "bad", "\r\n", "no size" },
  { "bad", ";a\r\n", "an extension without a size" },
  { "bad", "5\nhello\r\n", "bare LF after the size" },
  { "bad", "5\rhello", "CR without LF after the size" },
  { "bad", "5\r\rhello", "CR CR" },
  { "bad", "5\r\nhello\n" .. E, "bare LF after the data" },
  { "bad", "5\r\nhello\r5\r\n", "CR without LF after the data" },
  { "bad", "5\r\nhelloX" .. E, "data longer than its size" },
  { "bad", "5\r\nhello0\r\n\r\n", "no CRLF after the data" },
  { "bad", "5\r\nhelloXX0\r\n\r\n", "two other bytes for CRLF" },
  { "bad", " 5\r\nhello\r\n", "a space before the size" },
  { "bad", "5 \r\nhello\r\n", "a space after the size" },
  { "bad", "5\t\r\nhello\r\n", "a tab after the size" },
  { "bad", "5 ;a\r\nhello\r\n", "a space before an extension" },
  { "bad", "5; a\r\nhello\r\n", "a space in an extension" },
  { "bad", "5;a =b\r\nhello\r\n", "a space before the equals sign" },
  { "bad", "+5\r\nhello\r\n", "a plus sign" },
  { "bad", "-5\r\nhello\r\n", "a minus sign" },
  { "bad", "0x5\r\nhello\r\n", "0x" },
  { "bad", "5h\r\nhello\r\n", "hexadecimal with a suffix" },
  { "bad", "g\r\n", "not hexadecimal" },
  { "bad", "5,5\r\nhello\r\n", "a list" },
  { "bad", "5_0\r\n", "an underscore" },
  { "bad", "\xef\xbc\x95\r\nhello\r\n", "a wide digit" },
  { "bad", "00000000000000005\r\nhello\r\n", "17 digits" },
  { "bad", "8000000000000000\r\n", "2^63" },
  { "bad", "FFFFFFFFFFFFFFFF\r\n", "2^64-1" },
  { "bad", "10000000000000000\r\n", "2^64 would be 0" },
  { "bad", "10000000000000005\r\nhello\r\n", "2^64+5 would be 5" },
  { "bad", "1\r\na\r\n7FFFFFFFFFFFFFFF\r\n", "the sum passes 2^63" },
  { "bad", "5;\r\nhello\r\n", "an extension without a name" },
  { "bad", "5;;a\r\nhello\r\n", "an empty extension" },
  { "bad", "5;a=\r\nhello\r\n", "an extension without its value" },
  { "bad", "5;a=b=c\r\nhello\r\n", "two equals signs" },
  { "bad", "5;a\nX\r\nhello\r\n", "bare LF in an extension (TERM.EXT)" },
  { "bad", "5;a\rX\r\nhello\r\n", "CR in an extension" },
  { "bad", '5;a="b\r"\r\nhello\r\n', "CR in a quoted extension" },
  { "bad", '5;a="b\n"\r\nhello\r\n', "LF in a quoted extension" },
  { "bad", '5;a="b\r\n"\r\nhello\r\n', "CRLF in a quoted extension" },
  { "bad", '5;a="b\\\r\n"\r\nhello\r\n', "an escaped CR" },
  { "bad", '5;a="b"c\r\nhello\r\n', "text after a quoted value" },
  { "bad", "5;a=\0\r\nhello\r\n", "NUL in an extension" },
  { "bad", "5;" .. ("a"):rep(256) .. "\r\nhello\r\n", "an extension past 256 bytes" },
  { "bad", ("1;" .. ("a"):rep(250) .. "\r\na\r\n"):rep(17) .. E, "extensions past 4 KiB in all" },
  { "bad", "0\r\n\n", "bare LF for the empty line" },
  { "bad", "0\r\n\rX", "CR without LF at the end" },
  { "bad", "0\r\nX: y\n\r\n", "bare LF after a trailer" },
  { "bad", "0\r\nX: a\rb\r\n\r\n", "a bare CR in a trailer" },
  { "bad", "0\r\nX: a\0\r\n\r\n", "NUL in a trailer" },
  { "bad", "0\r\nX : y\r\n\r\n", "space before a trailer's colon" },
  { "bad", "0\r\n X: y\r\n\r\n", "an indented trailer" },
  { "bad", "0\r\nX: y\r\n z\r\n\r\n", "a folded trailer" },
  { "bad", "0\r\n: y\r\n\r\n", "an empty trailer name" },
  { "bad", "0\r\nGET / HTTP/1.1\r\n\r\n", "a request where a trailer is due" },
  { "bad", "0\r\nContent-Length: 5\r\n\r\n", "a length as trailer (llhttp takes it)" },
  { "bad", "0\r\ntransfer-encoding: chunked\r\n\r\n", "a coding as trailer" },
  { "bad", "0\r\nHost: b\r\n\r\n", "a host as trailer" },
  { "bad", "0\r\nConnection: close\r\n\r\n", "connection options as trailer" },
  { "bad", "0\r\nA: b\r\nProxy-Authorization: x\r\n\r\n", "the longest forbidden name, second" },
  { "bad", "0\r\nX: " .. ("y"):rep(8192) .. "\r\n\r\n", "trailers past 8 KiB" },
  { "bad", "0\r\n" .. ("X: y\r\n"):rep(2000) .. "\r\n", "many trailers" },
}

describe("body", function()
  it("gives every chunked vector its verdict, whole", function()
    for _, row in ipairs(vectors) do
      local status, read = chunked(row[2])
      assert.equal(row[1], status, row[3])
      if row[4] then assert.equal(row[4], read, row[3]) end
      if status == "bad" then assert.is_true(#ffi.string(body.reason) > 0, row[3]) end
    end
  end)

  it("keeps trailers for who wants them", function()
    local lines = ffi.new("struct wr_buf")
    c.wr_buf_init(lines, c.WR_BODY_TRAILERS_MAX)
    c.wr_body_init(body, c.WR_FRAMING_CHUNKED, 0)
    c.wr_body_keep_trailers(body, lines)
    local status = feed("1\r\na\r\n0\r\ngrpc-status: 0 \r\nEmpty:\r\n\r\n", function() return 3 end)
    assert.equal("done", status)
    local region, list = ffi.new("struct wr_region"), ffi.new("struct wr_headers")
    c.wr_region_init(region, 4096)
    c.wr_headers_init(list, region, 8)
    c.wr_body_read_trailers(body, list)
    assert.equal(2, tonumber(list.count))
    local function text(slice) return ffi.string(slice.ptr, slice.len) end
    assert.equal("grpc-status", text(list.items[0].name))
    assert.equal("0", text(list.items[0].value))
    assert.equal("Empty", text(list.items[1].name))
    assert.equal("", text(list.items[1].value))
    c.wr_region_fini(region)
    c.wr_buf_fini(lines)
  end)

  it("gives it byte by byte too", function()
    for _, row in ipairs(vectors) do
      local status, read = chunked(row[2], function() return 1 end)
      assert.equal(row[1], status, row[3])
      if row[4] then assert.equal(row[4], read, row[3]) end
    end
  end)

  it("leaves what follows the body", function()
    local _, _, rest = chunked("1\r\na\r\n" .. E .. "GET /")
    assert.equal("GET /", rest)
    c.wr_body_init(body, c.WR_FRAMING_LENGTH, 3)
    assert.same({ "done", "abc", "GET /" }, { feed("abcGET /", whole) })
    c.wr_body_init(body, c.WR_FRAMING_NONE, 0)
    assert.same({ "done", "", "GET /" }, { feed("GET /", whole) })
  end)

  it("reads the same from any split", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local function below(n) return tonumber(c.wr_rng_below(rng, n)) end
    for round = 1, 300 do
      local parts, expected = {}, {}
      for i = 1, below(6) do
        local data = {}
        for k = 1, 1 + below(300) do data[k] = string.char(below(256)) end
        expected[i] = table.concat(data)
        local extension = below(2) == 0 and ";x=1" or ""
        parts[i] = ("%x%s\r\n%s\r\n"):format(#expected[i], extension, expected[i])
      end
      local text = table.concat(parts) .. "0\r\n" .. (below(2) == 0 and "A: b\r\n" or "") .. "\r\n"
      local status, read, rest = chunked(text .. "next", function() return 1 + below(200) end)
      local message = "seed " .. seed .. " round " .. round
      assert.equal("done", status, message)
      assert.equal(table.concat(expected), read, message)
      assert.equal("next", rest, message)
      assert.equal(#read, tonumber(body.total), message)
    end
  end)

  it("counts down a length", function()
    c.wr_body_init(body, c.WR_FRAMING_LENGTH, 5)
    assert.same({ "more", "hel", "" }, { feed("hel", whole) })
    assert.equal(2, tonumber(body.left))
    assert.same({ "done", "lo", "" }, { feed("lo", whole) })
    c.wr_body_init(body, c.WR_FRAMING_LENGTH, 0)
    assert.equal(1, tonumber(c.wr_body_feed(body, "", 0, used, payload)))
  end)

  it("takes everything until the connection closes", function()
    c.wr_body_init(body, c.WR_FRAMING_CLOSE, 0)
    assert.same({ "more", "anything", "" }, { feed("anything", whole) })
    assert.equal("done", words[tonumber(c.wr_body_eof(body))])
  end)

  it("says whether the connection may end here", function()
    local function ends(framing, length, text)
      c.wr_body_init(body, framing, length)
      if #text > 0 then feed(text, whole) end
      return words[tonumber(c.wr_body_eof(body))]
    end
    assert.equal("done", ends(c.WR_FRAMING_NONE, 0, ""))
    assert.equal("done", ends(c.WR_FRAMING_CLOSE, 0, ""))
    assert.equal("done", ends(c.WR_FRAMING_LENGTH, 0, ""))
    assert.equal("done", ends(c.WR_FRAMING_LENGTH, 3, "abc"))
    assert.equal("bad", ends(c.WR_FRAMING_LENGTH, 3, "ab"))
    assert.equal("done", ends(c.WR_FRAMING_CHUNKED, 0, "1\r\na\r\n" .. E))
    assert.equal("bad", ends(c.WR_FRAMING_CHUNKED, 0, "1\r\na\r\n"))
    assert.equal("bad", ends(c.WR_FRAMING_CHUNKED, 0, "0\r\n"))
    assert.equal("bad", ends(c.WR_FRAMING_CHUNKED, 0, ""))
  end)

  it("stays bad once it is", function()
    assert.equal("bad", (chunked("x")))
    assert.equal("bad", (feed(E, whole)))
    assert.equal("bad", words[tonumber(c.wr_body_eof(body))])
  end)

  it("writes chunk sizes that it can read", function()
    local out = ffi.new("char[20]")
    for _, size in ipairs { 1, 9, 10, 15, 16, 255, 256, 65536, 2 ^ 40 } do
      local len = c.wr_body_chunk_head(out, size)
      assert.equal(("%x\r\n"):format(size), ffi.string(out, len))
    end
    local len = c.wr_body_chunk_head(out, 0xffffffffffffffffULL)
    assert.equal("ffffffffffffffff\r\n", ffi.string(out, len))
  end)
end)
