#include "observe/otlp_settings.h"

#include "base/check.h"
#include "base/duration.h"
#include "http/headers.h"
#include "observe/otlp_tls.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  REGION_MAX = 256 * 1024,
  NUMBER_LAST = 1000 * 1000, // records; of milliseconds: a bit more than a quarter of an hour
};

static const char *const signal_names[] = {"traces", "metrics", "logs"};
static const char *const signal_words[] = {"TRACES", "METRICS", "LOGS"};

const char *wr_otlp_settings_signal(enum wr_otlp_signal signal)
{
  return signal_names[signal];
}

// What all signals share is read for each.
static bool is_told(const struct wr_otlp_settings *s, const char *name, const char *text)
{
  for (size_t i = 0; i < s->warning_count; i++) {
    if (wr_str_eq(s->warnings[i].name, wr_str_of(name)) &&
        wr_str_eq(s->warnings[i].value, wr_str_of(text))) {
      return true;
    }
  }
  return false;
}

__attribute__((format(printf, 3, 4))) static void warn(struct wr_otlp_settings *s, const char *name,
                                                       const char *format, ...)
{
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (s->warning_count == WR_OTLP_WARNINGS || is_told(s, name, text)) return;
  s->warnings[s->warning_count++] = (struct wr_otlp_pair){
      wr_region_copy(&s->region, wr_str_of(name)), wr_region_copy(&s->region, wr_str_of(text))};
}

// Empty is unset, as OpenTelemetry has it.
static const char *get(const char *name)
{
  const char *value = getenv(name);
  return value && value[0] ? value : NULL;
}

// What is said of this signal, else of all; its name in `name`.
static const char *get_of(enum wr_otlp_signal signal, const char *what, char name[64])
{
  snprintf(name, 64, "OTEL_EXPORTER_OTLP_%s_%s", signal_words[signal], what);
  const char *value = get(name);
  if (value) return value;
  snprintf(name, 64, "OTEL_EXPORTER_OTLP_%s", what);
  return get(name);
}

// --- numbers and words --------------------------------------------------------------------------

// 0 when it is none, or too large.
static uint64_t digits_of(const char *text)
{
  uint64_t value = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > NUMBER_LAST) return 0;
  }
  return *text == '\0' ? value : 0;
}

static uint64_t read_number(struct wr_otlp_settings *s, const char *name, uint64_t otherwise)
{
  const char *text = get(name);
  uint64_t value = text ? digits_of(text) : otherwise;
  if (value > 0) return value;
  warn(s, name, "'%.100s' is not a whole number from 1 to %d; %llu is used", text, NUMBER_LAST,
       (unsigned long long)otherwise);
  return otherwise;
}

// True when the value is `yes`, false when it is `no` or unset; else it is told of, and `no` holds.
static bool read_choice(struct wr_otlp_settings *s, const char *name, const char *value,
                        const char *yes, const char *no)
{
  if (value == NULL || strcmp(value, no) == 0) return false;
  if (strcmp(value, yes) == 0) return true;
  warn(s, name, "'%.100s' is neither '%s' nor '%s'; '%s' is used", value, yes, no, no);
  return false;
}

// --- lists of name=value ------------------------------------------------------------------------

static bool read_pair(struct wr_otlp_settings *s, struct wr_str element, struct wr_otlp_pair *out)
{
  struct wr_str value = element;
  struct wr_str name = wr_str_trim(wr_str_split(&value, '='));
  if (value.ptr == NULL || name.len == 0) return false;
  out->name = wr_uri_decode(name, &s->region);
  out->value = wr_uri_decode(wr_str_trim(value), &s->region);
  return out->name.ptr != NULL && out->value.ptr != NULL;
}

static bool is_field(const struct wr_otlp_pair *pair)
{
  return wr_headers_is_token(pair->name) && wr_headers_is_value(pair->value) &&
         !wr_headers_is_hop(pair->name);
}

static bool has(const struct wr_otlp_pairs *pairs, struct wr_str name)
{
  for (size_t i = 0; i < pairs->count; i++) {
    if (wr_str_eq(pairs->items[i].name, name)) return true;
  }
  return false;
}

