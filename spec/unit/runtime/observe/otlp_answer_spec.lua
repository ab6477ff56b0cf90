local c = require "spec.support.c" ("observe/otlp_answer.h")
local fields = require "spec.support.fields"

local function rejected(body, is_json)
  return tonumber(c.wr_otlp_answer_rejected(fields.slice(body), is_json))
end

local function bytes(hex)
  return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

describe("a collector's answer", function()
  before_each(fields.clear)

  for hex, count in pairs {
    [""] = 0, ["0a00"] = 0, ["0a020805"] = 5, ["0a0508ac021200"] = 300,
    ["0a0712036e6f6e0805"] = 5, -- the message first
    ["1200"] = 0, ["150102030409010203040506070810640a020805"] = 5, -- fields that we do not know
    ["0a"] = 0, ["0a05"] = 0, ["0a0208"] = 0, ["0a0208ff"] = 0, ["0b"] = 0, ["ffffffffff"] = 0,
    ["0affffffffffffffffff7f0805"] = 0, -- longer than there is
  } do
    it("is read: protobuf " .. hex, function() assert.equal(count, rejected(bytes(hex), false)) end)
  end

  for body, count in pairs {
    [""] = 0, ["{}"] = 0, ['{"partialSuccess":{}}'] = 0, ["[1]"] = 0, ["nothing"] = 0,
    ['{"partialSuccess":{"rejectedSpans":"7","errorMessage":"x"}}'] = 7,
    ['{"partialSuccess":{"rejectedDataPoints":3}}'] = 3,
    ['{"partialSuccess":{"rejectedLogRecords":"12"}}'] = 12,
    ['{"partialSuccess":{"rejectedSpans":-1}}'] = 0,
    ['{"partialSuccess":{"rejectedSpans":"x"}}'] = 0,
  } do
    it("is read: JSON " .. body, function() assert.equal(count, rejected(body, true)) end)
  end

  it("of random bytes ends", function()
    math.randomseed(1)
    for _ = 1, 2000 do
      local out = {}
      for i = 1, math.random(40) do out[i] = string.char(math.random(0, 255)) end
      rejected(table.concat(out), false)
    end
  end)
end)
