#include "cli/doctor.h"
#include "script/interpreter.h"
#include "script/vm.h"
#include "upstream/dns.h"

#include <curl/curl.h>
#include <unistd.h>

static void look_at_luajit(struct wr_doctor *d)
{
  const char *why;
  if (wr_interpreter_is_sound(&why)) {
    wr_doctor_tell(d, WR_DOCTOR_OK, "luajit", "LuaJIT %s computes what it should",
                   wr_vm_library_version());
  } else {
    wr_doctor_tell(d, WR_DOCTOR_FAIL, "luajit", "LuaJIT %s: %s", wr_vm_library_version(), why);
    wr_doctor_advise(d, "install the distribution's libluajit-5.1-2, and no other in front of it");
  }
}

static void look_at_curl(struct wr_doctor *d)
{
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  bool has_tls = (curl->features & CURL_VERSION_SSL) != 0;
  bool has_h2 = (curl->features & CURL_VERSION_HTTP2) != 0;
  if (!has_tls) {
    wr_doctor_tell(d, WR_DOCTOR_FAIL, "libcurl",
                   "libcurl %s has no TLS: https upstreams cannot be called", curl->version);
    wr_doctor_advise(d, "install libcurl4 (the OpenSSL one)");
  } else if (!has_h2) {
    wr_doctor_tell(d, WR_DOCTOR_WARN, "libcurl",
                   "libcurl %s has no HTTP/2: upstreams are called over HTTP/1.1", curl->version);
    wr_doctor_advise(d, "install a libcurl with nghttp2");
  } else {
    // Which resolver libcurl has is of no account: it is never asked.
    wr_doctor_tell(d, WR_DOCTOR_OK, "libcurl", "libcurl %s, %s, HTTP/2", curl->version,
                   curl->ssl_version);
  }
}

static void look_at_roots(struct wr_doctor *d)
{
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  const char *file = curl->age >= CURLVERSION_SEVENTH ? curl->cainfo : NULL;
  if (file != NULL && access(file, R_OK) == 0) {
    wr_doctor_tell(d, WR_DOCTOR_OK, "roots", "trusted roots in %s", file);
  } else {
    wr_doctor_tell(d, WR_DOCTOR_WARN, "roots",
                   "no trusted roots%s%s: no https upstream can be verified", file ? " at " : "",
                   file ? file : "");
    wr_doctor_advise(d, "install ca-certificates, or name a file with --ca-file");
  }
}

void wr_doctor_libraries(struct wr_doctor *d)
{
  look_at_luajit(d);
  look_at_curl(d);
  wr_doctor_tell(d, WR_DOCTOR_OK, "resolver",
                 "names are resolved with c-ares %s, off the loop and never by libcurl",
                 wr_dns_library_version());
  look_at_roots(d);
}
