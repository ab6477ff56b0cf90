--- Making answers, and reading what arrived as JSON.
local core = require "weir.core"

local M = {}

-- C raises without a place; the place is the caller of the function that was called wrongly.
local function make(level, status, body, headers, content_type)
  local ok, made = pcall(core.response, status, body, headers, content_type)
  if ok then return made end
  error(("response: %s"):format(tostring(made)), level + 1)
end

--- A response: `weir.response(200, "hello", { ["Content-Type"] = "text/plain" })`, or with one
--- table `{ status = 200, body = "…", headers = {…} }`. Framing fields are weir's own and refused
--- here.
---@param status integer|table
---@param body string?
---@param headers table<string, string|string[]>?
---@return weir.Response
function M.response(status, body, headers)
  if type(status) == "table" then
    status, body, headers = status.status or 200, status.body, status.headers
  end
  local made = make(2, status, body, headers, body and "text/plain; charset=utf-8" or nil)
  return made
end

local json = { null = core.json_null, array = core.json_array }

-- What JSON cannot say is a mistake of the policy: it raises at the caller of the library.
local function encode(value)
  local text, message = core.json_encode(value)
  if not text then error("json: " .. message, 3) end
  return text
end

--- JSON text of a value; raises for what JSON cannot say.
---@param value any
---@return string
function json.encode(value)
  local text = encode(value)
  return text
end

--- The value of a JSON text, or `nil, err` (kind "invalid", with line and column).
---@param text string
---@return any value
---@return weir.Error? err
function json.decode(text)
  local value, message = core.json_decode(text)
  if message then return nil, core.error("invalid", message) end
  return value
end

--- A JSON response: `weir.json(200, { ok = true })`. Also the home of `json.encode`, `json.decode`,
--- `json.null` and `json.array` (marks a table that is a list even when it is empty).
M.json = setmetatable(json, {
  __call = function(_, status, value, headers)
    local text = encode(value)
    local made = make(2, status, text, headers, "application/json")
    return made
  end,
})

-- The body of a request or response as a value.
local function read_json(self)
  local text, err = self:text()
  if not text then return nil, err end
  return json.decode(text)
end

core.response_methods.json = read_json
core.request_methods.json = read_json

return M
