--- The repository as the lint specs see it: its files, and C read just well enough to judge it.
---
--- Files are those of git, tracked or not yet added, never the ignored ones. The C reader leans on
--- the format that clang-format enforces: a function body is what stands between `{` alone in
--- column 0 and `}` in column 0; everything else that opens a brace has it at the end of a line.
local tree = {}

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  assert(pipe:close(), "failed: " .. command)
  return list
end

local all

--- Paths that match one of the Lua patterns, sorted.
function tree.files(...)
  all = all or lines_of "git ls-files --cached --others --exclude-standard | sort -u"
  local list = {}
  for _, path in ipairs(all) do
    for _, pattern in ipairs { ... } do
      if path:match(pattern) then
        -- A file deleted but not yet committed is still listed.
        local file = io.open(path)
        if file then
          file:close()
          list[#list + 1] = path
        end
        break
      end
    end
  end
  return list
end

--- Whole text of a file.
function tree.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

--- The lines of a text, without their ends.
function tree.lines(text)
  local list = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch "(.-)\n" do
    list[#list + 1] = line
  end
  return list
end

-- Blanks a stretch, but keeps its line ends, so that line numbers stay true.
local function blank(text)
  return (text:gsub("[^\n]", " "))
end

--- C text with comments, strings and characters blanked; offsets and line numbers stay.
function tree.code(text)
  local out, at = {}, 1
  while at <= #text do
    local from = text:find("[/\"']", at)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    local two, stop = text:sub(from, from + 1)
    if two == "//" then
      stop = (text:find("\n", from, true) or #text + 1) - 1
    elseif two == "/*" then
      stop = select(2, text:find("*/", from + 2, true)) or #text
    elseif two:sub(1, 1) == "/" then
      out[#out + 1] = "/"
      at = from + 1
    else
      local quote = two:sub(1, 1)
      stop = from + 1
      while stop <= #text and text:sub(stop, stop) ~= quote do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
    end
    if stop then
      out[#out + 1] = blank(text:sub(from, stop))
      at = stop + 1
    end
  end
  return table.concat(out) .. text:sub(at)
end

-- Parameters in the text between a function's parentheses: commas at depth 0.
local function count_parameters(text)
  if text:match "^%s*void%s*$" or text:match "^%s*$" then return 0 end
  local flat = text:gsub("%b()", "")
  return 1 + select(2, flat:gsub(",", ""))
end

-- The name and the parameters of a signature; attributes in front are not the name.
local function read_signature(text)
  local plain = text:gsub("__attribute__%s*%b()", " ")
  local name, parameters = plain:match "([%a_][%w_]*)%s*(%b())"
  if not name then return nil end
  return name, count_parameters(parameters:sub(2, -2))
end

--- Functions defined in C text: name, line (of the signature), last, lines, parameters, static.
function tree.functions(text)
  local lines = tree.lines(tree.code(text))
  local list = {}
  for i, line in ipairs(lines) do
    if line:match "^{%s*$" then
      local first = i
      while first > 1 do
        local above = lines[first - 1]
        if above:match "^%s*$" or above:match "^[#}]" or above:match ";%s*$" then break end
        first = first - 1
      end
      local last = i
      while last < #lines and not lines[last]:match "^}" do last = last + 1 end
      local signature = table.concat(lines, " ", first, i - 1)
      local name, parameters = read_signature(signature)
      if name then
        list[#list + 1] = {
          name = name,
          line = first,
          last = last,
          lines = last - first + 1,
          parameters = parameters,
          static = signature:match "%f[%w_]static%f[^%w_]" ~= nil,
        }
      end
    end
  end
  return list
end

--- Functions declared (not defined) in a header's text: name, line, and the line above it.
function tree.declarations(text)
  local raw, lines = tree.lines(text), tree.lines(tree.code(text))
  local list, i = {}, 1
  while i <= #lines do
    local line = lines[i]
    -- A prototype starts in column 0 and is no directive, struct body, typedef or variable.
    if line:match "^[%a_]" and not line:match "^typedef" and not line:match "^extern" then
      local stop = i
      while stop < #lines and not lines[stop]:match "[;{}]%s*$" do stop = stop + 1 end
      local statement = table.concat(lines, " ", i, stop)
      local name, parameters = read_signature(statement)
      if name and statement:match "%)%s*;%s*$" then
        local above = raw[i - 1] or ""
        list[#list + 1] = { name = name, line = i, above = above, parameters = parameters }
      end
      i = stop
    end
    i = i + 1
  end
  return list
end

--- Fails with all problems at once, one `file:line: what: what to do instead` a line.
function tree.expect_none(problems)
  if #problems > 0 then error(table.concat(problems, "\n"), 0) end
end

--- Runs `check(path, text)`, which returns a list of problems, over `paths` and gathers them.
function tree.gather(paths, check)
  assert(#paths > 0, "no file to look at: the lint would pass without looking")
  local problems = {}
  for _, path in ipairs(paths) do
    for _, problem in ipairs(check(path, tree.read(path))) do problems[#problems + 1] = problem end
  end
  return problems
end

--- `file:line: message`.
function tree.at(path, line, format, ...)
  return ("%s:%d: " .. format):format(path, line, ...)
end

return tree
