--- The PROXY protocol against the bytes of HAProxy's doc/proxy-protocol.txt.
local c, ffi = require "spec.support.c" ("http/proxy_protocol.h")

local MORE, DONE, BAD = c.WR_PROXY_PROTOCOL_MORE, c.WR_PROXY_PROTOCOL_DONE, c.WR_PROXY_PROTOCOL_BAD
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

local function read(bytes)
  local out = ffi.new("struct wr_proxy_protocol")
  return c.wr_proxy_protocol_read(ffi.new("struct wr_str", bytes, #bytes), out), out
end

local function text_of(out)
  local text = ffi.new("char[46]")
  c.wr_network_text(out.address, text)
  return ffi.string(text)
end

local function number(value)
  return string.char(math.floor(value / 256), value % 256)
end

-- A header of version 2: version and command, family and protocol, what follows.
local function v2(command, family, block, len)
  return SIGNATURE .. string.char(command, family) .. number(len or #block) .. block
end

local V4 = "\192\0\2\1" .. "\198\51\100\1" .. number(56324) .. number(443)
local V6 = "\32\1\13\184" .. ("\0"):rep(11) .. "\1" .. "\32\1\13\184" .. ("\0"):rep(11) .. "\2"
  .. number(4124) .. number(443)

describe("the PROXY protocol", function()
  it("says who the client is", function()
    local cases = {
      { "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1", 56324 },
      { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", 65535 },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 0 0\r\n", "192.0.2.1", 0 },
      { "PROXY TCP6 2001:db8::1 2001:db8::2 4124 443\r\n", "2001:db8::1", 4124 },
      { "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        .. "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535 },
      { "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1", 1 },
      { v2(0x21, 0x11, V4), "192.0.2.1", 56324 },
      { v2(0x21, 0x21, V6), "2001:db8::1", 4124 },
      { v2(0x21, 0x11, V4 .. "\4\0\0" .. "\1\0\2h2" .. "\238\0\1x"), "192.0.2.1", 56324 },
    }
    for _, case in ipairs(cases) do
      local status, out = read(case[1] .. "GET / HTTP/1.1\r\n")
      assert.equal(DONE, status, case[1])
      assert.is_true(out.has_client)
      assert.equal(#case[1], tonumber(out.used), "and no byte of what follows is taken")
      assert.equal(case[2], text_of(out))
      assert.equal(case[3], out.port)
    end
  end)

  it("may leave the client to be the peer", function()
    for _, bytes in ipairs { "PROXY UNKNOWN\r\n",
      "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
      "PROXY UNKNOWN anything at all\r\n", v2(0x20, 0x00, ""), v2(0x20, 0x11, V4),
      v2(0x20, 0xff, "whatever a LOCAL one carries"), v2(0x21, 0x00, ""), v2(0x21, 0x00, "xyz") } do
      local status, out = read(bytes)
      assert.equal(DONE, status, bytes)
      assert.is_false(out.has_client)
      assert.equal(#bytes, tonumber(out.used))
    end
  end)

  it("knows a client of a Unix socket", function()
    local status, out = read(v2(0x21, 0x31, ("a"):rep(108) .. ("b"):rep(108)))
    assert.equal(DONE, status)
    assert.is_true(out.has_client and out.is_unix)
  end)

  it("needs every byte of it", function()
    for _, bytes in ipairs { "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "PROXY UNKNOWN\r\n",
      v2(0x21, 0x11, V4), v2(0x21, 0x21, V6 .. "\4\0\3abc"), v2(0x20, 0, "") } do
      for len = 0, #bytes - 1 do
        assert.equal(MORE, (read(bytes:sub(1, len))), bytes:sub(1, len))
      end
      assert.equal(DONE, (read(bytes)))
    end
  end)

  it("refuses what the document does not name", function()
    local cases = {
      { "GET / HTTP/1.1\r\n", "no header" },
      { "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "lower case" },
      { "PROXY\tTCP4 192.0.2.1 198.51.100.1 1 2\r\n", "a tab" },
      { "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "two spaces" },
      { "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n", "two spaces" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n", "a trailing space" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n\r\n", "a bare LF" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\rX", "a bare CR" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "a port too few" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", "a port too many" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", "a leading zero" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", "a port too large" },
      { "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n", "a sign" },
      { "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n", "a leading zero in an address" },
      { "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n", "a short address" },
      { "PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n", "a NUL" },
      { "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "IPv6 called IPv4" },
      { "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n", "IPv4 called IPv6" },
      { "PROXY TCP6 fe80::1%lo ::1 1 2\r\n", "a zone" },
      { "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "an unknown family" },
      { "PROXY UNKNOWN " .. ("x"):rep(100), "no end within 107 bytes" },
      { "\r\n\r\n\0\r\nQUIT\r", "another signature" },
      { v2(0x11, 0x11, V4), "version 1 in binary" },
      { v2(0x31, 0x11, V4), "version 3" },
      { v2(0x22, 0x11, V4), "an unknown command" },
      { v2(0x21, 0x12, V4), "datagrams" },
      { v2(0x21, 0x10, V4), "a family without a protocol" },
      { v2(0x21, 0x41, V4), "an unknown family" },
      { v2(0x21, 0x11, V4:sub(1, 11)), "shorter than its addresses" },
      { v2(0x21, 0x21, V6:sub(1, 35)), "shorter than its addresses" },
      { v2(0x21, 0x31, ("a"):rep(215)), "shorter than its addresses" },
      { v2(0x21, 0x11, V4 .. "\4"), "an extension without a length" },
      { v2(0x21, 0x11, V4 .. "\4\0\5abcd"), "an extension past the end" },
      { v2(0x21, 0x11, "", 4081), "longer than allowed, which its first bytes tell" },
    }
    for _, case in ipairs(cases) do
      local status, out = read(case[1])
      assert.equal(BAD, status, case[2])
      assert.is_truthy(#ffi.string(out.reason) > 0)
    end
  end)

  -- What is written for these ends; read it back and write that again.
  local function write(version, from)
    local ends, out = ffi.new "struct wr_proxy_protocol", ffi.new "char[232]"
    ends.has_client, ends.is_unix = from ~= nil, from and from.path ~= nil or false
    if from and from.path then ffi.copy(ends.to_path, from.path) end
    if from and from[1] then
      assert(c.wr_network_address(ffi.new("struct wr_str", from[1], #from[1]), ends.address))
      assert(c.wr_network_address(ffi.new("struct wr_str", from[3], #from[3]), ends.to))
      ends.port, ends.to_port = from[2], from[4]
    end
    local bytes = ffi.string(out, c.wr_proxy_protocol_write(version, ends, out))
    local status, back = read(bytes)
    assert.equal(DONE, status)
    assert.equal(#bytes, tonumber(back.used))
    assert.equal(bytes, ffi.string(out, c.wr_proxy_protocol_write(version, back, out)))
    return bytes
  end

  it("is written as the document has it", function()
    local v4 = { "192.0.2.1", 56324, "198.51.100.1", 443 }
    local v6 = { "2001:db8::1", 4124, "2001:db8::2", 443 }
    local unix = { path = "/run/weir.sock" }
    local cases = {
      { 1, v4, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" },
      { 1, v6, "PROXY TCP6 2001:db8::1 2001:db8::2 4124 443\r\n" },
      { 1, { "192.0.2.1", 1, "2001:db8::2", 2 },
        "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n" },
      { 1, { "::ffff:192.0.2.1", 1, "192.0.2.2", 2 }, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" },
      { 1, unix, "PROXY UNKNOWN\r\n" },
      { 1, nil, "PROXY UNKNOWN\r\n" },
      { 2, v4, v2(0x21, 0x11, V4) },
      { 2, v6, v2(0x21, 0x21, V6) },
      { 2, unix, v2(0x21, 0x31, ("\0"):rep(108) .. unix.path .. ("\0"):rep(108 - #unix.path)) },
      { 2, nil, v2(0x20, 0x00, "") },
    }
    for _, case in ipairs(cases) do assert.equal(case[3], write(case[1], case[2])) end
  end)

  it("is never longer than it says", function()
    local wide = ("ffff:"):rep(7) .. "ffff"
    assert.equal(104, #write(1, { wide, 65535, wide, 65535 }))
    assert.equal(232, #write(2, { path = ("p"):rep(108) }))
  end)
end)
