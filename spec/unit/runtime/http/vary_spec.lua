local c = require "spec.support.c" ("http/vary.h")
local fields = require "spec.support.fields"

local function names(...)
  local list = {}
  for i, value in ipairs { ... } do list[i] = { "Vary", value } end
  local ok, text = fields.into_buf(4096, function(b)
    return c.wr_vary_names(fields.list(list), b)
  end)
  return ok and text or nil
end

local function values(of, list, max)
  local ok, text = fields.into_buf(max or 4096, function(b)
    return c.wr_vary_values(fields.slice(of), fields.list(list), b)
  end)
  return ok and text or nil
end

describe("Vary", function()
  before_each(fields.clear)

  it("gives names in one form, whatever their order and case", function()
    assert.equal("", names())
    assert.equal("accept,foo", names("Foo, ACCEPT", "foo,, accept"))
    assert.equal(names("a, b, c"), names("C", "B", "A"))
  end)

  it("gives up on what no later request can match", function()
    for _, value in ipairs { "*", "a, *", ", *", "a b", "X-Forwarded-For", "via", "Host" } do
      assert.is_nil(names(value), value)
    end
    local many = {}
    for i = 1, 17 do many[i] = "f" .. i end
    assert.is_nil(names(table.concat(many, ",")))
    assert.is_string(names(table.concat(many, ",", 2)))
  end)

  for _, case in ipairs {
    { "two lines are one list", "foo", { { "Foo", "1" }, { "Foo", "2" } }, { { "Foo", "1, 2" } } },
    { "white space around commas means nothing", "foo", { { "Foo", "1,2" } },
      { { "Foo", "1 ,  2" } } },
    { "empty elements mean nothing", "foo", { { "Foo", "1,,2," } }, { { "Foo", "1,2" } } },
    { "languages have no order and no case", "accept-language",
      { { "Accept-Language", "en, de" } },
      { { "Accept-Language", "DE" }, { "accept-language", "EN" } } },
    { "other fields do not matter", "foo", { { "Foo", "1" }, { "Bar", "2" } }, { { "Foo", "1" } } },
    { "absent twice is the same", "foo,bar", { { "Foo", "1" } }, { { "Foo", "1" } } },
  } do
    it("matches where " .. case[1], function()
      assert.equal(values(case[2], case[3]), values(case[2], case[4]))
    end)
  end

  for _, case in ipairs {
    { "another value", "foo", { { "Foo", "1" } }, { { "Foo", "2" } } },
    { "another order of a list", "foo", { { "Foo", "1,2" } }, { { "Foo", "2,1" } } },
    { "another case", "foo", { { "Foo", "a" } }, { { "Foo", "A" } } },
    { "absence is not emptiness", "foo", {}, { { "Foo", "" } } },
    { "a value in another field", "bar,foo", { { "Foo", "1" } }, { { "Bar", "1" } } },
    { "another weight", "accept-language", { { "Accept-Language", "en;q=1" } },
      { { "Accept-Language", "en;q=0.5" } } },
  } do
    it("tells apart: " .. case[1], function()
      assert.are_not.equal(values(case[2], case[3]), values(case[2], case[4]))
    end)
  end

  it("tells apart any two requests that differ in more than form", function()
    -- fields cannot hold line breaks, which separate them
    local a = values("a,b", { { "A", "1\t-" }, { "B", "2" } })
    local b = values("a,b", { { "A", "1" }, { "B", "-\t2" } })
    assert.are_not.equal(a, b)
  end)

  it("takes a set too large to sort as it is written", function()
    local many = {}
    for i = 1, 70 do many[i] = ("l%02d"):format(i) end
    local there = table.concat(many, ",")
    assert.equal("\n+" .. there, values("accept-language", { { "Accept-Language", there } }))
  end)

  it("says when there is no room", function()
    assert.is_nil(values("foo", { { "Foo", ("x"):rep(100) } }, 50))
  end)

  it("survives any bytes", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 5000 do
      local noise = fields.noise(math.random, math.random(0, 80))
      local got = names(noise)
      if got then assert(values(got, { { "a", noise } }), ("seed %d: %q"):format(seed, noise)) end
      fields.clear()
    end
  end)
end)
