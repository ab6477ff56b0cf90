--- The front page: everything side by side, in one piece of HTML that renews itself.
---
--- Protects against  a part of the page taking the page with it: the parts are asked side by side,
---                   and each has its own ladder below.
--- The client sees   the page, always; beside each part the rung that served it.
local weir = require "weir"
local product = require "product"
local recommendations = require "recommendations"

local USER, PRODUCT = "ada.lovelace", "3"

local PAGE = [[
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>weir demo shop</title>
<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em;color:#222}
img{width:64px;height:64px;vertical-align:middle}code{background:#eef1f4;padding:.1em .3em}
b.ok{color:#2f6f4f}b.less{color:#b05a00}</style>
<h1>weir demo shop</h1>
<h2>Hammock of the day</h2>
%s
<h2><img src="/users/%s/avatar" alt="%s"> %s, you may like</h2>
%s
<h2>Endpoints</h2>
<ul>
<li><a href="/users/%s/recommendations"><code>GET /users/:id/recommendations</code></a>
<li><a href="/users/%s/avatar"><code>GET /users/:id/avatar</code></a>
<li><a href="/products/%s"><code>GET /products/:id</code></a>
<li><a href="/search?q=lamp"><code>GET /search?q=lamp</code></a>
<li><code>POST /payments</code> with <code>{"amount_cents": 1250}</code>, then
 <code>GET /payments/:id</code>
</ul></html>
]]

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function html(text)
  return (tostring(text):gsub('[&<>"]', ENTITIES))
end

local function served_by(res, first)
  if not res.degraded then return ('<b class="ok">%s</b>'):format(first) end
  return ('<b class="less">%s</b>'):format(html(res.degraded))
end

local function show_product(res)
  local one = res and res.status == 200 and res:json()
  if not one then return "<p>The catalogue is away.</p>" end
  local price = "price on request"
  if one.price then price = ("%.2f %s"):format(one.price.cents / 100, one.price.currency) end
  return ("<p>%s: %s &middot; %s</p>"):format(html(one.text), html(price),
    served_by(res, "fresh-price"))
end

local function show_items(res)
  local list = {}
  local result = res:json()
  for _, item in ipairs(result and result.items or {}) do
    list[#list + 1] = "<li>" .. html(item.name)
  end
  return ("<ul>%s</ul><p>%s</p>"):format(table.concat(list), served_by(res, "personal"))
end

-- A part that fails is false: nil would cancel the other parts and fail the page.
local function part(fn)
  return function() return (fn()) or false end
end

weir.route("GET /", function()
  local parts, err = weir.all {
    product = part(function() return product.page(PRODUCT) end),
    items = part(function() return recommendations.answer(USER) end),
  }
  if not parts then return nil, err end
  local body = PAGE:format(show_product(parts.product), USER, USER, USER, show_items(parts.items),
    USER, USER, PRODUCT)
  return weir.response(200, body, { ["Content-Type"] = "text/html; charset=utf-8" })
end)
