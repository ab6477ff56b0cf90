local c, ffi = require "spec.support.c" ("cli/client.h")
local socket = require "socket"

describe("client", function()
  it("waits for an answer no longer than it is told", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local request = ffi.new("struct wr_client_request", "GET", "/status", 50)
    local reply = ffi.new "struct wr_client_reply"
    local err = ffi.new "struct wr_error"
    local os_error = ffi.new "int[1]"
    local ok = c.wr_client_send("127.0.0.1:" .. port, request, reply, err, os_error)
    assert.is_false(ok)
    assert.equal("timeout", ffi.string(c.wr_error_name(err.kind)))
    c.wr_buf_fini(reply.body)
    listener:close()
  end)
end)
