// Completion for shells, made from the table of verbs: what is in a table cannot be forgotten here.
//
// Names of primitives are asked of the running weir when they are needed. They may hold anything,
// so no shell gets to expand them.

#include "base/check.h"
#include "cli/options.h"
#include "cli/words.h"

#include <stdio.h>
#include <string.h>

// `text` between single quotes, each of `special` behind a backslash; `quote` is what a single
// quote becomes there.
static void put_quoted(const char *text, const char *special, const char *quote)
{
  putchar('\'');
  for (; *text != '\0'; text++) {
    if (*text == '\'') {
      fputs(quote, stdout);
      continue;
    }
    if (strchr(special, *text) != NULL) putchar('\\');
    putchar(*text);
  }
  putchar('\'');
}

static bool takes_file(const char *operand)
{
  static const char *const files[] = {"FILE", "[FILE]", "PEM", "FOLDER"};
  for (size_t i = 0; operand != NULL && i < WR_COUNT(files); i++) {
    if (strcmp(operand, files[i]) == 0) return true;
  }
  return false;
}

static bool takes_verb(const struct wr_verb *verb)
{
  return strcmp(verb->operands, "[VERB]") == 0;
}

// The options of a verb that take a value, with their letters: " --admin -a --query -q ".
static void put_valued(const struct wr_verb *v)
{
  for (const struct wr_option *o = v->options; o && o->name; o++) {
    if (o->argument != NULL) printf(" --%s -%c", o->name, o->name[0]);
  }
}

static void put_verbs(void)
{
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    printf("%s%s", v == wr_cli_verbs ? "" : " ", v->name);
  }
}

// bash

static void put_bash_verb(const struct wr_verb *v)
{
  struct wr_word word;
  printf("    %s)\n      options='--help", v->name);
  for (const struct wr_option *o = v->options; o && o->name; o++) printf(" --%s", o->name);
  printf("'\n      valued='");
  put_valued(v);
  printf(" '\n      words='");
  for (size_t i = 0; wr_words_at(v, i, &word); i++) printf("%s%s", i ? " " : "", word.name);
  if (takes_verb(v)) put_verbs();
  printf("'\n");
  if (takes_file(v->operands)) printf("      files=1\n");
  if (wr_words_is_kind(v)) printf("      names=1\n");
  printf("      ;;\n");
}

static void put_bash(void)
{
  printf("# bash completion for weir, made by: weir completion bash\n"
         "# The word at $i as it was typed: bash cuts them at = and :\n"
         "_weir_word()\n{\n"
         "  word=${COMP_WORDS[i]}\n"
         "  while ((i + 1 < COMP_CWORD)) && [[ ${COMP_WORDS[i + 1]} == [=:] ]]; do\n"
         "    word+=${COMP_WORDS[++i]}\n"
         "    ((i + 1 == COMP_CWORD)) || word+=${COMP_WORDS[++i]}\n"
         "  done\n"
         "}\n\n"
         "_weir()\n{\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "  local verb=${COMP_WORDS[1]} options= valued= words= files= names= name\n"
         "  local i word option value= at=0\n"
         "  local -a admin=()\n"
         "  COMPREPLY=()\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    COMPREPLY=($(compgen -W '");
  put_verbs();
  printf("' -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  case $verb in\n");
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) put_bash_verb(v);
  printf("  esac\n"
         "  for ((i = 2; i < COMP_CWORD; i++)); do\n"
         "    _weir_word\n"
         "    case $word in\n"
         "    --admin=*) admin=(--admin \"${word#*=}\") ;;\n"
         "    -*)\n"
         "      [[ $valued == *\" $word \"* ]] || continue\n"
         "      option=$word\n"
         "      ((++i < COMP_CWORD)) || { value=1; break; }\n"
         "      _weir_word\n"
         "      [[ $option == --admin || $option == -a ]] && admin=(--admin \"$word\")\n"
         "      ;;\n"
         "    *) ((++at)) ;;\n"
         "    esac\n"
         "  done\n"
         "  if [[ -n $value || $cur == = || $prev == = ]]; then\n"
         "    [[ $cur == = ]] && cur=\n"
         "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "  elif [[ $cur == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
         "  elif [[ -n $files ]]; then\n"
         "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "  elif ((at == 0)); then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  elif ((at == 1)) && [[ -n $names ]]; then\n"
         "    while IFS= read -r name; do\n"
         "      [[ $name == \"$cur\"* ]] && COMPREPLY+=(\"$(printf %%q \"$name\")\")\n"
         "    done < <(weir \"$verb\" ls --names \"${admin[@]}\" 2>/dev/null)\n"
         "  fi\n"
         "  return 0\n"
         "}\n"
         "complete -F _weir weir\n");
}

// zsh

#define ZSH_QUOTE "'\\''"

static void put_zsh_option(const struct wr_option *o)
{
  printf(" \\\n        '--%s%s['", o->name, o->argument ? "=" : "");
  put_quoted(o->help, "[]:\\", ZSH_QUOTE);
  printf("']");
  if (o->argument != NULL) printf(":%s:%s", o->argument, takes_file(o->argument) ? "_files" : "");
  printf("'");
}

static void put_zsh_verb(const struct wr_verb *v)
{
  struct wr_word word;
  printf("    %s)\n      _arguments '--help[explain it]'", v->name);
  for (const struct wr_option *o = v->options; o && o->name; o++) put_zsh_option(o);
  if (takes_file(v->operands)) printf(" \\\n        '1:file:_files'");
  if (takes_verb(v)) printf(" \\\n        '1:verb:_weir_verbs'");
  for (size_t i = 0; wr_words_at(v, i, &word); i++) {
    printf("%s%s", i == 0 ? " \\\n        '1:action:(" : " ", word.name);
  }
  if (wr_words_at(v, 0, &word)) printf(")'");
  if (wr_words_is_kind(v)) printf(" \\\n        '2:name:_weir_names'");
  printf("\n      ;;\n");
}

static void put_zsh(void)
{
  printf("#compdef weir\n# made by: weir completion zsh\n"
         "_weir_names()\n{\n"
         "  local -a names admin\n"
         "  local -i i\n"
         "  for ((i = 2; i < $#words; i++)); do\n"
         "    case $words[i] in\n"
         "    --admin=*) admin=(--admin ${(Q)words[i]#*=}) ;;\n"
         "    --admin|-a) admin=(--admin ${(Q)words[i + 1]}) ;;\n"
         "    esac\n"
         "  done\n"
         "  names=(\"${(@f)$(weir $service ls --names $admin 2>/dev/null)}\")\n"
         "  compadd -a names\n"
         "}\n\n"
         "_weir_verbs()\n{\n"
         "  local -a verbs\n"
         "  verbs=(\n");
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    printf("    '%s:'", v->name);
    put_quoted(v->summary, ":\\", ZSH_QUOTE);
    putchar('\n');
  }
  printf("  )\n"
         "  _describe -t verbs verb verbs\n"
         "}\n\n"
         "_weir()\n{\n"
         "  if ((CURRENT == 2)); then\n"
         "    _weir_verbs\n"
         "    return\n"
         "  fi\n"
         "  shift words\n"
         "  ((CURRENT--))\n"
         "  local service=$words[1]\n"
         "  case $service in\n");
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) put_zsh_verb(v);
  printf("  esac\n"
         "}\n\n"
         "if [ \"$funcstack[1]\" = _weir ]; then _weir \"$@\"; else compdef _weir weir; fi\n");
}

