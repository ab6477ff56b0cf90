--- Tests that a bundle brings along: `weir.selftest("opens", function(t) … end)`.
---
--- They run before the bundle goes live (`weir check`, start, reload), without a network and in
--- virtual time, each on scripts and state of its own. One that fails refuses the bundle.
local core = require "weir.core"
local schema = require "weir.schema"
local words = require "weir.core.words"

local M = {}

---@class weir.Selftest
---@field name string
local Test = {}
Test.__index = Test

-- Fields as a list of names and values in turn.
local function flat(fields, what)
  local list = {}
  for _, name in ipairs(words.sorted_keys(fields or {})) do
    local values = fields[name]
    if type(values) ~= "table" then values = { values } end
    for _, value in ipairs(values) do
      local text = tostring(value)
      if core.find(name .. text, "[\r\n%z]") then
        error(("%s: the field '%s' has a line's end in it"):format(what, name), 4)
      end
      list[#list + 1], list[#list + 2] = name, text
    end
  end
  return list
end

-- By name, whatever its case; several of one name are joined.
local Fields = {}
function Fields:__index(name)
  return type(name) == "string" and rawget(self, name:lower()) or nil
end

local function fields_of(list)
  local fields = {}
  for i = 1, #list, 2 do
    local name, value = list[i]:lower(), list[i + 1]
    fields[name] = fields[name] and fields[name] .. ", " .. value or value
  end
  return setmetatable(fields, Fields)
end

local request_options = schema.new("selftest request", {
  method = schema.string { min = 1, max = 32, default = "GET" },
  path = schema.string { min = 1, max = 8192, default = "/", doc = "Path and query." },
  host = schema.string { min = 1, max = 255, default = "selftest", doc = "The Host field." },
  headers = schema.table { doc = "Name to value, or to a list of values." },
  body = schema.string { doc = "Its length is announced." },
  client = schema.string { min = 2, max = 45, default = "127.0.0.1",
    doc = "The client's address." },
}, { positional = "path" })

local function head_of(o)
  local lines = { ("%s %s HTTP/1.1"):format(o.method, o.path), "Host: " .. o.host }
  local fields = flat(o.headers, "selftest request")
  for i = 1, #fields, 2 do lines[#lines + 1] = fields[i] .. ": " .. fields[i + 1] end
  if o.body then lines[#lines + 1] = "Content-Length: " .. #o.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- Asks the gateway, as a client would: routes, policies and answers are the bundle's own. `status`
--- is 0 when it broke the connection off.
---@async
---@param options string|table  A path, or { method, path, host, headers, body, client }.
---@return { status: integer, headers: table<string, string>, body: string, complete: boolean }
function Test.request(_, options)
  local o = request_options:check(options)
  local status, fields, body, complete = core.selftest_request(head_of(o), o.body or "", o.client)
  return { status = status, headers = fields_of(fields), body = body, complete = complete }
end

local answer_options = schema.new("selftest answer", {
  status = schema.integer { min = 200, max = 999, default = 200 },
  headers = schema.table { doc = "Name to value, or to a list of values." },
  body = schema.string { default = "" },
})

-- Who wrote it is not on the stack any more.
local function check_answer(place, answer)
  local ok, o = pcall(answer_options.check, answer_options, answer, -1)
  if ok then return o end
  error(place .. ": " .. tostring(o), 0)
end

local function answered(name, place, answer, err)
  if answer == nil then
    if err == nil then err = "connect" end
    if type(err) == "string" then err = core.error(err, "scripted for " .. name) end
    return nil, err
  end
  if type(answer) == "string" then answer = { body = answer } end
  local o = check_answer(place, answer)
  return o.status, flat(o.headers, "selftest answer"), o.body
end

--- Says what an upstream answers from now on: `fn` gets { method, path, headers, body, host }, may
--- wait, and returns { status, headers, body }, a text, or nil and the kind of an error. Plain URLs
--- of `weir.http` are upstreams called "http://host:port".
---@param name string
---@param fn async fun(req: table): table|string|nil, string|weir.Error?
function Test.upstream(_, name, fn)
  if type(name) ~= "string" or type(fn) ~= "function" then
    error("upstream takes a name and a function", 2)
  end
  local place = core.where()
  local is_known = core.selftest_upstream(name, function(method, target, host, fields, body)
    return answered(name, place, fn { method = method, path = target, host = host,
      headers = fields_of(fields), body = body })
  end)
  if not is_known then error(("there is no upstream '%s'"):format(name), 2) end
end

--- Lets time pass, virtual as it is: what is due meanwhile happens in its order.
---@async
---@param time string|number
function Test.advance(_, time)
  local ns = core.duration(time)
  if not ns or ns < 0 then error("advance takes a duration like \"5s\"", 2) end
  core.sleep(ns)
end

local function about(text)
  return text and (" (%s)"):format(tostring(text)) or ""
end

--- Raises unless the two are equal.
---@param expected any
---@param got any
---@param text string?   What they are.
function Test.equal(_, expected, got, text)
  if expected == got then return end
  error(("expected %s, got %s%s"):format(words.show(expected), words.show(got), about(text)), 2)
end

--- Raises when the value is nil or false; returns it otherwise.
---@generic T
---@param value T?
---@param text string?   What it is.
---@return T
function Test.truthy(_, value, text)
  if value then return value end
  error(("expected something, got %s%s"):format(tostring(value), about(text)), 2)
end

local declared = {} -- names that are taken

--- Declares a test of this bundle, at the top level. It fails when it raises, returns nil and an
--- error, does not end within an hour of virtual time, or waits for what cannot happen.
---@param name string
---@param fn async fun(t: weir.Selftest)
function M.declare(name, fn)
  if type(name) ~= "string" or #name == 0 or #name > 127 then
    error("selftest: its name is a text of 1 to 127 bytes", 2)
  end
  if type(fn) ~= "function" then
    error(("selftest '%s': takes a function, not a %s"):format(name, type(fn)), 2)
  end
  if not core.is_loading() then
    error("selftest: it declares, and declarations belong to the top level of a script", 2)
  end
  if declared[name] then error(("selftest '%s' is declared twice"):format(name), 2) end
  declared[name] = true
  core.selftest(name, core.where(), function()
    local ok, err = fn(setmetatable({ name = name }, Test))
    if ok == nil and err ~= nil then return nil, err end
    return "passed"
  end)
end

return M
