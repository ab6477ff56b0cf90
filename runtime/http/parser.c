#include "http/parser.h"

#include "http/chars.h"
#include "http/framing.h"
#include "http/target.h"

const struct wr_parser_limits wr_parser_limits_default = {
    .head_max = 32768,
    .line_max = 8192,
    .fields_max = 100,
};

// The bytes and where reading stands. Everything is decided in the order of the bytes and by bytes
// before `stop` alone, so a prefix of a message never gets another verdict than the whole.
struct cursor {
  const char *base;
  const char *end;
  const char *line; // start of the current line
  const char *stop; // no byte of the current line is looked at from here on
  const char *at;
  const struct wr_parser_limits *limits;
  struct wr_parser_error *error;
};

// A whole head in the making. Fields are collected here and copied to the region when the head is
// complete: a client that sends a byte at a time must not fill the region.
struct draft {
  struct wr_framing_facts facts;
  struct wr_target target;
  size_t count;
  size_t seen; // fields, with those that were dropped
  struct wr_header fields[WR_PARSER_FIELDS_CEILING];
};

// Verdicts

static enum wr_parser_status bad(struct cursor *c, int status, const char *at, const char *message)
{
  *c->error = (struct wr_parser_error){status, message, (size_t)(at - c->base)};
  return WR_PARSER_BAD;
}

// The line goes on at `stop`: that is the end of the input, or of what a limit allows.
static enum wr_parser_status starve(struct cursor *c, int too_long)
{
  size_t line_len = (size_t)(c->stop - c->line);
  if ((size_t)(c->stop - c->base) >= c->limits->head_max) {
    return bad(c, 431, c->stop, "the head is too long");
  }
  if (line_len >= 2 && line_len - 2 >= c->limits->line_max) {
    const char *what = too_long == 414 ? "the target is too long" : "a line is too long";
    return bad(c, too_long, c->stop, what);
  }
  return WR_PARSER_MORE;
}

// Lines

static void begin_line(struct cursor *c)
{
  size_t left = (size_t)(c->end - c->at);
  size_t done = (size_t)(c->at - c->base);
  size_t head_room = done < c->limits->head_max ? c->limits->head_max - done : 0;
  if (c->limits->line_max < left && c->limits->line_max + 2 < left) left = c->limits->line_max + 2;
  if (head_room < left) left = head_room;
  c->line = c->at;
  c->stop = c->at + left;
}

// At the first byte that cannot belong to the line's content: only CRLF may be here.
static enum wr_parser_status end_line(struct cursor *c, const char *at, int too_long)
{
  if (at == c->stop) return starve(c, too_long);
  if (*at == '\n') return bad(c, 400, at, "a line ends with LF alone");
  if (*at != '\r') return bad(c, 400, at, "a control character");
  if (at + 1 == c->stop) return starve(c, too_long);
  if (at[1] != '\n') return bad(c, 400, at, "CR without LF");
  c->at = at + 2;
  return WR_PARSER_DONE;
}

// RFC 9112 2.2: a server skips an empty line that a careless client sent after its last body.
static enum wr_parser_status skip_empty_line(struct cursor *c)
{
  begin_line(c);
  if (c->at < c->stop && *c->at != '\r') return WR_PARSER_DONE;
  return end_line(c, c->at, 431);
}

// "HTTP/1.0" or "HTTP/1.1", complete in `text`.
static enum wr_parser_status read_version(struct cursor *c, struct wr_str text, int *minor)
{
  const char *t = text.ptr;
  bool is_version = text.len == 8 && memcmp(t, "HTTP/", 5) == 0 && t[5] >= '0' && t[5] <= '9' &&
                    t[6] == '.' && t[7] >= '0' && t[7] <= '9';
  if (!is_version) return bad(c, 400, t, "the HTTP version is malformed");
  if (t[5] != '1' || t[7] > '1') return bad(c, 505, t, "the HTTP version is neither 1.0 nor 1.1");
  *minor = t[7] - '0';
  return WR_PARSER_DONE;
}

static enum wr_parser_status read_method(struct cursor *c, struct wr_str *method)
{
  const char *at = wr_chars_skip(c->at, c->stop, WR_CHARS_TOKEN);
  *method = (struct wr_str){c->at, (size_t)(at - c->at)};
  if (at == c->stop) return starve(c, 431);
  if (*at != ' ' || method->len == 0) return bad(c, 400, at, "the method is not a token");
  c->at = at + 1;
  return WR_PARSER_DONE;
}

