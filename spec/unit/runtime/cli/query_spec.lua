local c, ffi = require "spec.support.c" ("cli/query.h")
ffi.cdef "struct json_t *json_loads(const char *text, size_t flags, void *error);"

local LINE = [[{"event":"access","status":503,"route":"/pay","path":"/pay/7","why":"breaker_open",
  "attempts":0,"slow":true,"quick":false,"nothing":null,"fields":{"user":"ada","n":2},"a.b":1}]]

describe("query", function()
  local line = c.json_loads(LINE, 0, nil)
  local err = ffi.new "struct wr_error"

  local function fits(text)
    local q = c.wr_query_new(text, err)
    assert(q ~= nil, ffi.string(err.message))
    local does = c.wr_query_fits(q, line)
    c.wr_query_free(q)
    return does
  end

  local function problem(text)
    assert.is_true(c.wr_query_new(text, err) == nil, text)
    return ffi.string(err.message)
  end

  it("compares numbers with numbers and texts with texts", function()
    for _, text in ipairs { "status==503", "status = 503", "status >= 500", "status<=503.0",
      "status > 502.5", "attempts < 1", 'route=="/pay"', "route == '/pay'", 'route != "/paid"',
      'path ~ "ay/"', 'why > "a"', 'why < "c"', "status != 500" } do
      assert.is_true(fits(text), text)
    end
    for _, text in ipairs { "status==500", "status<503", "status>503", 'route=="/PAY"',
      'path ~ "no"', 'status == "503"', 'status < "9"', "route > 1", 'status ~ "50"' } do
      assert.is_false(fits(text), text)
    end
  end)

  it("takes what is not there for unequal, and for neither smaller nor larger", function()
    assert.is_true(fits "absent != 1")
    assert.is_true(fits "absent == null")
    assert.is_true(fits "nothing == null")
    for _, text in ipairs { "absent == 1", "absent < 1", "absent >= 1", "absent", "nothing",
      "quick", 'absent ~ ""' } do
      assert.is_false(fits(text), text)
    end
    assert.is_true(fits "slow")
    assert.is_true(fits "attempts") -- there, though 0
    assert.is_true(fits "slow == true and quick == false")
  end)

  it("joins by and, or and not, and binds in that order", function()
    assert.is_true(fits 'status>=500 and route=="/pay"')
    assert.is_true(fits "status==1 or status==503 and slow")
    assert.is_false(fits "(status==503 or slow) and quick")
    assert.is_true(fits "not quick and not (status < 500)")
    assert.is_true(fits "!quick && status==503 || absent")
    assert.is_false(fits "not slow or quick")
  end)

  it("looks into objects, and at names with dots in them", function()
    assert.is_true(fits 'fields.user == "ada" and fields.n == 2')
    assert.is_false(fits "fields.absent == 1")
    assert.is_false(fits "status.absent == 1")
    assert.is_true(fits "a.b == 1")
    assert.is_true(fits "notable != 1") -- no `not` at its beginning
  end)

  it("says at which column it is wrong", function()
    assert.equal("column 1: it ends where the name of a field should be", problem "")
    assert.matches("^column 8: it ends where a number, a \"text\"", problem "status=")
    assert.matches("^column 9: 'oops' is not a number", problem "status==oops")
    assert.matches("^column 10: '\"open' is not", problem 'route == "open')
    assert.matches("^column 9: 'banana' is not `and`, `or` or the end", problem "status  banana")
    assert.matches("^column 13: it ends where `%)`, `and` or `or`", problem "(status==500")
    assert.matches("^column 1: '5 == status' is not the name", problem "5 == status")
    assert.matches("^column 11: '%) and x", problem "status>=1 ) and x")
    local deep = ("("):rep(1000) .. "x" .. (")"):rep(1000)
    assert.matches("is not less deeply nested", problem(deep))
    assert.matches("is not less deeply nested", problem(("not "):rep(1000) .. "x"))
    assert.is_true(fits(("("):rep(90) .. "slow" .. (")"):rep(90)))
  end)
end)
