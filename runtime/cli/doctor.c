#include "cli/doctor.h"

#include "base/check.h"
#include "base/json.h"
#include "cli/admin_address.h"
#include "cli/client.h"
#include "cli/style.h"
#include "listeners.h"
#include "process.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 2000, TEXT_MAX = 256 * 1024, STATUS_OK = 200, STATUS_NOT_READY = 503 };

void wr_doctor_tell(struct wr_doctor *d, enum wr_doctor_verdict verdict, const char *check,
                    const char *format, ...)
{
  WR_CHECK(d->count < WR_DOCTOR_FINDINGS);
  struct wr_doctor_finding *f = &d->findings[d->count++];
  *f = (struct wr_doctor_finding){.verdict = verdict, .check = check};
  va_list args;
  va_start(args, format);
  vsnprintf(f->text, sizeof(f->text), format, args);
  va_end(args);
}

void wr_doctor_advise(struct wr_doctor *d, const char *next)
{
  struct wr_doctor_finding *last = &d->findings[d->count - 1];
  if (last->verdict != WR_DOCTOR_OK) last->next = next;
}

// Is there a weir? One that was not started yet is no fault.
static bool look_at_admin(struct wr_doctor *d)
{
  char room[WR_ADMIN_ADDRESS_MAX];
  const char *address = wr_admin_address_default(wr_options_get(d->options, "admin"), room);
  struct wr_client_request request = {.method = "GET", .path = "/readyz", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  struct wr_error error;
  int os_error;
  bool has_answered = wr_client_send(address, &request, &reply, &error, &os_error);
  wr_buf_fini(&reply.body);
  if (!has_answered) {
    wr_doctor_tell(d, WR_DOCTOR_WARN, "admin", "no weir answers at %s: %s", address,
                   os_error ? strerror(os_error) : error.message);
    wr_doctor_advise(d, "start one with 'weir run FILE', or name its address with --admin");
  } else if (reply.status == STATUS_OK) {
    wr_doctor_tell(d, WR_DOCTOR_OK, "admin", "weir answers at %s and is ready", address);
  } else if (reply.status == STATUS_NOT_READY) {
    wr_doctor_tell(d, WR_DOCTOR_WARN, "admin", "weir answers at %s and is not ready", address);
    wr_doctor_advise(d, "see weir status");
  } else {
    wr_doctor_tell(d, WR_DOCTOR_FAIL, "admin", "what answers at %s (status %ld) is not weir",
                   address, reply.status);
    wr_doctor_advise(d, "name weir's address with --admin");
  }
  return has_answered && reply.status == STATUS_OK;
}

// An address that is taken is as it should be when a weir runs.
static void look_at_address(struct wr_doctor *d, const char *address, bool has_weir)
{
  struct wr_error error;
  bool is_file = address[0] == '/' || strncmp(address, "unix:", 5) == 0;
  if (is_file) return; // binding it would replace the file
  struct wr_listener *l = wr_listener_open(address, 1, 0, &error);
  if (l != NULL) {
    wr_listener_close(l);
    wr_doctor_tell(d, WR_DOCTOR_OK, "address", "%s is free", address);
  } else if (has_weir && strstr(error.message, strerror(EADDRINUSE)) != NULL) {
    wr_doctor_tell(d, WR_DOCTOR_OK, "address", "%s is taken, and a weir runs", address);
  } else {
    wr_doctor_tell(d, WR_DOCTOR_FAIL, "address", "%s", error.message);
    wr_doctor_advise(d, "see who has it: ss -ltnp; or listen on another address");
  }
}

static void look_at_policy(struct wr_doctor *d, const char *file, bool has_weir)
{
  struct wr_settings settings;
  struct wr_candidate_report report;
  wr_process_defaults(&settings);
  settings.log_level = WR_LOG_ERROR;
  settings.file = file;
  wr_process_check(&settings, &report, NULL);
  if (!report.ok) {
    wr_doctor_tell(d, WR_DOCTOR_FAIL, "policy", "%s does not load: %s", file, report.error.message);
    wr_doctor_advise(d, "weir check FILE shows the place");
    return;
  }
  wr_doctor_tell(d, WR_DOCTOR_OK, "policy", "%s loads: %u routes", file, report.routes);
  for (uint32_t i = 0; i < report.listen_count; i++) {
    look_at_address(d, report.listens[i].address, has_weir);
  }
}

static const char *const words[] = {"ok", "warn", "fail"};

static void print_text(const struct wr_doctor *d)
{
  struct wr_style style = wr_style_of(stdout);
  const char *colours[] = {style.green, style.yellow, style.red};
  for (size_t i = 0; i < d->count; i++) {
    const struct wr_doctor_finding *f = &d->findings[i];
    printf("%s%-4s%s  %-11s  ", colours[f->verdict], words[f->verdict], style.reset, f->check);
    wr_style_text(stdout, f->text);
    putchar('\n');
    if (f->next != NULL) printf("                   -> %s\n", f->next);
  }
}

static void print_json(const struct wr_doctor *d)
{
  struct wr_buf text;
  struct wr_json j;
  wr_buf_init(&text, TEXT_MAX);
  wr_json_init(&j, &text);
  wr_json_array(&j);
  for (size_t i = 0; i < d->count; i++) {
    wr_json_object(&j);
    wr_json_field_cstr(&j, "check", d->findings[i].check);
    wr_json_field_cstr(&j, "result", words[d->findings[i].verdict]);
    wr_json_field_cstr(&j, "found", d->findings[i].text);
    wr_json_field_cstr(&j, "next", d->findings[i].next);
    wr_json_object_end(&j);
  }
  wr_json_array_end(&j);
  WR_CHECK(!j.failed);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&text)));
  wr_buf_fini(&text);
}

static bool has_failure(const struct wr_doctor *d)
{
  for (size_t i = 0; i < d->count; i++) {
    if (d->findings[i].verdict == WR_DOCTOR_FAIL) return true;
  }
  return false;
}

int wr_cli_doctor(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct wr_doctor d = {.options = &o};
  wr_doctor_libraries(&d);
  wr_doctor_machine(&d);
  bool has_weir = look_at_admin(&d);
  if (o.operand_count > 0) look_at_policy(&d, o.operands[0], has_weir);
  wr_options_get(&o, "json") != NULL ? print_json(&d) : print_text(&d);
  return has_failure(&d) ? WR_EXIT_FAILED : WR_EXIT_OK;
}
