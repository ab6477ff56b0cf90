#pragma once
/// Certificates of an exporter, from the files that the environment names.

#include "upstream/client_tls.h"

/// NULL where a file is not named.
struct wr_otlp_tls_files {
  const char *ca;         ///< who signed the collector's certificate, in place of --ca-file
  const char *cert, *key; ///< what weir shows
};

/// Reads them. NULL with a set error when one cannot be read or makes no sense, or when of `cert`
/// and `key` only one is named. The result has one holder.
struct wr_client_tls *wr_otlp_tls_read(const struct wr_otlp_tls_files *files,
                                       struct wr_error *error);
