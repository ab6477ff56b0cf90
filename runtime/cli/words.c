#include "cli/words.h"

#include "base/check.h"

#include <string.h>

// What every kind of primitive has.
static const struct wr_word common[] = {
    {"ls", "", "list them"},
    {"show", "NAME", "all that is known of one"},
};

static const struct {
  const char *noun;
  struct wr_word word;
} actions[] = {
#define OPERANDS_(argument) (sizeof(argument) > 1 ? "NAME " argument : "NAME")
#define WR_ACTION(ENUM, KIND, kind, verb, argument, doc, told)                                     \
  {#kind, {#verb, OPERANDS_(argument), doc}},
#include "tables/actions.def"
#undef WR_ACTION
};

bool wr_words_is_kind(const struct wr_verb *verb)
{
  return verb->run == wr_cli_primitive;
}

static bool action_at(const struct wr_verb *verb, size_t at, struct wr_word *out)
{
  for (size_t i = 0; i < WR_COUNT(actions); i++) {
    if (strcmp(actions[i].noun, verb->name) != 0 || at-- > 0) continue;
    *out = actions[i].word;
    return true;
  }
  return false;
}

bool wr_words_at(const struct wr_verb *verb, size_t at, struct wr_word *out)
{
  if (wr_words_is_kind(verb)) {
    if (at >= WR_COUNT(common)) return action_at(verb, at - WR_COUNT(common), out);
    *out = common[at];
    return true;
  }
  if (verb->words == NULL) return false;
  for (size_t i = 0; i <= at; i++) {
    if (verb->words[i].name == NULL) return false;
  }
  *out = verb->words[at];
  return true;
}

bool wr_words_have(const struct wr_verb *verb, const char *typed)
{
  struct wr_word word;
  for (size_t i = 0; wr_words_at(verb, i, &word); i++) {
    if (strcmp(word.name, typed) == 0) return true;
  }
  return false;
}
