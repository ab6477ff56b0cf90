local c, ffi = require "spec.support.c" ("resilience/ticket.h")

local MS = 1e6

-- kind, status, elapsed ms, attempt timeout ms, outcome, reason
local cases = {
  { "NONE", 200, 0, 0, "success", "a good answer" },
  { "NONE", 304, 0, 0, "success", "a redirect is an answer" },
  { "NONE", 0, 0, 0, "success", "a call without a status that did not fail" },
  { "NONE", 400, 0, 0, "ignored", "the client's mistake" },
  { "NONE", 404, 0, 0, "ignored", "the client's mistake" },
  { "NONE", 499, 0, 0, "ignored", "the edge of 4xx" },
  { "NONE", 408, 0, 0, "failure", "the upstream gave up waiting" },
  { "NONE", 425, 0, 0, "failure", "too early" },
  { "NONE", 429, 0, 0, "failure", "the upstream is overloaded" },
  { "NONE", 500, 0, 0, "failure", "it broke" },
  { "NONE", 501, 0, 0, "success", "not implemented speaks of the request" },
  { "NONE", 502, 0, 0, "failure", "a gateway behind it" },
  { "NONE", 503, 0, 0, "failure", "unavailable" },
  { "NONE", 504, 0, 0, "failure", "a gateway behind it" },
  { "NONE", 505, 0, 0, "success", "version not supported speaks of the request" },
  { "NONE", 599, 0, 0, "failure", "the edge of 5xx" },
  { "TIMEOUT", 0, 0, 0, "failure", "the attempt's own limit" },
  { "CONNECT", 0, 0, 0, "failure", "executed, in vain" },
  { "DNS", 0, 0, 0, "failure", "executed, in vain" },
  { "TLS", 0, 0, 0, "failure", "executed, in vain" },
  { "RESET", 0, 0, 0, "failure", "a truncated answer" },
  { "PROTOCOL", 0, 0, 0, "failure", "an answer that is none" },
  { "RESET", 200, 0, 0, "failure", "the kind wins over the status" },
  { "CANCELLED", 0, 9000, 1000, "cancelled", "the caller left, however late" },
  { "REFUSED", 0, 0, 0, "ignored", "not executed" },
  { "LIMITED", 0, 0, 0, "ignored", "not executed" },
  { "SHED", 0, 0, 0, "ignored", "not executed" },
  { "NO_ENDPOINT", 0, 0, 0, "ignored", "not executed" },
  { "SCRIPT", 0, 0, 0, "ignored", "our own fault" },
  { "CLOSED", 0, 0, 0, "ignored", "our own fault" },
  { "RETIRED", 0, 0, 0, "ignored", "our own doing" },
  { "TOO_LARGE", 0, 0, 0, "ignored", "our own limit" },
  { "INVALID", 0, 0, 0, "ignored", "the caller's mistake" },
  { "DEADLINE", 0, 500, 1000, "failure", "half of its attempt timeout is enough" },
  { "DEADLINE", 0, 499, 1000, "ignored", "it had too little time to prove anything" },
  { "DEADLINE", 0, 0, 0, "ignored", "without an attempt timeout nothing can be said" },
  { "DEADLINE", 0, 9000, 0, "ignored", "without an attempt timeout nothing can be said" },
}

describe("ticket", function()
  it("is settled by default with what the result says about the upstream", function()
    for _, case in ipairs(cases) do
      local kind, status, elapsed, timeout, want, reason = unpack(case)
      local got = c.wr_ticket_outcome(c["WR_ERROR_" .. kind], status, elapsed * MS, timeout * MS)
      assert.equal(want, ffi.string(c.wr_ticket_outcome_name(got)),
        ("%s %d after %d of %d ms: %s"):format(kind, status, elapsed, timeout, reason))
    end
  end)

  it("knows every error kind there is", function()
    local covered = {}
    for _, case in ipairs(cases) do
      covered[tonumber(ffi.cast("int", c["WR_ERROR_" .. case[1]]))] = true
    end
    for kind = 0, c.WR_ERROR_KINDS - 1 do
      assert.is_true(covered[kind], "no case for kind " .. kind)
    end
  end)
end)
