local c, ffi = require "spec.support.c" ("base/log_format.h")

local LINE = [[{"timestamp":"2026-11-30T22:57:24.702Z","level":"warn","event":"access",]]
  .. [["worker":1,"message":"say \"no\", {twice}","status":503,"route":"/a,b",]]
  .. [["fields":{"a":[1,"}"],"b":null},]]
  .. [["duration_ms":0.25,"why":"breaker open","error":"refused"}]]

describe("log_format", function()
  local out = ffi.new "struct wr_buf"

  local function shaped(format, line)
    c.wr_buf_init(out, 65536)
    assert.is_true(c.wr_log_format_line(format, ffi.new("struct wr_str", line, #line), out))
    local text = ffi.string(out.data + out.start, out.len)
    c.wr_buf_fini(out)
    return text
  end

  it("leaves lines as they are", function()
    assert.equal(LINE, shaped(c.WR_LOG_JSON, LINE))
  end)

  it("gives fields OpenTelemetry's names, and the others weir's", function()
    assert.equal([[{"timestamp":"2026-11-30T22:57:24.702Z","severity_text":"warn",]]
      .. [["event.name":"access","weir.worker":1,"body":"say \"no\", {twice}",]]
      .. [["http.response.status_code":503,"http.route":"/a,b",]]
      .. [["weir.fields":{"a":[1,"}"],"b":null},"weir.duration_ms":0.25,]]
      .. [["weir.why":"breaker open","error.type":"refused"}]], shaped(c.WR_LOG_OTEL, LINE))
  end)

  it("gives fields the Elastic Common Schema's names", function()
    assert.matches('^{"@timestamp":"[^"]+","log.level":"warn","event.action":"access",'
      .. '"labels.worker":1,"message":', shaped(c.WR_LOG_ECS, LINE))
  end)

  it("is text for people", function()
    assert.equal([[2026-11-30T22:57:24.702Z warn  access say \"no\", {twice} worker=1 status=503 ]]
      .. [[route=/a,b fields={"a":[1,"}"],"b":null} duration_ms=0.25 why="breaker open" ]]
      .. [[error=refused]], shaped(c.WR_LOG_TEXT, LINE))
    assert.equal(' info  x', shaped(c.WR_LOG_TEXT, '{"level":"info","event":"x"}'))
  end)

  it("has room or says so", function()
    c.wr_buf_init(out, 64)
    assert.is_false(c.wr_log_format_line(c.WR_LOG_OTEL, ffi.new("struct wr_str", LINE, #LINE), out))
    c.wr_buf_fini(out)
  end)

  it("is found by its name", function()
    local found = ffi.new "enum wr_log_format[1]"
    for i, name in ipairs { "json", "otel", "ecs", "text" } do
      assert.is_true(c.wr_log_format_find(ffi.new("struct wr_str", name, #name), found))
      assert.equal(i - 1, tonumber(found[0]))
    end
    assert.is_false(c.wr_log_format_find(ffi.new("struct wr_str", "xml", 3), found))
  end)
end)
