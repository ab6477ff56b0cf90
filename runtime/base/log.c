#include "base/log.h"

#include "base/check.h"
#include "base/stamp.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_PIECE = 32 * 1024 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void wr_log_init(struct wr_log *log, int fd, enum wr_log_level level, uint64_t (*wall_ns)(void))
{
  struct stat about;
  *log = (struct wr_log){.fd = fd, .level = level, .wall_ns = wall_ns, .worker = -1};
  log->is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  log->piece = log->is_file ? FILE_PIECE : PIPE_BUF;
  wr_buf_init(&log->pending, WR_LOG_PENDING_MAX);
  wr_buf_init(&log->line, WR_LOG_LINE_MAX);
}

void wr_log_fini(struct wr_log *log)
{
  wr_log_flush(log);
  wr_buf_fini(&log->pending);
  wr_buf_fini(&log->line);
}

// The text of a second is that of the lines before, but for its milliseconds.
static const char *stamp_of(struct wr_log *log)
{
  uint64_t now_ns = log->wall_ns();
  uint64_t second = now_ns / 1000000000u;
  if (second != log->stamp_second) {
    wr_stamp_text(now_ns, log->stamp);
    log->stamp_second = second;
    return log->stamp;
  }
  unsigned ms = (unsigned)(now_ns / 1000000u % 1000u);
  char *digits = log->stamp + sizeof("2026-11-30T00:00:00.") - 1;
  digits[0] = (char)('0' + ms / 100);
  digits[1] = (char)('0' + ms / 10 % 10);
  digits[2] = (char)('0' + ms % 10);
  return log->stamp;
}

struct wr_json *wr_log_begin(struct wr_log *log, enum wr_log_level level, const char *event)
{
  log->is_written = level >= log->level;
  log->is_tapped = log->tap != NULL && log->tap->wants(log->tap->ctx, level, event);
  if (!log->is_written && !log->is_tapped) return NULL;
  log->event = event;
  log->is_urgent |= log->is_written && level >= WR_LOG_WARN;
  wr_buf_clear(&log->line);
  wr_json_init(&log->json, &log->line);
  wr_json_object(&log->json);
  wr_json_member_str(&log->json, WR_STR("timestamp"), wr_str_of(stamp_of(log)));
  wr_json_member_str(&log->json, WR_STR("level"), wr_str_of(level_names[level]));
  wr_json_member_str(&log->json, WR_STR("event"), wr_str_of(event));
  if (log->worker >= 0) {
    wr_json_member_uint(&log->json, WR_STR("worker"), (uint64_t)log->worker);
  }
  return &log->json;
}

void wr_log_end(struct wr_log *log)
{
  wr_json_object_end(&log->json);
  if (log->json.failed) {
    log->dropped++;
    return;
  }
  if (log->is_tapped) log->tap->take(log->tap->ctx, log->event, wr_buf_str(&log->line));
  if (!log->is_written) return;
  size_t before = log->pending.len;
  if (before == 0) log->waiting_ns = log->wall_ns();
  if (wr_log_format_line(log->format, wr_buf_str(&log->line), &log->pending) &&
      wr_buf_append(&log->pending, "\n", 1)) {
    return;
  }
  log->pending.len = before;
  log->dropped++;
}

void wr_log_text(struct wr_log *log, enum wr_log_level level, const char *event, const char *format,
                 ...)
{
  struct wr_json *j = wr_log_begin(log, level, event);
  if (j == NULL) return;
  char text[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  wr_json_field_cstr(j, "message", text);
  wr_log_end(log);
}

// Length of the longest run of whole lines within `limit` bytes; a single longer line counts whole.
static size_t whole_lines(struct wr_str s, size_t limit)
{
  if (s.len <= limit) return s.len;
  const char *end = memrchr(s.ptr, '\n', limit);
  if (end == NULL) end = memchr(s.ptr, '\n', s.len);
  WR_CHECK(end != NULL);
  return (size_t)(end - s.ptr) + 1;
}

static uint64_t lines_in(const char *at, size_t len)
{
  uint64_t count = 0;
  for (const char *end = at + len; at < end; at++) count += *at == '\n';
  return count;
}

static bool is_ready(const struct wr_log *log)
{
  struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
  return log->is_file || poll(&ready, 1, 0) > 0;
}

void wr_log_flush(struct wr_log *log)
{
  while (log->pending.len > 0 && is_ready(log)) {
    // A pipe that polls writable takes PIPE_BUF bytes at once, and never mixes them with others'.
    size_t len = whole_lines(wr_buf_str(&log->pending), log->piece);
    ssize_t wrote = write(log->fd, wr_buf_head(&log->pending), len);
    if (wrote <= 0) {
      // The reader is gone, or the disk is full: keeping the lines would only delay their loss.
      log->dropped += lines_in(wr_buf_head(&log->pending), len);
      wrote = (ssize_t)len;
    }
    wr_buf_drop(&log->pending, (size_t)wrote);
  }
}

const char *wr_log_level_name(enum wr_log_level level)
{
  return level < WR_LOG_NOTHING ? level_names[level] : "nothing";
}

void wr_log_turn(struct wr_log *log)
{
  if (log->pending.len == 0) return;
  bool is_full = log->pending.len >= log->piece;
  if (!log->is_urgent && !is_full && log->wall_ns() - log->waiting_ns < WR_LOG_DELAY_NS) return;
  wr_log_flush(log);
  log->is_urgent = false;
}

bool wr_log_level_find(struct wr_str name, enum wr_log_level *out)
{
  for (size_t i = 0; i < WR_COUNT(level_names); i++) {
    if (!wr_str_eq(name, wr_str_of(level_names[i]))) continue;
    *out = (enum wr_log_level)i;
    return true;
  }
  return false;
}