static enum wr_parser_status read_target(struct cursor *c, struct wr_str *target)
{
  const char *at = wr_chars_skip(c->at, c->stop, WR_CHARS_TARGET);
  *target = (struct wr_str){c->at, (size_t)(at - c->at)};
  if (at == c->stop) return starve(c, 414);
  if (*at == '\r' || *at == '\n') return bad(c, 400, at, "the request line has no HTTP version");
  if (*at != ' ') return bad(c, 400, at, "the target has a character that must be escaped");
  if (target->len == 0) return bad(c, 400, at, "the request line has a space too many");
  c->at = at + 1;
  return WR_PARSER_DONE;
}

static enum wr_parser_status read_request_line(struct cursor *c, struct draft *d,
                                               struct wr_head *head)
{
  begin_line(c);
  enum wr_parser_status status = read_method(c, &head->method);
  if (status == WR_PARSER_DONE) status = read_target(c, &head->target);
  if (status != WR_PARSER_DONE) return status;
  const char *version = c->at;
  const char *at = wr_chars_skip(version, c->stop, WR_CHARS_TARGET);
  if (at < c->stop && *at == ' ') return bad(c, 400, at, "the request line has a space too many");
  status = end_line(c, at, 414);
  if (status != WR_PARSER_DONE) return status;
  status = read_version(c, (struct wr_str){version, (size_t)(at - version)}, &head->minor);
  if (status != WR_PARSER_DONE) return status;
  const char *fault = wr_target_parse(&d->target, head->method, head->target);
  return fault ? bad(c, 400, head->target.ptr, fault) : WR_PARSER_DONE;
}

// The code after the version's space: three digits, 100 to 599.
static bool read_code(struct wr_str text, int *code)
{
  if (text.len != 3) return false;
  *code = 0;
  for (size_t i = 0; i < 3; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    *code = *code * 10 + (text.ptr[i] - '0');
  }
  return *code >= 100 && *code <= 599;
}

static enum wr_parser_status read_status_line(struct cursor *c, struct wr_head *head)
{
  begin_line(c);
  const char *at = wr_chars_skip_field(c->at, c->stop);
  enum wr_parser_status status = end_line(c, at, 431);
  if (status != WR_PARSER_DONE) return status;
  struct wr_str rest = {c->line, (size_t)(at - c->line)};
  status = read_version(c, wr_str_split(&rest, ' '), &head->minor);
  if (status != WR_PARSER_DONE) return status;
  // The space before an absent reason is required, and left out by many: nothing hangs on it.
  struct wr_str code = wr_str_split(&rest, ' ');
  if (!read_code(code, &head->status)) {
    return bad(c, 400, c->line + 8, "the status is not a number from 100 to 599");
  }
  head->reason = rest.ptr ? rest : (struct wr_str){"", 0};
  return WR_PARSER_DONE;
}

// Why the byte after a field name is not a colon.
static const char *name_fault(const struct cursor *c, const char *at)
{
  bool is_blank = *at == ' ' || *at == '\t';
  if (is_blank && at == c->line) return "a folded or indented field line";
  if (is_blank) return "white space in or after a field name";
  if (*at == ':') return "an empty field name";
  if (*at == '\r' || *at == '\n') return "a field line without a colon";
  return "a field name is not a token";
}

static enum wr_parser_status read_field(struct cursor *c, struct wr_header *field)
{
  const char *at = wr_chars_skip(c->at, c->stop, WR_CHARS_TOKEN);
  if (at == c->stop) return starve(c, 431);
  if (*at != ':' || at == c->line) return bad(c, 400, at, name_fault(c, at));
  field->name = (struct wr_str){c->line, (size_t)(at - c->line)};
  field->field = wr_field_of(field->name);
  const char *value = at + 1;
  at = wr_chars_skip_field(value, c->stop);
  field->value = wr_str_trim((struct wr_str){value, (size_t)(at - value)});
  field->is_sound = true;
  return end_line(c, at, 431);
}

// A name with "_" reads as one with "-" behind CGI-like interfaces: a way to forge a field that is
// checked under its proper name. Such fields are dropped at the edge.
static bool is_forgeable(const struct wr_header *field)
{
  return field->field == WR_FIELD_OTHER && memchr(field->name.ptr, '_', field->name.len) != NULL;
}

static enum wr_parser_status read_fields(struct cursor *c, struct draft *d)
{
  size_t max = c->limits->fields_max;
  if (max > WR_PARSER_FIELDS_CEILING) max = WR_PARSER_FIELDS_CEILING;
  for (;;) {
    begin_line(c);
    if (c->at == c->stop) return starve(c, 431);
    if (*c->at == '\r') return end_line(c, c->at, 431);
    if (d->seen++ == max) return bad(c, 431, c->at, "too many fields");
    struct wr_header *field = &d->fields[d->count];
    enum wr_parser_status status = read_field(c, field);
    if (status != WR_PARSER_DONE) return status;
    int code = 400;
    const char *fault = wr_framing_note(&d->facts, field, &code);
    if (fault != NULL) return bad(c, code, field->value.ptr, fault);
    if (!d->facts.is_request || !is_forgeable(field)) d->count++;
  }
}

