local c, ffi = require "spec.support.c" ("upstream/probe_protocol.h")

local names = { [c.WR_PROBE_MORE] = "more", [c.WR_PROBE_GOOD] = "good", [c.WR_PROBE_BAD] = "bad" }

local function judge(kind, answer)
  local error = ffi.new("struct wr_error")
  local judged = c.wr_probe_judge(kind, ffi.new("struct wr_str", { answer, #answer }), error)
  return names[tonumber(judged)], ffi.string(c.wr_error_name(error.kind)), ffi.string(error.message)
end

local function bytes(s)
  return ffi.string(s.ptr, s.len)
end

-- An ErrorResponse of PostgreSQL.
local function failure(code, message)
  local fields = ("SFATAL\0VFATAL\0C%s\0M%s\0Fpostmaster.c\0\0"):format(code, message)
  local n = #fields + 4
  return "E" .. string.char(0, 0, math.floor(n / 256), n % 256) .. fields
end

describe("what answers PING as Redis", function()
  local cases = {
    { "+PONG\r\n", "good", "none", "what it should say" },
    { "+PON", "more", "none", "not whole" },
    { "-NOAUTH Authentication required.\r\n", "good", "none", "at work, and minds who asks" },
    { "-NOPERM this user has no permissions\r\n", "good", "none", "likewise" },
    { "-WRONGPASS invalid username-password pair\r\n", "good", "none", "likewise" },
    { "-LOADING Redis is loading the dataset in memory\r\n", "bad", "refused", "not yet" },
    { "-MASTERDOWN Link with MASTER is down\r\n", "bad", "refused", "a replica alone" },
    { "-BUSY Redis is busy running a script\r\n", "bad", "refused", "takes no commands" },
    { "-DENIED Redis is running in protected mode\r\n", "bad", "refused", "refuses us for good" },
    { "-ERR max number of clients reached\r\n", "bad", "refused", "full" },
    { "-NOAUTHORITY\r\n", "bad", "refused", "the whole word counts" },
    { "+OK\r\n", "bad", "protocol", "no answer to PING" },
    { "HTTP/1.1 400 Bad Request\r\n", "bad", "protocol", "something else lives there" },
    { "\0\0\0", "bad", "protocol", "garbage" },
  }
  for _, case in ipairs(cases) do
    it(("%q is %s: %s"):format(case[1], case[2], case[4]), function()
      local judged, kind = judge(c.WR_HEALTH_TYPE_REDIS, case[1])
      assert.equal(case[2], judged)
      assert.equal(case[3], kind)
    end)
  end

  it("is asked with one command in RESP", function()
    assert.equal("*1\r\n$4\r\nPING\r\n", bytes(c.wr_probe_hello(c.WR_HEALTH_TYPE_REDIS)))
  end)
end)

describe("what answers a StartupMessage as PostgreSQL", function()
  local cases = {
    { "R\0\0\0\8\0\0\0\0", "good", "none", "trusted" },
    { "R\0\0\0\12\0\0\0\5salt", "good", "none", "asks for an MD5 password" },
    { "R\0\0\0\23\0\0\0\10SCRAM-SHA-256\0\0", "good", "none", "asks for SCRAM" },
    { "R\0\0", "more", "none", "not whole" },
    { failure("57P03", "the database system is starting up"), "bad", "refused", "not yet" },
    { failure("57P03", "the database system is shutting down"), "bad", "refused", "not any more" },
    { failure("57P01", "terminating connection"), "bad", "refused", "an admin stops it" },
    { failure("53300", "sorry, too many clients already"), "bad", "refused", "full" },
    { failure("28000", "no pg_hba.conf entry for host"), "good", "none", "judges who asks" },
    { failure("28P01", "password authentication failed"), "good", "none", "likewise" },
    { failure("3D000", "database \"postgres\" does not exist"), "good", "none", "likewise" },
    { failure("57P03", "x"):sub(1, 12), "more", "none", "the code is not there yet" },
    { "N", "bad", "protocol", "an answer to another question" },
    { "HTTP/1.1 400", "bad", "protocol", "something else lives there" },
    { "R\0\0\0\1", "bad", "protocol", "a length that cannot be" },
    { "E\127\0\0\0SFATAL\0", "bad", "protocol", "a length that nobody means" },
    { "E\0\0\0\8abc\0", "bad", "protocol", "an error without a code" },
  }
  for _, case in ipairs(cases) do
    it(("%q is %s: %s"):format(case[1], case[2], case[4]), function()
      local judged, kind = judge(c.WR_HEALTH_TYPE_POSTGRES, case[1])
      assert.equal(case[2], judged)
      assert.equal(case[3], kind)
    end)
  end

  it("says what it said", function()
    local _, _, message = judge(c.WR_HEALTH_TYPE_POSTGRES,
      failure("57P03", "the database system is starting up"))
    assert.equal("PostgreSQL says: the database system is starting up", message)
  end)

  it("is greeted with a message whose length is right", function()
    local hello = bytes(c.wr_probe_hello(c.WR_HEALTH_TYPE_POSTGRES))
    assert.equal(#hello, hello:byte(3) * 256 + hello:byte(4))
    assert.equal("\0\3\0\0user\0weir\0", hello:sub(5, 18))
    assert.equal("\0\0", hello:sub(-2))
  end)

  it("is never read past its end", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(0, 40) do text[i] = string.char(math.random(0, 255)) end
      local answer = (math.random(2) == 1 and "E\0\0\0" or "-") .. table.concat(text)
      for _, kind in ipairs { c.WR_HEALTH_TYPE_REDIS, c.WR_HEALTH_TYPE_POSTGRES } do
        assert(judge(kind, answer), "seed " .. seed)
      end
    end
  end)
end)