// All of them or none: half of a list would be a surprise.
static void read_pairs(struct wr_otlp_settings *s, const char *name, const char *text,
                       bool are_fields, struct wr_otlp_pairs *out)
{
  size_t before = out->count;
  if (strlen(text) > WR_OTLP_LIST_MAX) {
    warn(s, name, "is longer than %d bytes; none of it is used", WR_OTLP_LIST_MAX);
    return;
  }
  struct wr_str rest = wr_region_copy(&s->region, wr_str_of(text));
  while (rest.ptr != NULL) {
    struct wr_str element = wr_str_trim(wr_str_split(&rest, ','));
    if (element.len == 0) continue;
    struct wr_otlp_pair *pair = &out->items[out->count];
    if (out->count == WR_OTLP_PAIRS_MAX) {
      warn(s, name, "has more than %d elements; none is used", WR_OTLP_PAIRS_MAX);
    } else if (!read_pair(s, element, pair)) {
      warn(s, name, "an element is not name=value, percent-encoded; none is used");
    } else if (are_fields && !is_field(pair)) {
      warn(s, name, "an element is no header field that may be sent; none is used");
    } else {
      // Of a resource what was said first holds, of fields the last.
      if (are_fields || !has(out, pair->name)) out->count++;
      continue;
    }
    out->count = before;
    return;
  }
}

// --- a signal's target --------------------------------------------------------------------------

// The endpoint of all signals is a base, a signal's own is taken as it is.
static void read_endpoint(struct wr_otlp_settings *s, enum wr_otlp_signal signal,
                          struct wr_otlp_target *t)
{
  char name[64];
  const char *text = get_of(signal, "ENDPOINT", name);
  const char *reason = "too long";
  struct wr_region *region = &s->region;
  if (text == NULL) return;
  struct wr_str url = wr_region_copy(region, wr_str_of(text));
  if (url.ptr == NULL || !wr_uri_parse(&t->uri, url, region, &reason)) {
    warn(s, name, "'%.200s' is no endpoint: %s; %s are not exported", text, reason,
         signal_names[signal]);
    return;
  }
  bool is_base = strcmp(name, "OTEL_EXPORTER_OTLP_ENDPOINT") == 0;
  struct wr_str path = t->uri.path;
  if (is_base && path.len > 0 && path.ptr[path.len - 1] == '/') path.len--;
  size_t size = path.len + t->uri.query.len + 16;
  char *target = wr_region_take(region, size);
  if (target == NULL) return;
  int len = snprintf(target, size, "%.*s%s%s%s%.*s", WR_STR_ARG(path), is_base ? "/v1/" : "",
                     is_base ? signal_names[signal] : "", t->uri.query.ptr ? "?" : "",
                     WR_STR_ARG(t->uri.query));
  t->target = (struct wr_str){target, (size_t)len};
  t->is_on = true;
}

// Whoever named a certificate relies on it: without it nothing is sent.
static void read_certificates(struct wr_otlp_settings *s, enum wr_otlp_signal signal,
                              struct wr_otlp_target *t)
{
  char names[3][64];
  struct wr_error error;
  struct wr_otlp_tls_files files = {.ca = get_of(signal, "CERTIFICATE", names[0]),
                                    .cert = get_of(signal, "CLIENT_CERTIFICATE", names[1]),
                                    .key = get_of(signal, "CLIENT_KEY", names[2])};
  bool is_told = files.ca || files.cert || files.key;
  if (!t->uri.is_https || !is_told) return;
  t->tls = wr_otlp_tls_read(&files, &error);
  if (t->tls != NULL) return;
  t->is_on = false;
  warn(s,
       names[files.cert  ? 1
             : files.key ? 2
                         : 0],
       "%s; %s are not exported", error.message, signal_names[signal]);
}

static void read_target(struct wr_otlp_settings *s, enum wr_otlp_signal signal,
                        struct wr_otlp_target *t)
{
  char name[64];
  snprintf(name, sizeof(name), "OTEL_%s_EXPORTER", signal_words[signal]);
  if (read_choice(s, name, get(name), "none", "otlp")) return;
  read_endpoint(s, signal, t);
  if (!t->is_on) return; // what else the environment says is for others
  read_certificates(s, signal, t);
  const char *value = get_of(signal, "PROTOCOL", name);
  t->is_json = read_choice(s, name, value, "http/json", "http/protobuf");
  value = get_of(signal, "COMPRESSION", name);
  t->is_gzip = read_choice(s, name, value, "gzip", "none");
  value = get_of(signal, "HEADERS", name);
  if (value) read_pairs(s, name, value, true, &t->headers);
  get_of(signal, "TIMEOUT", name);
  t->timeout_ns = read_number(s, name, 10000) * WR_MS;
}

// --- the sampler --------------------------------------------------------------------------------

static double read_ratio(struct wr_otlp_settings *s)
{
  static const char name[] = "OTEL_TRACES_SAMPLER_ARG";
  const char *text = get(name);
  if (text == NULL) return 1;
  char *end;
  double ratio = strtod(text, &end);
  if (*end == '\0' && ratio >= 0 && ratio <= 1) return ratio;
  warn(s, name, "'%.100s' is not a ratio from 0 to 1; 1 is used", text);
  return 1;
}

