--- Chromium through weir: a page that fetches, uploads, submits, listens and aborts.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

describe("a browser", function()
  local g, o, browser, profile

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, page = slurp "spec/conformance/clients/page.html", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("GET /page", function()
        return weir.response(200, [==[$(page)]==], { ["Content-Type"] = "text/html" })
      end)
      weir.route("/echo", function(req) return req.method .. " " .. req:text() end)
      weir.route("/empty", function() return weir.response(204) end)
      weir.route("GET /events", { deadline = "30s" }, function(req)
        return up:forward(req, { path = "/plan/events" })
      end)
      weir.route("GET /pieces", { deadline = "30s" }, function(req)
        return up:forward(req, { path = "/plan/pieces" })
      end)
      weir.route("PUT /more", function(req) return up:forward(req, { path = "/release/more" }) end)
      weir.route("GET /hangs", function(req) return up:forward(req, { path = "/run?hang" }) end)
      weir.route("/ok", function(req) return up:forward(req) end)
      weir.route("POST /result", function(req)
        weir.log.info("browser", { result = req:text() })
        return "thanks"
      end)
    ]] }
    profile = os.tmpname()
    os.remove(profile)
  end)

  teardown(function()
    if browser then browser:kill() end
    os.execute("rm -rf " .. profile)
    g:stop()
    o:kill()
  end)

  it("does all that pages do", function()
    local head = "send:HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n"
    local function chunk(text) return ("send:%x\r\n%s\r\n"):format(#text, text) end
    o:plan("events", { { head .. "Content-Type: text/event-stream\r\n\r\n", chunk "data: 1\n\n",
      chunk ": a comment\n\ndata: 2\n\n", chunk "data: 3\n\n", "hang" } })
    o:plan("pieces", { { head .. "\r\n", chunk "first", "until:more", chunk "second",
      "send:0\r\n\r\n" } })
    browser = process.spawn { "/usr/bin/chromium", "--headless=new", "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-sync",
      "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
      "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      "--remote-debugging-port=0", "--user-data-dir=" .. profile,
      ("http://127.0.0.1:%d/page"):format(g.port) }
    local entry = wait.for_("the page's results", function()
      if browser:is_over() then error(browser:stderr(), 0) end
      return g:log("script.log", { message = "browser" })[1]
    end, 60)
    assert.same({
      fetch = "GET /ok HTTP/1.1", many = "40", put = "PUT " .. ("y"):rep(300), head = "200 0",
      none = "404", empty = "204", xhr = "200 1000000 1000000", data = "true",
      submit = "POST word=%C3%BCber+1%262", events = "1,2,3", stream = "first second true",
      abort = "AbortError: signal is aborted without reason", again = "POST still here",
    }, json.decode(entry.fields.result))
    -- What the page gave up is given up towards the upstream too.
    wait.for_("no request to hang", function() return o:counts().hanging == 0 end)
    browser:signal "TERM"
    browser:wait(20)
    wait.for_("the browser's connections to go", function()
      return g:metric("http_server_active_requests") == 0
    end)
  end)
end)
