#pragma once
/// libcurl's results in our words. Pure. Private to transport_curl.c.

#include "base/error.h"

#include <curl/curl.h>

/// The kind of a failed result; `detail` is the handle's error buffer, which alone tells a broken
/// chunk from a broken connection.
enum wr_error_kind wr_curl_error_kind(CURLcode result, const char *detail);

/// Why, in a few words: the system's own where it said something, else the library's, else
/// `detail`.
const char *wr_curl_error_cause(CURL *easy, CURLcode result, const char *detail);
