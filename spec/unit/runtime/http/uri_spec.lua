local c, ffi = require "spec.support.c" ("http/uri.h")

local region = ffi.new("struct wr_region")
c.wr_region_init(region, 1048576)

local function str(s)
  return s.ptr ~= nil and ffi.string(s.ptr, s.len) or nil
end

local function slice(text)
  return ffi.new("struct wr_str", { text, #text })
end

local function parse(text)
  local u, reason = ffi.new("struct wr_uri"), ffi.new("const char *[1]")
  if not c.wr_uri_parse(u, slice(text), region, reason) then return nil, ffi.string(reason[0]) end
  return u
end

local function normal(path)
  return str(c.wr_uri_normal_path(slice(path), region))
end

describe("uri", function()
  before_each(function() c.wr_region_clear(region) end)

  it("takes URLs apart", function()
    local cases = {
      -- text, https, host, port, is default, path, query, authority
      { "http://a", false, "a", 80, true, "/", nil, "a" },
      { "HTTPS://A.B/", true, "a.b", 443, true, "/", nil, "a.b" },
      { "http://a:8080/x/y?z=1", false, "a", 8080, false, "/x/y", "z=1", "a:8080" },
      { "http://a:80/", false, "a", 80, true, "/", nil, "a" },
      { "https://a:80/", true, "a", 80, false, "/", nil, "a:80" },
      { "http://a:/", false, "a", 80, true, "/", nil, "a" },
      { "http://a?q", false, "a", 80, true, "/", "q", "a" },
      { "http://a/?", false, "a", 80, true, "/", "", "a" },
      { "http://a/x?y?z", false, "a", 80, true, "/x", "y?z", "a" },
      { "http://127.0.0.1:9101", false, "127.0.0.1", 9101, false, "/", nil, "127.0.0.1:9101" },
      { "http://[::1]:81/", false, "::1", 81, false, "/", nil, "[::1]:81" },
      { "http://[2001:DB8::0:1]", false, "2001:db8::1", 80, true, "/", nil, "[2001:db8::1]" },
      { "http://a./", false, "a", 80, true, "/", nil, "a" },
      { "http://a_b-c~d/", false, "a_b-c~d", 80, true, "/", nil, "a_b-c~d" },
      { "http://a/@:b", false, "a", 80, true, "/@:b", nil, "a" },
    }
    for _, case in ipairs(cases) do
      local u = assert(parse(case[1]))
      assert.same({ case[2], case[3], case[4], case[5], case[6], case[8] },
        { u.is_https, str(u.host), u.port, u.has_default_port, str(u.path), str(u.authority) },
          case[1])
      assert.equal(case[7], str(u.query), case[1])
      assert.equal(case[1]:find("[", 1, true) ~= nil, u.is_ipv6, case[1])
    end
  end)

  it("knows dot segments, escaped or not, from names with dots", function()
    local cases = {
      ["/."] = true, ["/.."] = true, ["/a/./b"] = true, ["/a/../b"] = true, ["/%2e"] = true,
      ["/%2E%2e/"] = true, ["/a/.%2e"] = true, ["/a/%2e."] = true, ["./a"] = true,
      ["/"] = false, ["/..."] = false, ["/.a/b."] = false, ["/a..b"] = false, ["/%2ea"] = false,
      ["/%2e%2e%2e"] = false, ["/%2"] = false, ["/%2f."] = false, ["*"] = false, [""] = false,
    }
    for path, has in pairs(cases) do
      assert.equal(has, c.wr_uri_has_dots(slice(path)), path)
    end
  end)

  it("refuses what is not an http URL, and says why", function()
    local cases = {
      { "", "empty" }, { "a", "begin with" }, { "/a", "begin with" }, { "//a", "begin with" },
      { "ftp://a", "begin with" }, { "http:/a", "begin with" }, { "http//a", "begin with" },
      { "http:a", "begin with" }, { "httpx://a", "begin with" }, { "unix:/x", "begin with" },
      { "http://", "host is empty" }, { "http:///x", "host is empty" },
      { "http://:80", "not a name" },
      { "http://?x", "host is empty" }, { "http://u@a", "user information" },
      { "http://u:p@a/", "user information" }, { "http://a#f", "fragment" },
      { "http://a/#", "fragment" },
      { "http://a b", "escaped" }, { "http://a/b c", "escaped" },
      { "http://a/\r\nX: y", "escaped" },
      { "http://a/\0", "escaped" }, { "http://a/\xc3\xa9", "escaped" },
      { "http://\xc3\xa9/", "escaped" },
      { "http://a:x", "port" }, { "http://a:0", "port" }, { "http://a:65536", "port" },
      { "http://a:123456", "port" }, { "http://a:-1", "port" }, { "http://a:8 0", "escaped" },
      { "http://a..b", "not a name" }, { "http://.", "not a name" },
      { "http://a%41", "not a name" },
      { "http://a,b", "not a name" }, { "http://a\\b", "not a name" }, { "http://*", "not a name" },
      { "http://[::1", "bracket" }, { "http://[]", "IPv6" }, { "http://[::g]", "IPv6" },
      { "http://[1.2.3.4]", "IPv6" }, { "http://[::1%25lo]", "IPv6" },
      { "http://[::1]80", "not a port" },
      { "http://[v1.a]", "IPv6" }, { "http://" .. ("a"):rep(254), "too long" },
    }
    for _, case in ipairs(cases) do
      local u, reason = parse(case[1])
      assert.is_nil(u, case[1])
      assert.is_truthy(reason:find(case[2], 1, true), case[1] .. ": " .. tostring(reason))
    end
  end)

  it("decodes escapes", function()
    local cases = { { "", "" }, { "a", "a" }, { "%41%7a%7A", "Azz" }, { "%2F", "/" },
      { "%25", "%" },
      { "+", "+" }, { "%C3%a9", "\xc3\xa9" }, { "%2541", "%41" } }
    for _, case in ipairs(cases) do
      assert.equal(case[2], str(c.wr_uri_decode(slice(case[1]), region)), case[1])
    end
    for _, text in ipairs { "%", "%4", "%4g", "%g4", "a%", "%%41", "%00", "a%00b", "%-1", "% 1",
      "%0x" } do
      assert.is_nil(str(c.wr_uri_decode(slice(text), region)), text)
    end
  end)

  it("encodes everything but unreserved characters", function()
    local cases = { { "", "" }, { "aZ0-._~", "aZ0-._~" }, { "a b", "a%20b" },
      { "/?#", "%2F%3F%23" },
      { "%", "%25" }, { "\0\xff", "%00%FF" }, { "\r\n", "%0D%0A" }, { "+&=", "%2B%26%3D" } }
    for _, case in ipairs(cases) do
      assert.equal(case[2], str(c.wr_uri_encode(slice(case[1]), region)), case[1])
    end
  end)

  it("decodes what it encodes, for every byte but NUL", function()
    for byte = 1, 255 do
      local text = "x" .. string.char(byte)
      local encoded = c.wr_uri_encode(slice(text), region)
      assert.equal(text, str(c.wr_uri_decode(encoded, region)))
    end
  end)

  it("brings paths into the one form that routes see", function()
    local cases = {
      { "/", "/" }, { "*", "*" }, { "/a", "/a" }, { "/a/", "/a/" }, { "/a/b", "/a/b" },
      { "//", "/" }, { "//a", "/a" }, { "/a//b", "/a/b" }, { "/a///b//", "/a/b/" },
      { "/.", "/" }, { "/./", "/" }, { "/./a", "/a" }, { "/a/.", "/a/" }, { "/a/./b", "/a/b" },
      { "/a/..", "/" }, { "/a/../", "/" }, { "/a/../b", "/b" }, { "/a/b/..", "/a/" },
      { "/a/b/../../c", "/c" }, { "/a/b/./../c", "/a/c" }, { "//a/../b", "/b" },
      { "/...", "/..." }, { "/a..", "/a.." }, { "/..a", "/..a" }, { "/.a", "/.a" },
      { "/%61", "/a" }, { "/%7E%2d%2E%5f", "/~-._" }, { "/a/%2e/b", "/a/b" },
      { "/a/%2E%2e/b", "/b" },
      { "/a/.%2e/b", "/b" }, { "/%c3%a9", "/%C3%A9" }, { "/%20", "/%20" }, { "/%3b", "/%3B" },
      { "/%25", "/%25" }, { "/%252e", "/%252e" }, { "/%252F", "/%252F" }, { "/%ff", "/%FF" },
      { "/a;b/c", "/a;b/c" }, { "/;x", "/;x" }, { "/a;..", "/a;.." },
      { "/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,=" },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], normal(case[1]), case[1]) end
  end)

  it("refuses paths about which policy and upstream could disagree", function()
    local cases = {
      { "", "no path" }, { "a", "relative" }, { "?", "relative" }, { "**", "not an asterisk" },
      { "/..", "climbs above the root" }, { "/../a", "climbs" }, { "/a/../..", "climbs" },
      { "/./..", "climbs" }, { "/%2e%2e", "climbs, escaped" }, { "/a/..%2fb", "hides a slash" },
      { "/a%2Fb", "hides a slash" }, { "/a%5cb", "hides a backslash" }, { "/a\\b", "a backslash" },
      { "/\\..\\a", "backslashes" }, { "/%00", "hides NUL" }, { "/a%0d%0ab", "hides CRLF" },
      { "/%1f", "hides a control character" }, { "/%7f", "hides DEL" }, { "/%", "a broken escape" },
      { "/%4", "a broken escape" }, { "/%zz", "a broken escape" }, { "/a b", "a space" },
      { "/\0", "NUL" }, { "/a\r\nb", "CRLF" }, { "/\xc3\xa9", "not ASCII" },
      { "/a#b", "a fragment" },
      { "/a/..;/b", "a hidden .." }, { "/a/..;x=y/b", "a hidden .." }, { "/.;/b", "a hidden ." },
      { "/a/%2e%2e;/b", "a hidden .., escaped" },
      { "/a//../b", "is the empty segment removed, or a?" },
      { "/a//b/../..", "the same, further on" },
    }
    for _, case in ipairs(cases) do assert.is_nil(normal(case[1]), case[1] .. ": " .. case[2]) end
  end)

  it("leaves the normal form alone", function()
    local alphabet = { "/", "/", ".", "..", "a", "%2e", "%41", ";", "b", "//", "%25", "%c3" }
    math.randomseed(20261121)
    for _ = 1, 5000 do
      local parts = { "/" }
      for i = 2, math.random(2, 9) do parts[i] = alphabet[math.random(#alphabet)] end
      local once = normal(table.concat(parts))
      if once then
        assert.equal(once, normal(once), table.concat(parts))
        assert.is_nil(once:find("//", 1, true))
        assert.is_nil((once .. "/"):find("/../", 1, true))
      end
    end
  end)

  it("gives nothing when the region is full", function()
    local small = ffi.new("struct wr_region")
    c.wr_region_init(small, 16)
    local long = slice(("/a"):rep(20))
    assert.is_nil(str(c.wr_uri_normal_path(long, small)))
    assert.is_nil(str(c.wr_uri_decode(long, small)))
    assert.is_nil(str(c.wr_uri_encode(long, small)))
    c.wr_region_fini(small)
  end)
end)
