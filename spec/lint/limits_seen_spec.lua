--- A limit that bites and cannot be seen is a riddle: each row of limits.def says by its column
--- `bites` how it is seen, or is named here with the reason why nobody has to.
local tree = require "spec.lint.tree"

local TABLE, METRICS = "runtime/tables/limits.def", "runtime/tables/metrics.def"

-- What `bites` says, and the metric that counts it then.
local SEEN = {
  { "does not load", "weir_policy_reloads_total" },
  { "reload fails", "weir_policy_reloads_total" },
  { "upgrade fails", "weir_upgrades_total" },
  { "raises", "weir_policy_errors_total" },
  { "kind `", "weir_responses_total" },
  { "%f[%d][45]%d%d%f[%D]", "weir_responses_total" },
  { "in the log", nil },
  { "does not start", nil }, -- the start's own words
}

-- Limits that nothing counts. Name -> why that is right.
local QUIET = {}
for reason, names in pairs {
  ["flow control: whoever sends waits, and nothing is lost"] = [[
    tls_unsent http_out_high h2_stream_window h2_turn upstream_h2_window upload_high]],
  ["memory of what is over, or might be useful: the next one is made anew"] = [[
    http_spare_memory upstream_tls_sessions upstream_idle upstream_h2_streams http_keep_alive
    generation_warm policy_past state_keep http_cache_vary_kinds health_history cache_bytes
    script_slow_routes]],
  ["the peer is told, by the protocol's own words"] = [[
    listen_backlog h2_streams http_discard trace_members trace_state]],
  ["what is shown ends there and says so; elsewhere all of it is counted"] = [[
    upstream_shown admin_routes journal_record decision_chain decision_line explain_text
    health_output flag_why tls_client_names upstream_trailers]],
  ["a stricter rule than it might be: correct, and slower"] = [[
    http_cache_field_lists http_cache_vary_names request_replay response_tickets upstream_tried
    upstream_ring upstream_srv]],
  ["the last step of a stop that somebody asked for, or of an order whose answer says it"] = [[
    stop_drain stop_kill check_report query_depth dry_run admin_connections policy_quarantined]],
  ["what a state file cannot hold begins without it"] = "state_keys",
  ["the process that does not take them is replaced, which is counted"] = "mailbox_waiting",
  ["of telemetry: what is not traced was not chosen, and is in the access log"] = [[
    telemetry_pause telemetry_failures]],
} do
  for name in names:gmatch "%S+" do QUIET[name] = reason end
end

-- name -> what is seen, of every row.
local function rows(text)
  local list = {}
  for _, line in ipairs(tree.lines(text)) do
    local name = line:match '^WR_LIMIT%([%u%d_]+, "([%w_]+)"'
    local texts = {}
    for inside in line:gmatch '"([^"]*)"' do texts[#texts + 1] = inside end
    if name then list[name] = texts[#texts - 1] end
  end
  return list
end

local function metrics()
  local known = {}
  for name in tree.read(METRICS):gmatch '\nWR_METRIC%([%u%d_]+, "([%w_]+)"' do
    known[name] = true
  end
  return known
end

-- Is it seen, and by metrics that exist? Returns a problem or nil.
local function judge(name, bites, known)
  local is_seen = false
  for metric in bites:gmatch "`(weir_[%w_]+)`" do
    if not known[metric] then return name .. ": there is no metric " .. metric end
    is_seen = true
  end
  for _, pattern in ipairs(SEEN) do
    if bites:find(pattern[1]) then
      is_seen = true
      assert(pattern[2] == nil or known[pattern[2]], pattern[2])
    end
  end
  if is_seen == (QUIET[name] ~= nil) then
    return name .. (is_seen and ": is seen, take it off the list of quiet ones"
      or ": '" .. bites .. "': count it, or say in this file why nobody has to know")
  end
end

describe("limits", function()
  it("are seen when they bite", function()
    local problems, known, all = {}, metrics(), rows(tree.read(TABLE))
    for name, bites in pairs(all) do problems[#problems + 1] = judge(name, bites, known) end
    for name in pairs(QUIET) do
      if not all[name] then problems[#problems + 1] = name .. ": there is no such limit" end
    end
    table.sort(problems)
    tree.expect_none(problems)
  end)

  it("are judged by what they say", function()
    local known = metrics()
    assert.is_nil(judge("x", "503", known))
    assert.is_nil(judge("x", "the line is lost, `weir_log_dropped_total`", known))
    assert.matches("no metric weir_nix", judge("x", "`weir_nix`", known))
    assert.matches("count it", judge("x", "cut", known))
    assert.matches("take it off", judge("flag_why", "400", known))
    assert.is_nil(judge("flag_why", "cut", known))
  end)
end)
