--- Where endpoints are found: in DNS, and in files.
---
--- Each takes what the option says and returns a finder and the endpoints to begin with; or nil and
--- what is wrong. A finder is a function that returns a list and how long it holds (ns), or nil and
--- an error; or a table whose `follow(tell)` calls `tell(list, hold)` whenever there may be news.
local core = require "weir.core"

local M = {}

-- scheme, host, port with its colon, path
local function parts_of(url)
  local scheme, authority, path = url:match "^(https?)://([^/?#]+)(/?[^?#]*)$"
  if not scheme then return nil end
  local host, port = authority:match "^([%w%-_.]+)(:?%d*)$"
  return host and scheme, host, port, path
end

--- Addresses of a name: the endpoints keep the name, for the Host field and for certificates.
function M.dns(url)
  local scheme, host = parts_of(url)
  if not scheme or host:find "^[%d.]+$" then
    return nil, ("'%s' must be a URL with a name, like 'http://api.internal:9000'"):format(url)
  end
  local function find()
    local addresses, hold = core.resolve(host)
    if not addresses then return nil, hold end
    local list = {}
    for i, address in ipairs(addresses) do
      list[i] = { url = url .. "#" .. address, weight = 1 }
    end
    return list, math.max(hold, 1e9)
  end
  return find, { { url = url, weight = 1 } }
end

-- The records of the lowest priority number are preferred, the others are far (RFC 2782 leaves
-- weight 0 a small chance: here it is 1).
local function list_of(records, scheme, path)
  local first = math.huge
  for _, record in ipairs(records) do first = math.min(first, record.priority) end
  local list = {}
  for _, record in ipairs(records) do
    if record.target ~= "" then
      list[#list + 1] = { weight = math.max(record.weight, 1), far = record.priority > first,
        url = ("%s://%s:%d%s"):format(scheme, record.target, record.port, path) }
    end
  end
  return list
end

--- SRV records of a name.
function M.srv(url)
  local scheme, host, port, path = parts_of(url)
  if not scheme or port ~= "" then
    return nil, ("'%s' must be a URL without a port, like 'http://_http._tcp.api.internal'")
      :format(url)
  end
  local function find()
    local records, hold = core.resolve_srv(host)
    if not records then return nil, hold end
    return list_of(records, scheme, path), math.min(math.max(hold, 1e9), 3600e9)
  end
  return find, {}
end

-- "URL weight=2 zone=a"
local function read_line(line)
  local url, rest = line:match "^(%S+)%s*(.-)%s*$"
  local one = { url = url, weight = 1 }
  for word in rest:gmatch "%S+" do
    local key, value = word:match "^(%w+)=(.+)$"
    if key == "weight" and value:find "^%d+$" then
      one.weight = tonumber(value)
    elseif key == "zone" then
      one.zone = value
    else
      return nil, ("'%s' is neither weight=N nor zone=NAME"):format(word)
    end
  end
  return one
end

local function read_lines(text)
  local list, number = {}, 0
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if line:find "^%s*[^%s#]" then
      local one, problem = read_line(line:match "^%s*(.*)$")
      if not one then return nil, ("line %d: %s"):format(number, problem) end
      list[#list + 1] = one
    end
  end
  return list
end

local function read_json(text)
  local value, problem = core.json_decode(text)
  if type(value) ~= "table" then return nil, tostring(problem or "it is no list") end
  local list = {}
  for i, one in ipairs(value) do
    if type(one) == "string" then one = { url = one } end
    if type(one) ~= "table" or type(one.url) ~= "string" then
      return nil, ("element %d is neither a URL nor an object with one"):format(i)
    end
    list[i] = { url = one.url, weight = one.weight or 1, zone = one.zone }
  end
  return list
end

local function read_file(path)
  local text, problem = core.file_text(path)
  if not text then return nil, problem end
  if text:find "^%s*%[" then return read_json(text) end
  return read_lines(text)
end

local LOOK = 5e9 -- at the latest, should the watch be deaf

--- A file: a URL a line, or a JSON array of URLs and of objects.
function M.file(path)
  local seed, problem = read_file(path)
  if seed and #seed == 0 then problem = "it lists none" end
  if problem then return nil, ("%s: %s"):format(path, problem) end
  local folder, name = path:match "^(.*)/([^/]+)$"
  local function follow(tell)
    while true do
      tell(read_file(path))
      core.file_changed(folder or ".", name or path, LOOK)
    end
  end
  return { follow = follow }, seed
end

return M
