local c, ffi = require "spec.support.c" ("script/trust.h")

local anchors = {} -- the library borrows: texts must outlive their slices

local function str(text)
  anchors[#anchors + 1] = text
  return ffi.new("struct wr_str", text, #text)
end

local function trust(...)
  local t, err = ffi.new("struct wr_networks"), ffi.new("struct wr_error")
  for _, network in ipairs { ... } do
    assert.is_true(c.wr_networks_add(t, str(network), err), ffi.string(err.message))
  end
  return t
end

local function client(t, peer, ...)
  local region, headers = ffi.new("struct wr_region"), ffi.new("struct wr_headers")
  c.wr_region_init(region, 65536)
  c.wr_headers_init(headers, region, 32)
  for _, value in ipairs { ... } do
    assert.is_true(c.wr_headers_add_copy(headers, str "X-Forwarded-For", str(value)))
  end
  local found = c.wr_trust_client(t, str(peer), headers)
  local text = ffi.string(found.ptr, found.len)
  c.wr_region_fini(region)
  return text
end

describe("trust", function()
  it("takes the peer's word only when the peer is trusted", function()
    assert.equal("198.51.100.9", client(trust(), "198.51.100.9", "1.2.3.4"))
    assert.equal("1.2.3.4", client(trust "198.51.100.9", "198.51.100.9", "1.2.3.4"))
  end)

  it("takes the rightmost address that is not trusted itself", function()
    local t = trust "10.0.0.0/8"
    local cases = {
      { { "6.6.6.6, 1.2.3.4, 10.0.0.2" }, "1.2.3.4", "what stands left of it anybody may write" },
      { { "6.6.6.6", "1.2.3.4,10.9.9.9" }, "1.2.3.4", "several fields are one list" },
      { { "10.0.0.3, 10.0.0.2" }, "10.0.0.3", "only proxies: the first of them" },
      { { "1.2.3.4, nonsense" }, "10.0.0.1", "nonsense ends the chain of trust" },
      { {}, "10.0.0.1", "no field" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], client(t, "10.0.0.1", unpack(case[1])), case[3])
    end
  end)
end)