static void read_sampler(struct wr_otlp_settings *s, struct wr_sampler *out)
{
  static const char name[] = "OTEL_TRACES_SAMPLER";
  static const char prefix[] = "parentbased_";
  static const char *const kinds[] = {"always_off", "always_on", "traceidratio"};
  const char *text = get(name);
  *out = (struct wr_sampler){.kind = WR_SAMPLER_ON, .is_parent_based = true};
  if (text == NULL) return;
  bool is_parent_based = strncmp(text, prefix, sizeof(prefix) - 1) == 0;
  const char *kind = is_parent_based ? text + sizeof(prefix) - 1 : text;
  for (size_t i = 0; i < WR_COUNT(kinds); i++) {
    if (strcmp(kind, kinds[i]) != 0) continue;
    *out = (struct wr_sampler){.kind = (uint8_t)i, .is_parent_based = is_parent_based};
    if (i == WR_SAMPLER_RATIO) out->ratio = read_ratio(s);
    return;
  }
  warn(s, name,
       "'%.100s' is none of always_on, always_off, traceidratio, and each of them with "
       "parentbased_ before it; parentbased_always_on is used",
       text);
}

// --- the resource -------------------------------------------------------------------------------

static void add(struct wr_otlp_settings *s, const char *name, const char *value)
{
  struct wr_str key = wr_str_of(name);
  if (has(&s->resource, key)) return;
  if (s->resource.count == WR_OTLP_PAIRS_MAX) return;
  struct wr_str copy = wr_region_copy(&s->region, wr_str_of(value));
  s->resource.items[s->resource.count++] = (struct wr_otlp_pair){key, copy};
}

static void read_resource(struct wr_otlp_settings *s, uint64_t seed)
{
  char instance[WR_TRACE_SPAN_TEXT];
  const char *service = get("OTEL_SERVICE_NAME");
  const char *attributes = get("OTEL_RESOURCE_ATTRIBUTES");
  if (service && strlen(service) > WR_OTLP_SERVICE_MAX) {
    warn(s, "OTEL_SERVICE_NAME", "is longer than %d bytes; it is not used", WR_OTLP_SERVICE_MAX);
  } else if (service) {
    add(s, "service.name", service);
  }
  if (attributes) read_pairs(s, "OTEL_RESOURCE_ATTRIBUTES", attributes, false, &s->resource);
  wr_trace_context_digits(seed, instance);
  add(s, "service.name", "weir");
  add(s, "service.version", WEIR_VERSION);
  add(s, "service.instance.id", instance);
  add(s, "telemetry.sdk.name", "weir");
  add(s, "telemetry.sdk.language", "c");
  add(s, "telemetry.sdk.version", WEIR_VERSION);
}

static bool is_disabled(void)
{
  const char *text = get("OTEL_SDK_DISABLED");
  return text && wr_str_eq_nocase(wr_str_of(text), WR_STR("true"));
}

void wr_otlp_settings_read(struct wr_otlp_settings *s, uint64_t seed)
{
  memset(s, 0, sizeof(*s));
  wr_region_init(&s->region, REGION_MAX);
  if (is_disabled()) return;
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) {
    read_target(s, (enum wr_otlp_signal)i, &s->targets[i]);
  }
  if (!wr_otlp_settings_is_on(s)) return;
  if (s->targets[WR_OTLP_TRACES].is_on) read_sampler(s, &s->sampler);
  read_resource(s, seed);
  s->schedule_ns[WR_OTLP_TRACES] = read_number(s, "OTEL_BSP_SCHEDULE_DELAY", 5000) * WR_MS;
  s->schedule_ns[WR_OTLP_METRICS] = read_number(s, "OTEL_METRIC_EXPORT_INTERVAL", 60000) * WR_MS;
  s->schedule_ns[WR_OTLP_LOGS] = read_number(s, "OTEL_BLRP_SCHEDULE_DELAY", 1000) * WR_MS;
  const char *buckets = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
  s->is_exponential = read_choice(s, buckets, get(buckets), "base2_exponential_bucket_histogram",
                                  "explicit_bucket_histogram");
  s->queue_max = read_number(s, "OTEL_BSP_MAX_QUEUE_SIZE", 2048);
  s->batch_max = read_number(s, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512);
  if (s->batch_max <= s->queue_max) return;
  warn(s, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "is more than OTEL_BSP_MAX_QUEUE_SIZE; %llu is used",
       (unsigned long long)s->queue_max);
  s->batch_max = s->queue_max;
}

bool wr_otlp_settings_is_on(const struct wr_otlp_settings *s)
{
  bool is_on = false;
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) is_on |= s->targets[i].is_on;
  return is_on;
}

void wr_otlp_settings_fini(struct wr_otlp_settings *s)
{
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) wr_client_tls_unref(s->targets[i].tls);
  wr_region_fini(&s->region);
}