// Whole heads

static enum wr_parser_status keep_fields(struct cursor *c, const struct draft *d,
                                         struct wr_region *region, struct wr_head *head)
{
  wr_headers_init(&head->headers, region, c->limits->fields_max);
  if (d->count == 0) return WR_PARSER_DONE;
  struct wr_header *items = wr_region_take(region, d->count * sizeof(*items));
  if (items == NULL) return bad(c, 431, c->at, "the fields need too much memory");
  memcpy(items, d->fields, d->count * sizeof(*items));
  wr_headers_adopt(&head->headers, items, d->count);
  return WR_PARSER_DONE;
}

// RFC 9112 3.2.2: the authority of an absolute target wins over Host. Since the next hop may look
// at the other one, they must agree.
static enum wr_parser_status settle_host(struct cursor *c, const struct draft *d,
                                         struct wr_region *region, struct wr_head *head)
{
  const struct wr_framing_facts *f = &d->facts;
  if (!f->has_host && !d->target.has_authority) return WR_PARSER_DONE;
  const struct wr_authority *source = d->target.has_authority ? &d->target.authority : &f->host;
  char text[WR_AUTHORITY_TEXT];
  struct wr_str host = {text, wr_authority_write(source, d->target.default_port, text)};
  if (f->has_host && d->target.has_authority) {
    char other_text[WR_AUTHORITY_TEXT];
    struct wr_str other = {other_text, 0};
    other.len = wr_authority_write(&f->host, d->target.default_port, other_text);
    if (!wr_str_eq(host, other)) {
      return bad(c, 400, c->line, "Host differs from the target's authority");
    }
  }
  head->host = wr_region_copy(region, host);
  return head->host.ptr ? WR_PARSER_DONE : bad(c, 431, c->at, "the host needs too much memory");
}

static enum wr_parser_status parse_request(struct cursor *c, struct draft *d,
                                           struct wr_region *region, struct wr_head *head)
{
  enum wr_parser_status status = skip_empty_line(c);
  if (status == WR_PARSER_DONE) status = read_request_line(c, d, head);
  if (status != WR_PARSER_DONE) return status;
  d->facts = (struct wr_framing_facts){.minor = head->minor, .is_request = true};
  status = read_fields(c, d);
  if (status != WR_PARSER_DONE) return status;
  head->path = d->target.path;
  head->query = d->target.query;
  const char *fault = wr_framing_settle_request(&d->facts, head);
  if (fault != NULL) return bad(c, 400, c->line, fault);
  status = settle_host(c, d, region, head);
  return status == WR_PARSER_DONE ? keep_fields(c, d, region, head) : status;
}

static enum wr_parser_status parse_response(struct cursor *c, struct draft *d,
                                            struct wr_region *region, struct wr_head *head)
{
  enum wr_parser_status status = read_status_line(c, head);
  if (status != WR_PARSER_DONE) return status;
  d->facts = (struct wr_framing_facts){.minor = head->minor};
  status = read_fields(c, d);
  return status == WR_PARSER_DONE ? keep_fields(c, d, region, head) : status;
}

enum wr_parser_status wr_parser_request(const char *bytes, size_t len,
                                        const struct wr_parser_limits *limits,
                                        struct wr_region *region, struct wr_head *head,
                                        size_t *used, struct wr_parser_error *error)
{
  if (len == 0) return WR_PARSER_MORE;
  struct cursor c = {
      .base = bytes, .end = bytes + len, .at = bytes, .limits = limits, .error = error};
  struct draft d;
  d.count = d.seen = 0;
  *head = (struct wr_head){0};
  enum wr_parser_status status = parse_request(&c, &d, region, head);
  if (status == WR_PARSER_DONE) *used = (size_t)(c.at - bytes);
  return status;
}

enum wr_parser_status wr_parser_response(const char *bytes, size_t len, struct wr_str method,
                                         const struct wr_parser_limits *limits,
                                         struct wr_region *region, struct wr_head *head,
                                         size_t *used, struct wr_parser_error *error)
{
  if (len == 0) return WR_PARSER_MORE;
  struct cursor c = {
      .base = bytes, .end = bytes + len, .at = bytes, .limits = limits, .error = error};
  struct draft d;
  d.count = d.seen = 0;
  *head = (struct wr_head){0};
  enum wr_parser_status status = parse_response(&c, &d, region, head);
  if (status == WR_PARSER_BAD) error->status = 502;
  if (status != WR_PARSER_DONE) return status;
  wr_framing_settle_response(&d.facts, method, head);
  *used = (size_t)(c.at - bytes);
  return WR_PARSER_DONE;
}
