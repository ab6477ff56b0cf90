local c = require "spec.support.c" ("http/same_origin.h")
local fields = require "spec.support.fields"

local function resolve(reference, target, authority)
  return fields.text(c.wr_same_origin_resolve(fields.slice(reference),
    fields.slice(authority or "a.test"), fields.slice(target or "/b/c/d;p?q"), fields.region))
end

describe("references of the same origin", function()
  before_each(fields.clear)

  -- RFC 3986 5.4, as far as it stays with the origin.
  for reference, want in pairs {
    ["g"] = "/b/c/g", ["./g"] = "/b/c/g", ["g/"] = "/b/c/g/", ["/g"] = "/g", ["?y"] = "/b/c/d;p?y",
    ["g?y"] = "/b/c/g?y", ["#s"] = "/b/c/d;p?q", ["g#s"] = "/b/c/g", [";x"] = "/b/c/;x",
    [""] = "/b/c/d;p?q", ["."] = "/b/c/", ["./"] = "/b/c/", [".."] = "/b/", ["../"] = "/b/",
    ["../g"] = "/b/g", ["../.."] = "/", ["../../"] = "/", ["../../g"] = "/g",
    ["../../../g"] = "/g", ["/./g"] = "/g", ["/../g"] = "/g", ["g."] = "/b/c/g.",
    [".g"] = "/b/c/.g",
    ["g.."] = "/b/c/g..", ["./../g"] = "/b/g", ["./g/."] = "/b/c/g/", ["g/./h"] = "/b/c/g/h",
    ["g/../h"] = "/b/c/h", ["g;x=1/../y"] = "/b/c/y", ["g?y/../x"] = "/b/c/g?y/../x",
  } do
    it(("'%s' is '%s'"):format(reference, want), function()
      assert.equal(want, resolve(reference))
    end)
  end

  it("may name the origin", function()
    assert.equal("/x?y", resolve "http://a.test/x?y")
    assert.equal("/x", resolve "HTTP://A.test:80/x#z")
    assert.equal("/x", resolve "//a.test/x")
    assert.equal("/", resolve "http://a.test")
    assert.equal("/x", resolve("http://a.test:81/x", nil, "a.test:81"))
  end)

  it("do not name another", function()
    for _, reference in ipairs { "http://b.test/x", "//b.test/x", "http://a.test:81/x",
      "mailto:a@a.test", "http://u@a.test/x", "javascript:x" } do
      assert.is_nil(resolve(reference), reference)
    end
  end)

  it("name the request's own target or not", function()
    local function is_target(reference)
      return c.wr_same_origin_is_target(fields.slice(reference), fields.slice "a.test",
        fields.slice "/x?y")
    end
    assert.is_true(is_target "/x?y")
    assert.is_true(is_target "http://a.test/x?y")
    assert.is_false(is_target "/x")
    assert.is_false(is_target "http://b.test/x?y")
  end)

  it("survive any bytes", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local text = fields.noise(math.random, math.random(0, 30))
      local got = resolve(text)
      assert(got == nil or got:sub(1, 1) == "/", ("seed %d: %q: %s"):format(seed, text,
        tostring(got)))
      fields.clear()
    end
  end)
end)
