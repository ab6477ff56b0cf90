#pragma once
/// The files of the dashboard, and the description of the API, as they are embedded in the binary
/// (scripts/embed.cmake). For admin/.

#include "http/exchange.h"

struct wr_asset {
  const char *type; ///< "text/css"
  const char *path; ///< "dashboard/page.css", below the root of the admin listener
  const char *text;
  size_t len;
};

/// Ends with an entry whose path is NULL.
extern const struct wr_asset wr_assets[];

/// The file that is shown at `path` ("/" is the dashboard); NULL: there is none.
const struct wr_asset *wr_asset_find(struct wr_str path);

/// Answers with it. A page may load from weir only, run no script that stands in it, and be shown
/// in no other page.
void wr_asset_serve(const struct wr_asset *asset, struct wr_exchange *x);

/// Answers with a page of our own making, under the same rules.
void wr_asset_reply(struct wr_exchange *x, const char *type, struct wr_str text);
