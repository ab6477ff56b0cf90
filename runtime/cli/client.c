#include "cli/client.h"

#include "base/check.h"
#include "cli/admin_address.h"
#include "cli/admin_token.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

enum { STATUS_OK = 200, UNAUTHORIZED = 401 };

struct transfer {
  CURL *curl;
  const struct wr_client_request *request;
  struct wr_buf *body;
  bool is_ended; // by whoever takes the data
};

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
  struct transfer *t = ctx;
  size_t len = size * count;
  long status = 0;
  curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
  if (t->request->on_data == NULL || status != STATUS_OK) {
    return wr_buf_append(t->body, data, len) ? len : 0;
  }
  t->is_ended = !t->request->on_data(t->request->ctx, (struct wr_str){data, len});
  return t->is_ended ? 0 : len;
}

static void set_address(CURL *curl, const struct wr_admin_address *a, const char *path)
{
  char url[WR_ADMIN_ADDRESS_MAX + 128];
  if (a->path[0] != '\0') {
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, a->path);
    snprintf(url, sizeof(url), "http://weir%s", path);
  } else if (strchr(a->host, ':') != NULL) {
    snprintf(url, sizeof(url), "http://[%s]:%u%s", a->host, (unsigned)a->port, path);
  } else {
    snprintf(url, sizeof(url), "http://%s:%u%s", a->host, (unsigned)a->port, path);
  }
  curl_easy_setopt(curl, CURLOPT_URL, url);
}

// POST without a body; curl would name a media type for it.
static struct curl_slist *set_method(CURL *curl, const char *method)
{
  if (strcmp(method, "POST") != 0) return NULL;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
  return curl_slist_append(NULL, "Content-Type:");
}

// What the admin of weir asks for over TCP, when the environment says where it is.
static bool set_token(CURL *curl, const struct wr_admin_address *a, struct wr_error *error)
{
  const char *file = a->path[0] == '\0' ? wr_admin_token_file(NULL) : NULL;
  char token[WR_ADMIN_TOKEN_MAX + 1];
  if (file == NULL) return true;
  if (!wr_admin_token_read(file, token, error)) return false;
  curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
  curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
  return true;
}

static void describe(CURL *curl, CURLcode code, const struct wr_client_request *request,
                     struct wr_error *error)
{
  curl_off_t connect_us = 0;
  curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connect_us);
  bool is_connected = connect_us > 0;
  if (!is_connected) {
    wr_error_set(error, WR_ERROR_CONNECT, "%s", curl_easy_strerror(code));
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    wr_error_set(error, WR_ERROR_TIMEOUT, "no answer within %ld s", request->timeout_ms / 1000);
  } else if (code == CURLE_WRITE_ERROR) {
    wr_error_set(error, WR_ERROR_TOO_LARGE, "the answer is larger than %d MB",
                 WR_CLIENT_BODY_MAX >> 20);
  } else {
    wr_error_set(error, WR_ERROR_RESET, "the connection ended without a whole answer");
  }
}

static CURLcode perform(CURL *curl, const struct wr_client_request *request,
                        struct wr_client_reply *reply)
{
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)WR_CLIENT_CONNECT_TIMEOUT_MS);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  struct transfer transfer = {curl, request, &reply->body, false};
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  struct curl_slist *headers = set_method(curl, request->method);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
  return transfer.is_ended ? CURLE_OK : code;
}

bool wr_client_send(const char *address, const struct wr_client_request *request,
                    struct wr_client_reply *reply, struct wr_error *error, int *os_error)
{
  *reply = (struct wr_client_reply){.status = 0};
  wr_buf_init(&reply->body, WR_CLIENT_BODY_MAX);
  *os_error = 0;
  struct wr_admin_address a;
  const char *reason;
  if (!wr_admin_address_parse(&a, address, &reason)) {
    wr_error_set(error, WR_ERROR_INVALID, "%s", reason);
    return false;
  }
  CURL *curl = curl_easy_init();
  WR_CHECK(curl != NULL);
  set_address(curl, &a, request->path);
  if (!set_token(curl, &a, error)) {
    curl_easy_cleanup(curl);
    return false;
  }
  CURLcode code = perform(curl, request, reply);
  if (code != CURLE_OK) {
    long number = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    *os_error = (int)number;
    describe(curl, code, request, error);
  }
  curl_easy_cleanup(curl);
  return code == CURLE_OK;
}

static int refuse(const struct wr_options *o, const char *address, const struct wr_error *error,
                  int os_error)
{
  if (error->kind == WR_ERROR_INVALID) {
    return wr_options_refuse(o, "admin address '%s': %s", address, error->message);
  }
  if (error->kind != WR_ERROR_CONNECT) {
    wr_options_refuse(o, "weir at %s: %s", address, error->message);
    return WR_EXIT_FAILED;
  }
  const char *why = os_error ? strerror(os_error) : error->message;
  if (os_error == EACCES || os_error == EPERM) {
    wr_options_refuse(o, "may not talk to weir at %s: %s", address, why);
    return WR_EXIT_PERMISSION;
  }
  wr_options_refuse(o,
                    "no weir answers at %s: %s\n"
                    "  start one with 'weir run FILE', or name its address with --admin",
                    address, why);
  return WR_EXIT_UNREACHABLE;
}

int wr_client_ask(const struct wr_options *o, const struct wr_client_request *request,
                  struct wr_client_reply *reply)
{
  char room[WR_ADMIN_ADDRESS_MAX];
  const char *address = wr_admin_address_default(wr_options_get(o, "admin"), room);
  struct wr_error error;
  int os_error;
  bool is_sent = wr_client_send(address, request, reply, &error, &os_error);
  if (is_sent && reply->status != UNAUTHORIZED) return WR_EXIT_OK;
  wr_buf_fini(&reply->body);
  if (!is_sent) return refuse(o, address, &error, os_error);
  wr_options_refuse(o, "weir at %s asks for a token: say in $WEIR_ADMIN_TOKEN_FILE where it is",
                    address);
  return WR_EXIT_PERMISSION;
}
