local c, ffi = require "spec.support.c" ("base/network.h")

local anchors = {} -- the library borrows: texts must outlive their slices

local function str(text)
  anchors[#anchors + 1] = text
  return ffi.new("struct wr_str", text, #text)
end

local function networks(...)
  local n, err = ffi.new("struct wr_networks"), ffi.new("struct wr_error")
  for _, network in ipairs { ... } do
    assert.is_true(c.wr_networks_add(n, str(network), err), ffi.string(err.message))
  end
  return n
end

describe("networks", function()
  it("know what lies in them", function()
    local n = networks("10.0.0.0/8", "192.0.2.7", "fd00::/8", "172.16.0.0/12")
    for _, inside in ipairs { "10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "fd12::1",
      "172.31.255.255" } do
      assert.is_true(c.wr_networks_has(n, str(inside)), inside)
    end
    for _, outside in ipairs { "11.0.0.1", "192.0.2.8", "fe80::1", "172.32.0.0", "", "x", "10.0.0",
      "unix", "10.0.0.1\0" } do
      assert.is_false(c.wr_networks_has(n, str(outside)), outside)
    end
  end)

  it("may hold everybody, or those who come over a Unix socket", function()
    assert.is_true(c.wr_networks_has(networks "0.0.0.0/0", str "203.0.113.9"))
    assert.is_false(c.wr_networks_has(networks "0.0.0.0/0", str "2001:db8::1"))
    assert.is_true(c.wr_networks_has(networks "::/0", str "203.0.113.9"))
    assert.is_true(c.wr_networks_has(networks "unix", str "unix"))
    assert.is_false(c.wr_networks_has(networks "::/0", str "unix"))
  end)

  it("refuse what is no network", function()
    local n, err = ffi.new("struct wr_networks"), ffi.new("struct wr_error")
    for _, text in ipairs { "", "10.0.0.0/33", "::1/129", "ten", "10.0.0.0/", "10.0.0.0/x", "/8",
      "unix:/x", "fe80::1%lo" } do
      assert.is_false(c.wr_networks_add(n, str(text), err), text)
    end
  end)

  it("are at most 64 in a list", function()
    local n, err = ffi.new("struct wr_networks"), ffi.new("struct wr_error")
    for i = 1, 64 do assert.is_true(c.wr_networks_add(n, str("10.0.0." .. i), err)) end
    assert.is_false(c.wr_networks_add(n, str "10.0.1.0", err))
    assert.is_truthy(ffi.string(err.message):find("at most 64", 1, true))
  end)

  it("write an address in one form", function()
    local bytes, text = ffi.new("unsigned char[16]"), ffi.new("char[46]")
    for given, written in pairs { ["192.0.2.1"] = "192.0.2.1", ["::FFFF:192.0.2.1"] = "192.0.2.1",
      ["2001:0DB8:0:0::1"] = "2001:db8::1", ["::"] = "::" } do
      assert.is_true(c.wr_network_address(str(given), bytes))
      c.wr_network_text(bytes, text)
      assert.equal(written, ffi.string(text))
    end
  end)
end)
