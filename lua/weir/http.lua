--- HTTP calls to any URL, buffered: they return when the whole body is there.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local request_options = schema.new("http request", {
  url = schema.string { required = true, min = 1, max = 8192 },
  method = schema.string { min = 1, max = 32, default = "GET" },
  headers = schema.table(),
  body = schema.string(),
  timeout = schema.duration { min = "1ms", max = "1h", default = "10s",
    doc = "Limit of the whole call." },
  max_body = schema.size { default = "8MiB", max = "64MiB", doc = "Largest response body." },
}, { positional = "url" })

--- One call: `weir.http.request { method = "POST", url = "http://…", body = "…" }`.
---@async
---@param options table|string
---@return weir.Response?
---@return weir.Error?
function M.request(options)
  local o = request_options:check(options)
  return core.http_request(o)
end

--- `weir.http.get("http://127.0.0.1:9000/x", { timeout = "300ms" })`.
---@async
---@param url string
---@param options table?
---@return weir.Response?
---@return weir.Error?
function M.get(url, options)
  local all = { url = url }
  for key, value in pairs(options or {}) do all[key] = value end
  local o = request_options:check(all)
  return core.http_request(o)
end

return M
