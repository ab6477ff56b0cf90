--- Alerts and dashboard of packaging/: promtool takes them, every alert is proved to come and to
--- stay away, and each query names what a scrape of a real weir has.
local gateway = require "spec.support.gateway"
local json = require "cjson"

local RULES = "packaging/prometheus/weir.rules.yml"
local TESTS = "packaging/prometheus/weir.rules.test.yml"
local DASHBOARD = "packaging/grafana/weir.json"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function promtool(arguments)
  local pipe = io.popen("env -u LD_PRELOAD promtool " .. arguments .. " 2>&1; echo exit $?")
  local said = pipe:read "*a"
  pipe:close()
  return said
end

-- The names in a PromQL expression: what is neither a function, nor a label, nor inside quotes.
local function names_of(expr)
  local plain = expr:gsub('"[^"]*"', ""):gsub("%b{}", ""):gsub("by%s*%b()", "")
    :gsub("on%s*%b()", ""):gsub("%b[]", "")
  local names = {}
  for name in plain:gmatch "[%a_:][%w_:]*" do
    if name:find "_" and not plain:find(name .. "%s*%(") then names[name] = true end
  end
  return names
end

-- The expressions of a file of rules: behind "expr:", or the deeper lines below it.
local function exprs_of(text)
  local list, is_open = {}, false
  for line in text:gmatch "[^\n]+" do
    local expr = line:match "^        expr: (.*)"
    if expr then
      list[#list + 1] = expr == "|" and "" or expr
      is_open = expr == "|"
    elseif is_open and line:find "^          " then
      list[#list] = list[#list] .. line .. "\n"
    else
      is_open = false
    end
  end
  return list
end

describe("monitoring", function()
  local scraped

  setup(function()
    local g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "x" end)]] }
    g:get "/x"
    scraped = { up = true }
    local metrics = g:metrics()
    for name, kind in ("\n" .. metrics):gmatch "\n# TYPE ([%w_]+) (%a+)" do
      for _, tail in ipairs(kind == "histogram" and { "_bucket", "_sum", "_count" } or { "" }) do
        scraped[name .. tail] = true
      end
    end
    g:stop()
  end)

  local function expect_known(expr, recorded)
    for name in pairs(names_of(expr)) do
      assert(scraped[name] or (recorded or {})[name], name .. " is in no scrape: " .. expr)
    end
  end

  it("has rules that promtool takes", function()
    assert.matches("SUCCESS.*exit 0\n$", promtool("check rules " .. RULES))
    assert.matches("SUCCESS.*exit 0\n$", promtool("test rules " .. TESTS))
  end)

  it("has for each alert a test in which it comes, and one in which it does not", function()
    local tests = read(TESTS)
    for alert in read(RULES):gmatch "%- alert: (%w+)" do
      local name = "alertname: " .. alert
      assert.is_truthy(tests:find(name .. "\n        exp_alerts:\n", 1, true), alert)
      assert.is_truthy(tests:find(name .. ", exp_alerts: [] }", 1, true), alert)
    end
  end)

  it("has rules about metrics that exist, and of a known severity", function()
    local text, recorded, count = read(RULES), {}, 0
    for name in text:gmatch "%- record: ([%w:_]+)" do recorded[name] = true end
    for _, expr in ipairs(exprs_of(text)) do
      expect_known(expr, recorded)
      count = count + 1
    end
    local _, rules = text:gsub("\n      %- %l+: ", "")
    assert.equal(rules, count)
    for severity in text:gmatch "severity: (%w+) }" do
      assert.is_truthy(({ page = 1, ticket = 1, info = 1 })[severity], severity)
    end
  end)

  it("has a dashboard whose every query names metrics that exist", function()
    local dashboard, queries = json.decode(read(DASHBOARD)), 0
    for _, panel in ipairs(dashboard.panels) do
      for _, target in ipairs(panel.targets or {}) do
        expect_known(target.expr)
        queries = queries + 1
      end
    end
    for _, annotation in ipairs(dashboard.annotations.list) do expect_known(annotation.expr) end
    for _, variable in ipairs(dashboard.templating.list) do
      local query = type(variable.query) == "table" and variable.query.query or ""
      local name = query:match "^label_values%(([%w_]+),"
      if name then assert.is_true(scraped[name]) end
    end
    assert.is_true(queries > 40)
  end)

  it("finds a metric that does not exist", function()
    local bad = 'sum by (name) (rate(weir_nothing_total{a="b"}[5m]))'
    local good = 'max by (x_y) (weir_workers{why="weir_no"}) > 0'
    assert.has.errors(function() expect_known(bad) end)
    assert.has_no.errors(function() expect_known(good) end)
  end)

  it("has queries that Prometheus parses", function()
    local path = os.tmpname() .. ".yml"
    local file = assert(io.open(path, "w"))
    file:write "groups:\n  - name: dashboard\n    rules:\n"
    local number = 0
    for _, panel in ipairs(json.decode(read(DASHBOARD)).panels) do
      for _, target in ipairs(panel.targets or {}) do
        number = number + 1
        file:write(("      - record: query%d\n        expr: %s\n"):format(number,
          json.encode((target.expr:gsub("%$__rate_interval", "5m"):gsub("%$instance", ".*")))
            :gsub("\\/", "/")))
      end
    end
    file:close()
    local said = promtool("check rules " .. path)
    os.remove(path)
    assert.matches("SUCCESS: " .. number .. " rules found.*exit 0\n$", said)
  end)
end)
