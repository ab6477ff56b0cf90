#pragma once
/// What goes out: a `wr_transfer_request`, checked and put on an easy handle, byte for byte ours.
///
/// Host is the authority exactly, the target is sent as it is, and nothing is added that the caller
/// did not ask for but framing. Private to transport_curl.c.

#include "upstream/transport.h"
#include "upstream/transport_curl.h"

#include <curl/curl.h>

/// Sets method, URL, target, framing, fields, protocol and TLS options. The returned list belongs
/// to the caller and must outlive the handle's use. The request must have passed
/// `wr_transfer_check`.
struct curl_slist *wr_curl_request_apply(const struct wr_transfer_request *rq,
                                         const struct wr_transport_curl_options *options,
                                         CURL *easy);

/// Has the handle connect to `address` and `port` whatever its URL says; replaces `old`.
struct curl_slist *wr_curl_request_route(CURL *easy, struct curl_slist *old,
                                         const struct wr_dns_address *address, uint16_t port);
