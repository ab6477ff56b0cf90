#include "cli/explain_pipeline.h"

#include "cli/now.h"
#include "cli/sections.h"

#include <stdio.h>

static void print_options(const json_t *options)
{
  const char *key;
  json_t *value;
  const char *between = "";
  json_object_foreach((json_t *)options, key, value)
  {
    printf("%s%s ", between, key);
    wr_style_text(stdout, json_string_value(value));
    between = ", ";
  }
  putchar('\n');
}

// What it is doing, in a line of its own.
static void print_now(const json_t *element, const struct wr_style *style)
{
  char text[WR_NOW_SIZE];
  bool is_calm;
  const json_t *now = json_object_get(element, "now");
  if (now == NULL || !wr_now_text(wr_sections_text(element, "kind"), now, text, &is_calm)) return;
  printf("  %-12s %snow: ", "", is_calm ? style->green : style->red);
  wr_style_text(stdout, text);
  printf("%s\n", style->reset);
}

static void print_head(const char *what, const json_t *named, const struct wr_style *style)
{
  printf("%s%s '", style->bold, what);
  wr_style_text(stdout, wr_sections_text(named, "name"));
  printf("'%s\n", style->reset);
}

static void print_policy(const json_t *policy, const struct wr_style *style)
{
  const json_t *layers = json_object_get(policy, "layers");
  print_head("policy", policy, style);
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *layer = json_array_get(layers, i);
    printf("  %-12s ", wr_sections_text(layer, "kind"));
    print_options(json_object_get(layer, "options"));
    print_now(layer, style);
  }
}

static void print_upstream(const json_t *upstream, const struct wr_style *style)
{
  print_head("upstream", upstream, style);
  printf("  %-12s ", "");
  print_options(json_object_get(upstream, "options"));
  print_now(upstream, style);
}

static void print_none(const json_t *pipeline)
{
  if (json_integer_value(json_object_get(pipeline, "status")) == 404) {
    puts("no route has this path: 404");
  } else {
    printf("no route of this path takes this method: 405, there are %s\n",
           wr_sections_text(pipeline, "allow"));
  }
}

void wr_explain_pipeline_print(const json_t *pipeline)
{
  struct wr_style style = wr_style_of(stdout);
  const json_t *policies = json_object_get(pipeline, "policies");
  const json_t *upstreams = json_object_get(pipeline, "upstreams");
  const char *name;
  json_t *value;
  if (json_is_null(json_object_get(pipeline, "route"))) {
    print_none(pipeline);
    return;
  }
  json_object_foreach(json_object_get(pipeline, "params"), name, value)
  {
    printf("  :%s is '", name);
    wr_style_text(stdout, json_string_value(value));
    puts("'");
  }
  printf("%sroute %s%s\n  %-12s ", style.bold, wr_sections_text(pipeline, "route"), style.reset,
         "");
  print_options(json_object_get(pipeline, "options"));
  for (size_t i = 0; i < json_array_size(policies); i++) {
    print_policy(json_array_get(policies, i), &style);
  }
  for (size_t i = 0; i < json_array_size(upstreams); i++) {
    print_upstream(json_array_get(upstreams, i), &style);
  }
}
