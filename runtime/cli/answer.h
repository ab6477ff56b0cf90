#pragma once
/// Orders to the running weir about its generations, and how what it answers is told: that one is
/// live, what would change, what is declared, or what is wrong with a bundle.

#include "cli/client.h"

/// How long such an answer may take: a candidate is loaded, checked and tested before.
#define WR_ANSWER_TIMEOUT_MS 120000

/// How long a canary or a shadow is one, when nobody says.
#define WR_ANSWER_PROBATION_NS (120 * WR_SECOND)

/// Sends the request and tells the answer, as it is with the verb's option "json". Returns the exit
/// code.
int wr_answer_ask(const struct wr_options *o, const struct wr_client_request *request);
