/// llhttp in strict mode as an oracle for weir's parser: reads one message and tells what it saw.
///
/// Compiled by llhttp_oracle_spec.lua together with Debian's node-llhttp sources.

#include <llhttp.h>
#include <stdbool.h>
#include <string.h>

enum { TEXT_MAX = 65536 };

/// What llhttp made of the bytes. Texts that do not fit are cut.
struct oracle {
  int error; ///< llhttp_errno; a pause after the message or for an upgrade counts as HPE_OK
  bool has_head;
  bool is_complete;
  bool is_chunked;
  uint64_t content_length; ///< as announced; 0 without
  int minor;
  size_t url_len, fields_len, body_len;
  char url[TEXT_MAX];
  char fields[TEXT_MAX]; ///< "name\0value\0" for each
  char body[TEXT_MAX];
};

static int add(char *text, size_t *len, const char *at, size_t count)
{
  if (count > TEXT_MAX - *len) count = TEXT_MAX - *len;
  memcpy(text + *len, at, count);
  *len += count;
  return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
  struct oracle *o = p->data;
  return add(o->url, &o->url_len, at, len);
}

static int on_field(llhttp_t *p, const char *at, size_t len)
{
  struct oracle *o = p->data;
  return o->has_head ? 0 : add(o->fields, &o->fields_len, at, len);
}

static int on_field_end(llhttp_t *p)
{
  struct oracle *o = p->data;
  return o->has_head ? 0 : add(o->fields, &o->fields_len, "", 1);
}

static int on_head(llhttp_t *p)
{
  struct oracle *o = p->data;
  o->has_head = true;
  o->is_chunked = p->flags & F_CHUNKED;
  o->content_length = p->content_length;
  o->minor = p->http_minor;
  return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
  struct oracle *o = p->data;
  return add(o->body, &o->body_len, at, len);
}

static int on_complete(llhttp_t *p)
{
  struct oracle *o = p->data;
  o->is_complete = true;
  return HPE_PAUSED;
}

/// Reads the first message of `bytes`, in two pieces cut at `cut`. `early` is set when the head was
/// complete before the cut.
void oracle_read(struct oracle *o, bool is_response, const char *bytes, size_t len, size_t cut,
                 bool *early);

void oracle_read(struct oracle *o, bool is_response, const char *bytes, size_t len, size_t cut,
                 bool *early)
{
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_url = on_url;
  settings.on_header_field = on_field;
  settings.on_header_value = on_field;
  settings.on_header_field_complete = on_field_end;
  settings.on_header_value_complete = on_field_end;
  settings.on_headers_complete = on_head;
  settings.on_body = on_body;
  settings.on_message_complete = on_complete;
  llhttp_t parser;
  llhttp_init(&parser, is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
  parser.data = o;
  o->has_head = o->is_complete = o->is_chunked = false;
  o->content_length = o->url_len = o->fields_len = o->body_len = 0;
  llhttp_errno_t error = llhttp_execute(&parser, bytes, cut);
  *early = o->has_head;
  if (error == HPE_OK) error = llhttp_execute(&parser, bytes + cut, len - cut);
  bool is_pause = error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
  o->error = is_pause ? HPE_OK : (int)error;
}
