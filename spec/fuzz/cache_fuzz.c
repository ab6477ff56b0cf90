/// libFuzzer harness: what an HTTP cache reads of requests and responses, and its stored records.
///
/// Lines of "Name: value" are a request's fields up to an empty line, then a response's; the first
/// byte chooses the status. What must hold for any bytes is checked with WR_CHECK; the sanitizers
/// see to the memory.
// sources: runtime/http/authority.c runtime/http/cache_control.c runtime/http/chars.c
// sources: runtime/http/conditional.c runtime/http/field.c runtime/http/freshness.c
// sources: runtime/http/headers.c
// sources: runtime/http/response.c runtime/http/same_origin.c runtime/http/storable.c
// sources: runtime/http/stored.c runtime/http/uri.c runtime/http/vary.c
// sources: runtime/resilience/retry_after.c runtime/base/alloc.c
// sources: runtime/base/decimal.c runtime/base/buf.c
// sources: runtime/base/check.c runtime/base/duration.c runtime/base/json.c runtime/base/region.c
// sources: runtime/base/utf8.c

#include "base/check.h"
#include "http/conditional.h"
#include "http/same_origin.h"
#include "http/storable.h"
#include "http/stored.h"
#include "http/vary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REGION_MAX = 1 << 20, FIELDS_MAX = 100 };

static const int64_t wall_s = 784111777;

// Fields up to an empty line, as the parser would pass them: proper names and values only.
static void read_fields(struct wr_str *rest, struct wr_headers *out)
{
  while (rest->len > 0) {
    struct wr_str value = wr_str_split(rest, '\n');
    if (value.len == 0) return;
    struct wr_str name = wr_str_split(&value, ':');
    value = value.ptr ? wr_str_trim(value) : WR_STR("");
    if (wr_headers_is_token(name) && wr_headers_is_value(value)) wr_headers_add(out, name, value);
  }
}

static void check_freshness(const struct wr_headers *request, const struct wr_cache_control *cc,
                            const struct wr_freshness *f)
{
  struct wr_cache_control asked;
  wr_cache_control_read(request, WR_STR("Cache-Control"), &asked);
  WR_CHECK(f->lifetime_s >= 0 && f->lifetime_s <= WR_CACHE_CONTROL_FOREVER);
  uint64_t age = wr_freshness_age(f, 1000);
  WR_CHECK(age >= f->initial_age_ns);
  enum wr_freshness_verdict verdict = wr_freshness_judge(f, age, &asked);
  bool is_strict = cc->no_cache || cc->must_revalidate;
  uint64_t lifetime_ns = (uint64_t)f->lifetime_s * 1000000000;
  if (is_strict && age >= lifetime_ns) WR_CHECK(verdict == WR_FRESHNESS_VALIDATE);
  if (is_strict) WR_CHECK(wr_freshness_error_left(f, age, &asked) == 0);
  if (asked.no_cache) WR_CHECK(verdict == WR_FRESHNESS_VALIDATE);
}

static void check_record(int status, const struct wr_freshness *f, const struct wr_headers *fields)
{
  struct wr_buf record;
  struct wr_region region;
  struct wr_headers again;
  struct wr_freshness same;
  struct wr_str body;
  int read_status = 0;
  wr_buf_init(&record, REGION_MAX);
  wr_region_init(&region, REGION_MAX);
  wr_headers_init(&again, &region, FIELDS_MAX);
  WR_CHECK(wr_stored_write(status, f, fields, &record));
  WR_CHECK(wr_stored_read(wr_buf_str(&record), &read_status, &same, &again, &body));
  WR_CHECK(read_status == status && again.count == fields->count && body.len == 0);
  wr_region_fini(&region);
  wr_buf_fini(&record);
}

static void check_vary(const struct wr_headers *request, const struct wr_headers *response)
{
  struct wr_buf names;
  struct wr_buf values;
  wr_buf_init(&names, 4096);
  wr_buf_init(&values, REGION_MAX);
  if (wr_vary_names(response, &names)) {
    WR_CHECK(wr_vary_values(wr_buf_str(&names), request, &values));
    WR_CHECK(names.len == 0 || memchr(wr_buf_head(&names), '\n', names.len) == NULL);
  }
  wr_buf_fini(&names);
  wr_buf_fini(&values);
}

static void check_answers(const struct wr_headers *request, const struct wr_headers *response,
                          struct wr_region *region)
{
  struct wr_conditional_part part;
  for (uint64_t length = 0; length < 12; length += 5) {
    if (wr_conditional_read_range(request, response, length, &part) != WR_CONDITIONAL_PART)
      continue;
    WR_CHECK(part.from <= part.to && part.to < length);
  }
  (void)wr_conditional_not_modified(request, response, wall_s);
  struct wr_str location = wr_headers_get(response, WR_STR("Location"));
  struct wr_str named =
      wr_same_origin_resolve(location, WR_STR("a.test"), WR_STR("/b/c?d"), region);
  WR_CHECK(location.ptr == NULL || named.ptr == NULL || named.ptr[0] == '/');
}

static void check_storable(const struct wr_headers *request, const struct wr_headers *response,
                           int status)
{
  const struct wr_freshness_rules rules = {.is_shared = true,
                                           .obeys_requests = true,
                                           .heuristic = 0.1,
                                           .heuristic_max_s = 86400,
                                           .ttl_s = WR_CACHE_CONTROL_NONE};
  struct wr_cache_control cc;
  struct wr_freshness f;
  wr_cache_control_read(response, WR_STR("Cache-Control"), &cc);
  struct wr_freshness_response told = {
      .status = status, .headers = response, .cc = &cc, .wall_s = wall_s};
  wr_freshness_read(&told, &rules, &f);
  check_freshness(request, &cc, &f);
  check_record(status, &f, response);
  struct wr_storable_case question = {.method = WR_STR("GET"),
                                      .request = request,
                                      .target = WR_STR("/b/c?d"),
                                      .authority = WR_STR("a.test"),
                                      .status = status,
                                      .response = response,
                                      .cc = &cc,
                                      .freshness = &f,
                                      .is_shared = true,
                                      .obeys_requests = true};
  const char *refusal = wr_storable_refusal(&question);
  if (cc.is_private || (cc.no_store && !cc.must_understand)) WR_CHECK(refusal != NULL);
}

static void fuzz_record(struct wr_str record, struct wr_region *region)
{
  struct wr_headers fields;
  struct wr_freshness f;
  struct wr_str body;
  int status = 0;
  wr_headers_init(&fields, region, FIELDS_MAX);
  if (wr_stored_read(record, &status, &f, &fields, &body)) {
    WR_CHECK(body.ptr >= record.ptr && body.ptr + body.len == record.ptr + record.len);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const int statuses[] = {200, 203, 206, 301, 404, 500, 503, 599};
  if (size < 1) return 0;
  struct wr_str rest = {(const char *)data + 1, size - 1};
  struct wr_region region;
  struct wr_headers request;
  struct wr_headers response;
  wr_region_init(&region, REGION_MAX);
  fuzz_record(rest, &region);
  wr_headers_init(&request, &region, FIELDS_MAX);
  wr_headers_init(&response, &region, FIELDS_MAX);
  read_fields(&rest, &request);
  read_fields(&rest, &response);
  check_storable(&request, &response, statuses[data[0] % WR_COUNT(statuses)]);
  check_vary(&request, &response);
  check_answers(&request, &response, &region);
  wr_region_fini(&region);
  return 0;
}
