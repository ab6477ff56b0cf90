#pragma once
/// What the admin listener's pages have in common: answers, and the query. For admin/.

#include "http/exchange.h"

enum { WR_PAGE_MAX = 1 << 20 }; ///< bytes of a document, but for the metrics

/// Answers with a body, which is copied.
void wr_page_reply(struct wr_exchange *x, int status, const char *type, struct wr_str body);

/// The same with plain text.
void wr_page_reply_text(struct wr_exchange *x, int status, const char *text);

/// The same with {"ok": …, "message": …}.
void wr_page_reply_message(struct wr_exchange *x, int status, const char *message);

/// 401: a browser asks its user for the token.
void wr_page_ask_for_token(struct wr_exchange *x);

/// The value of `key` in the query, decoded; absent when there is none.
struct wr_str wr_page_query(const struct wr_exchange_info *info, struct wr_str key);

/// Whether the query says `key=1`.
bool wr_page_asks(const struct wr_exchange_info *info, struct wr_str key);
