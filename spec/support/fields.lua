--- Header lists and slices for unit specs of C that reads them.
---
---     local fields = require "spec.support.fields"
---     c.wr_vary_names(fields.list { { "Vary", "Accept" } }, out)
---
--- What is made lives until `fields.clear`.
local c, ffi = require "spec.support.c" ("http/headers.h", "base/buf.h")

local M = {}

local region = ffi.new("struct wr_region")
c.wr_region_init(region, 8 * 1024 * 1024)
local alive = {} -- strings that slices borrow

--- A slice of a Lua string; nil is the absent one.
function M.slice(text)
  if text == nil then return ffi.new("struct wr_str") end
  alive[#alive + 1] = text
  return ffi.new("struct wr_str", { text, #text })
end

--- The text of a slice, nil for the absent one.
function M.text(s)
  if s.ptr == nil then return nil end
  return ffi.string(s.ptr, s.len)
end

--- A header list: `{ { "Name", "value" }, … }`.
function M.list(fields, max)
  local h = ffi.new("struct wr_headers")
  c.wr_headers_init(h, region, max or 200)
  for _, field in ipairs(fields or {}) do
    assert(c.wr_headers_add_copy(h, M.slice(field[1]), M.slice(field[2])))
  end
  return h
end

--- A header list as a table of `{ name, value }`.
function M.read(h)
  local out = {}
  for i = 0, tonumber(h.count) - 1 do
    out[i + 1] = { M.text(h.items[i].name), M.text(h.items[i].value) }
  end
  return out
end

--- The memory in which lists live.
M.region = region

--- Runs `fill(buf)` on a buffer of `max` bytes; its result and the content.
function M.into_buf(max, fill)
  local b = ffi.new("struct wr_buf")
  c.wr_buf_init(b, max)
  local ok = fill(b)
  local text = b.len > 0 and ffi.string(b.data + b.start, b.len) or ""
  c.wr_buf_fini(b)
  return ok, text
end

--- Random bytes that look like a field: mostly what grammars care about.
function M.noise(random, length)
  local alphabet = [[ ,;="'\*/-_:.0123456789abmaxgenostr]] .. "\t\200W"
  local out = {}
  for i = 1, length do
    local at = random(#alphabet)
    out[i] = alphabet:sub(at, at)
  end
  return table.concat(out)
end

function M.clear()
  c.wr_region_clear(region)
  alive = {}
end

return M
