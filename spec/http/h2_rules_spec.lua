--- What a client of HTTP/2 may not send, and how it is told: a stream that breaks a rule is
--- answered or reset by itself, a connection that does is ended. A neighbour is served all along.
local h2 = require "spec.support.h2"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

-- A status, or "reset" for a stream error PROTOCOL_ERROR (RFC 9113 8.1.1).
local HEADS = {
  { "no_method", "reset", "8.3.1" }, { "no_scheme", "reset", "8.3.1" },
  { "no_path", "reset", "8.3.1" },
  { "no_authority", "reset", "neither :authority nor host" }, { "two_paths", "reset", "8.3" },
  { "pseudo_behind", "reset", "8.3" }, { "unknown_pseudo", "reset", "8.3" },
  { "response_pseudo", "reset", "8.3" }, { "empty_path", "reset", "8.3.1" },
  { "upper_case", "reset", "8.2.1" }, { "connection", "reset", "8.2.2" },
  { "keep_alive", "reset", "8.2.2" }, { "proxy_connection", "reset", "8.2.2" },
  { "transfer_encoding", "reset", "8.2.2" }, { "upgrade", "reset", "8.2.2" },
  { "te", "reset", "8.2.2" }, { "te_trailers", 200, "8.2.2" },
  { "nul", "reset", "8.2.1" }, { "crlf", "reset", "8.2.1" }, { "lf", "reset", "8.2.1" },
  { "name_crlf", "reset", "8.2.1" }, { "name_space", "reset", "8.2.1" },
  { "empty_name", "reset", "8.2.1" }, { "white_space", "reset", "8.2.1" },
  { "host_differs", 400, "8.3.1" }, { "host_same", 200, "the same in its normal form" },
  { "host_twice", "reset", "RFC 9110 7.2" }, { "host_alone", 200, "8.3.1" },
  { "user_info", 400, "8.3.1" }, { "bad_authority", "reset", "RFC 3986 3.2" },
  { "method_space", "reset", "RFC 9110 9.1" }, { "connect", 405, "not a forward proxy" },
  { "extended_connect", "reset", "RFC 8441: not offered" }, { "trace", 405, "as HTTP/1" },
  { "options_all", 204, "answered here" }, { "get_all", "reset", "8.3.1" },
  { "fragment", 400, "RFC 3986 3.3" }, { "path_space", "reset", "RFC 3986 3.3" },
  { "absolute", "reset", "8.3.1" }, { "climbs", 400, "as HTTP/1" }, { "scheme", 400, "not ours" },
  { "length_twice", "reset", "RFC 9110 8.6" }, { "length_sign", "reset", "RFC 9110 8.6" },
  { "length_without_body", "reset", "8.1.1" }, { "many_fields", 431, "http_fields" },
  { "long_field", 431, "http_line" }, { "long_path", 414, "http_line" },
  { "large_head", 431, "http_head" }, { "under_score", 200, "dropped" },
}

-- A code of GOAWAY (RFC 9113 7).
local FRAMES = {
  { "data_on_idle", h2.PROTOCOL_ERROR, "5.1" }, { "data_on_0", h2.PROTOCOL_ERROR, "6.1" },
  { "even_stream", h2.PROTOCOL_ERROR, "5.1.1" }, { "headers_on_0", h2.PROTOCOL_ERROR, "6.2" },
  { "continuation_alone", h2.PROTOCOL_ERROR, "6.10" }, { "headers_cut", h2.PROTOCOL_ERROR, "6.2" },
  { "bad_hpack", h2.COMPRESSION_ERROR, "4.3" }, { "bad_index", h2.COMPRESSION_ERROR, "4.3" },
  { "large_frame", h2.FRAME_SIZE_ERROR, "4.2" }, { "short_ping", h2.FRAME_SIZE_ERROR, "6.7" },
  { "ping_on_stream", h2.PROTOCOL_ERROR, "6.7" }, { "settings_size", h2.FRAME_SIZE_ERROR, "6.5" },
  { "settings_on_stream", h2.PROTOCOL_ERROR, "6.5" },
  { "settings_ack_payload", h2.FRAME_SIZE_ERROR, "6.5" },
  { "settings_window", h2.FLOW_CONTROL_ERROR, "6.5.2" },
  { "settings_frame_size", h2.PROTOCOL_ERROR, "6.5.2" }, { "push", h2.PROTOCOL_ERROR, "6.6" },
  { "window_zero", h2.PROTOCOL_ERROR, "6.9" },
  { "window_overflow", h2.FLOW_CONTROL_ERROR, "6.9.1" },
  { "rst_on_idle", h2.PROTOCOL_ERROR, "6.4" }, { "padding", h2.PROTOCOL_ERROR, "6.1" },
}

describe("http/2 refuses", function()
  local server, port

  setup(function()
    server = process.spawn { process.program "server_echo", "--quiet" }
    port = server:line "port (%d+)"
  end)

  teardown(function() server:finish() end)

  local function cases_of(rows, prefix)
    local cases = {}
    for i, row in ipairs(rows) do cases[i] = prefix .. row[1] end
    return cases
  end

  it("heads that no policy may see, each by itself", function()
    local results = h2.run(port, cases_of(HEADS, "bad="))
    for i, row in ipairs(HEADS) do
      local why = row[1] .. " (" .. row[3] .. ")"
      local result = results[i]
      local s = result.streams["1"] or {}
      if row[2] == "reset" then
        assert.equal(h2.PROTOCOL_ERROR, result.resets["1"], why)
        assert.is_nil(s.status, why)
      else
        assert.equal(row[2], s.status, why)
        assert.is_nil(result.resets["1"], why)
      end
      assert.equal(200, result.neighbour, why)
      assert.equal(200, (result.streams["3"] or {}).status, why .. ": the connection goes on")
      assert.same({}, result.goaway, why)
    end
  end)

  it("bodies that are not as long as their Content-Length", function()
    local short, long, right = unpack(h2.run(port, { "body_short", "body_long", "body_right" }))
    assert.equal(h2.PROTOCOL_ERROR, short.resets["1"])
    assert.equal(h2.PROTOCOL_ERROR, long.resets["1"])
    assert.equal("5", right.streams["1"].body)
    for _, result in ipairs { short, long } do
      assert.is_nil(result.streams["1"])
      assert.equal(200, result.neighbour)
      assert.equal(200, result.streams["3"].status)
    end
  end)

  it("frames that break the connection, with the error that RFC 9113 names", function()
    local results = h2.run(port, cases_of(FRAMES, "bad_frame="))
    for i, row in ipairs(FRAMES) do
      local why = row[1] .. " (" .. row[3] .. ")"
      assert.equal(row[2], (results[i].goaway[1] or {})[2], why)
      assert.is_true(results[i].closed, why)
      assert.equal(200, results[i].neighbour, why)
    end
  end)

  it("a connection preface that is none", function()
    local none, wrong = unpack(h2.run(port, { "no_settings", "preface_wrong" }))
    assert.same({ 0, h2.PROTOCOL_ERROR }, none.goaway[1])
    assert.equal(200, none.neighbour)
    assert.truthy(wrong.raw:find "^HTTP/1.1 505 ")
  end)

  it("the preface behind a request of HTTP/1", function()
    local c = raw.connect(port)
    c:send "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal(200, c:response().status)
    c:send "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert.equal(505, c:response().status)
    c:close()
  end)
end)
