--- TLS of listeners: which certificates are served, and whom clients have to be.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local CERTIFICATES_MAX = 1024

local certificate = schema.new("certificate", {
  cert = schema.string { min = 1, max = 4096, required = true,
    doc = "PEM file: the certificate, then its chain." },
  key = schema.string { min = 1, max = 4096, required = true,
    doc = "PEM file: its private key, not encrypted." },
})

--- The option `tls` of `weir.listen`.
M.options = schema.new("tls", {
  certificates = schema.list(certificate, { required = true, min = 1, max = CERTIFICATES_MAX,
    doc = "Chosen by the name that the client asks for; the first one is for all others." }),
  client_ca = schema.string { min = 1, max = 4096,
    doc = "PEM file: who may have signed clients' certificates." },
  client_auth = schema.enum { "none", "optional", "required",
    doc = "Whether clients must have a certificate; \"required\" where there is a `client_ca`." },
  tell_upstreams = schema.boolean { default = false,
    doc = "Forwards a client's certificate in the field Client-Cert (RFC 9440)." },
  min_version = schema.enum { "1.2", "1.3", default = "1.2", doc = "The oldest TLS spoken." },
  alpn = schema.list(schema.enum { "h2", "http/1.1" }, { min = 1, max = 2,
    doc = "Protocols offered, best first; all by default." }),
}, { doc = "Serves over TLS, see below." })

-- As the extension has it: each name after its length.
local function wire(protocols)
  local parts = {}
  for i, name in ipairs(protocols) do parts[i] = string.char(#name) .. name end
  return table.concat(parts)
end

--- Makes the declared listener of `address` speak TLS; nil and a message when a file is no good.
---@param address string  In normal form.
---@param o table         As checked by `options`.
---@param http2 boolean   Whether the listener speaks HTTP/2.
---@return boolean?, string?
function M.listen(address, o, http2)
  local auth = o.client_auth or (o.client_ca and "required" or "none")
  if (auth == "none") ~= (o.client_ca == nil) then
    return nil, ("client_auth is \"%s\" %s client_ca"):format(auth,
      o.client_ca and "beside a" or "without a")
  end
  for _, name in ipairs(o.alpn or {}) do
    if name == "h2" and not http2 then return nil, "alpn names \"h2\", and http2 is false" end
  end
  local ok, message = core.listen_tls(address, { count = #o.certificates, client_ca = o.client_ca,
    client_auth = auth, tell_upstreams = o.tell_upstreams, min_version = o.min_version,
    alpn = wire(o.alpn or (http2 and { "h2", "http/1.1" } or { "http/1.1" })) })
  for i = 1, ok and #o.certificates or 0 do
    ok, message = core.listen_certificate(address, o.certificates[i])
    if not ok then break end
  end
  return ok, message
end

return M