// fish

static void put_fish_text(const char *text)
{
  put_quoted(text, "\\", "\\'");
}

static void put_fish_verb(const struct wr_verb *v)
{
  struct wr_word word;
  printf("complete -c weir -n __fish_use_subcommand -a %s -d ", v->name);
  put_fish_text(v->summary);
  putchar('\n');
  for (const struct wr_option *o = v->options; o && o->name; o++) {
    const char *value = o->argument == NULL ? "" : takes_file(o->argument) ? " -r -F" : " -x";
    printf("complete -c weir -n '__weir_is %s' -l %s%s -d ", v->name, o->name, value);
    put_fish_text(o->help);
    putchar('\n');
  }
  for (size_t i = 0; wr_words_at(v, i, &word); i++) {
    printf("complete -c weir -n '__weir_is %s 2' -a %s -d ", v->name, word.name);
    put_fish_text(word.help);
    putchar('\n');
  }
  if (takes_file(v->operands)) printf("complete -c weir -n '__weir_is %s' -F\n", v->name);
  if (takes_verb(v)) {
    printf("complete -c weir -n '__weir_is %s 2' -a '", v->name);
    put_verbs();
    printf("'\n");
  }
  if (wr_words_is_kind(v)) {
    printf("complete -c weir -n '__weir_is %s 3' -a '(__weir_names)'\n", v->name);
  }
}

static void put_fish(void)
{
  printf("# fish completion for weir, made by: weir completion fish\n"
         "# What was typed without options and their values.\n"
         "function __weir_words\n"
         "  set -l words (commandline -opc)\n"
         "  set -l valued\n"
         "  switch \"$words[2]\"\n");
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) {
    printf("    case %s\n      set valued", v->name);
    put_valued(v);
    putchar('\n');
  }
  printf("  end\n"
         "  set -l skip 0\n"
         "  for word in $words\n"
         "    if test $skip -eq 1\n"
         "      set skip 0\n"
         "    else if contains -- $word $valued\n"
         "      set skip 1\n"
         "    else if not string match -q -- '-*' $word\n"
         "      echo $word\n"
         "    end\n"
         "  end\n"
         "end\n"
         "function __weir_is\n"
         "  set -l words (__weir_words)\n"
         "  test (count $words) -ge 2; and test \"$words[2]\" = $argv[1]\n"
         "  and test (count $argv) -lt 2 -o (count $words) -eq \"$argv[2]\"\n"
         "end\n"
         "function __weir_names\n"
         "  set -l words (commandline -opc)\n"
         "  set -l admin\n"
         "  for i in (seq 3 (count $words))\n"
         "    switch $words[$i]\n"
         "      case '--admin=*'\n"
         "        set admin $words[$i]\n"
         "      case --admin -a\n"
         "        set admin --admin=$words[(math $i + 1)]\n"
         "    end\n"
         "  end\n"
         "  weir $words[2] ls --names $admin 2>/dev/null\n"
         "end\n"
         "complete -c weir -f\n"
         "complete -c weir -l help -d 'explain it'\n");
  for (const struct wr_verb *v = wr_cli_verbs; v->name != NULL; v++) put_fish_verb(v);
}

int wr_cli_completion(int argc, char **argv)
{
  static void (*const shells[])(void) = {put_bash, put_zsh, put_fish};
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *names[WR_COUNT(shells)];
  struct wr_word word;
  for (size_t i = 0; wr_words_at(o.verb, i, &word); i++) {
    WR_CHECK(i < WR_COUNT(shells));
    names[i] = word.name;
    if (strcmp(word.name, o.operands[0]) != 0) continue;
    shells[i]();
    return WR_EXIT_OK;
  }
  return wr_options_refuse_action(&o, o.operands[0], names, WR_COUNT(names));
}
