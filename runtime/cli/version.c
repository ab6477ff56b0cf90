#include "base/check.h"
#include "base/json.h"
#include "cli/options.h"
#include "loop/loop.h"
#include "script/vm.h"
#include "upstream/dns.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

struct library {
  const char *name;
  const char *version; // as its own shared object tells it; NULL: not in use
};

enum { LIBRARIES = 8, TEXT_MAX = 4096 };

static void list_libraries(struct library out[LIBRARIES])
{
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  out[0] = (struct library){"luajit", wr_vm_library_version()};
  out[1] = (struct library){"libuv", wr_loop_library_version()};
  out[2] = (struct library){"libcurl", curl->version};
  out[3] = (struct library){"c-ares", wr_dns_library_version()};
  out[4] = (struct library){"jansson", jansson_version_str()};
  out[5] = (struct library){"tls", curl->ssl_version};
  out[6] = (struct library){"zlib", curl->libz_version};
  bool has_nghttp2 = curl->age >= CURLVERSION_SIXTH;
  out[7] = (struct library){"nghttp2", has_nghttp2 ? curl->nghttp2_version : NULL};
}

static void print_json(const struct library libraries[LIBRARIES])
{
  struct wr_buf text;
  struct wr_json j;
  wr_buf_init(&text, TEXT_MAX);
  wr_json_init(&j, &text);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "weir", WEIR_VERSION);
  wr_json_key(&j, "libraries");
  wr_json_object(&j);
  for (size_t i = 0; i < LIBRARIES; i++) {
    wr_json_field_cstr(&j, libraries[i].name, libraries[i].version);
  }
  wr_json_object_end(&j);
  wr_json_object_end(&j);
  WR_CHECK(!j.failed);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&text)));
  wr_buf_fini(&text);
}

static void print_text(const struct library libraries[LIBRARIES])
{
  printf("weir %s\n", WEIR_VERSION);
  for (size_t i = 0; i < LIBRARIES; i++) {
    if (libraries[i].version) printf("  %-8s %s\n", libraries[i].name, libraries[i].version);
  }
}

int wr_cli_version(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct library libraries[LIBRARIES];
  list_libraries(libraries);
  if (wr_options_get(&o, "json") != NULL) {
    print_json(libraries);
  } else {
    print_text(libraries);
  }
  return WR_EXIT_OK;
}
