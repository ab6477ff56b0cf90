--- Floods over HTTP/2: each ends in ENHANCE_YOUR_CALM before it costs memory, and a neighbour is
--- served meanwhile.
local h2 = require "spec.support.h2"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local MIB = 1024 * 1024

-- Case, the reason that is counted, and what the flood is.
local FLOODS = {
  { "rapid_reset", "reset", "CVE-2023-44487" },
  { "continuation_flood", "continuation", "CVE-2024-27316" },
  { "empty_continuations", "continuation", "CVE-2024-28182" },
  { "settings_flood", "settings", "CVE-2019-9515" },
  { "ping_flood", "ping", "CVE-2019-9512" },
  { "priority_flood", "priority", "CVE-2019-9513" },
  { "window_flood", "window_update", "WINDOW_UPDATE of one byte each" },
  { "empty_data_flood", "empty_data", "CVE-2019-9518" },
  { "unknown_flood", "unknown", "frames of no known type" },
  { "invalid_flood", "invalid", "requests that are all reset" },
  { "hpack_bomb", "head", "CVE-2016-6581" },
}

describe("http/2 under floods", function()
  local server, port

  setup(function()
    server = process.spawn { process.program "server_echo", "--quiet" }
    port = server:line "port (%d+)"
  end)

  teardown(function() server:finish() end)

  local function floods()
    local body = raw.once(port, "GET /floods HTTP/1.1\r\nHost: a\r\n\r\n").body
    local counts = {}
    for name, count in body:gmatch "([%w_]+)=(%d+)" do counts[name] = tonumber(count) end
    return counts
  end

  it("ends each with ENHANCE_YOUR_CALM, counts it, and serves a neighbour", function()
    local cases, expected = {}, {}
    for i, row in ipairs(FLOODS) do
      cases[i] = row[1]
      expected[row[2]] = (expected[row[2]] or 0) + 1
    end
    local results = h2.run(port, cases)
    for i, row in ipairs(FLOODS) do
      local why = row[1] .. " (" .. row[3] .. ")"
      local result = results[i]
      assert.equal(h2.ENHANCE_YOUR_CALM, (result.goaway[1] or {})[2], why)
      assert.is_true(result.closed, why)
      assert.equal(200, result.neighbour, why)
    end
    expected.answers = 0
    assert.same(expected, floods())
    if process.preset() == "dev" then assert.is_true(server:rss_peak() < 48 * MIB) end
  end)

  it("leaves an honest client alone that cancels all it has, twice", function()
    assert.equal(200, h2.run(port, { "few_resets" })[1].last)
  end)

  it("ends a connection that opens more streams than it may", function()
    local result = h2.run(port, { "too_many_streams" })[1]
    assert.equal(h2.PROTOCOL_ERROR, result.goaway[1][2])
    assert.equal(200, result.neighbour)
  end)

  it("serves others while one client does not read at all", function()
    assert.equal(200, h2.run(port, { "slow_read" })[1].neighbour)
  end)
end)
