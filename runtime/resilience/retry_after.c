#include "resilience/retry_after.h"

#include "base/check.h"
#include "base/duration.h"

struct date {
  int year;
  int month; // 0 is January
  int day;
  int hour;
  int minute;
  int second;
};

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days_short[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const days_long[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

// Pieces: each takes itself off the front of `*s`, or fails

static bool take_char(struct wr_str *s, char c)
{
  if (s->len == 0 || s->ptr[0] != c) return false;
  s->ptr++;
  s->len--;
  return true;
}

static bool take_text(struct wr_str *s, const char *text)
{
  struct wr_str want = wr_str_of(text);
  if (s->len < want.len || !wr_str_eq((struct wr_str){s->ptr, want.len}, want)) return false;
  s->ptr += want.len;
  s->len -= want.len;
  return true;
}

static bool take_name(struct wr_str *s, const char *const *names, int count, int *index)
{
  for (int i = 0; i < count; i++) {
    if (!take_text(s, names[i])) continue;
    *index = i;
    return true;
  }
  return false;
}

// Exactly `digits` digits.
static bool take_number(struct wr_str *s, int digits, int *out)
{
  int value = 0;
  if (s->len < (size_t)digits) return false;
  for (int i = 0; i < digits; i++) {
    char c = s->ptr[i];
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  s->ptr += digits;
  s->len -= (size_t)digits;
  *out = value;
  return true;
}

static bool take_time(struct wr_str *s, struct date *d)
{
  return take_number(s, 2, &d->hour) && take_char(s, ':') && take_number(s, 2, &d->minute) &&
         take_char(s, ':') && take_number(s, 2, &d->second);
}

static bool take_month(struct wr_str *s, struct date *d)
{
  return take_name(s, months, WR_COUNT(months), &d->month);
}

// The three forms of RFC 9110 §5.6.7

// Sun, 06 Nov 1994 08:49:37 GMT
static bool read_imf(struct wr_str s, struct date *d)
{
  int day;
  return take_name(&s, days_short, WR_COUNT(days_short), &day) && take_text(&s, ", ") &&
         take_number(&s, 2, &d->day) && take_char(&s, ' ') && take_month(&s, d) &&
         take_char(&s, ' ') && take_number(&s, 4, &d->year) && take_char(&s, ' ') &&
         take_time(&s, d) && take_text(&s, " GMT") && s.len == 0;
}

static int year_of(int64_t unix_seconds)
{
  return (int)(1970 + unix_seconds / 31556952); // mean year: good enough for a rule of 50 years
}

// Sunday, 06-Nov-94 08:49:37 GMT
static bool read_rfc850(struct wr_str s, int64_t wall_seconds, struct date *d)
{
  int day;
  bool is_read = take_name(&s, days_long, WR_COUNT(days_long), &day) && take_text(&s, ", ") &&
                 take_number(&s, 2, &d->day) && take_char(&s, '-') && take_month(&s, d) &&
                 take_char(&s, '-') && take_number(&s, 2, &d->year) && take_char(&s, ' ') &&
                 take_time(&s, d) && take_text(&s, " GMT") && s.len == 0;
  if (!is_read) return false;
  int now = year_of(wall_seconds);
  d->year += now - now % 100;
  if (d->year > now + 50) d->year -= 100;
  if (d->year <= now - 50) d->year += 100;
  return true;
}

// Sun Nov  6 08:49:37 1994
static bool read_asctime(struct wr_str s, struct date *d)
{
  int day;
  if (!take_name(&s, days_short, WR_COUNT(days_short), &day) || !take_char(&s, ' ') ||
      !take_month(&s, d) || !take_char(&s, ' ')) {
    return false;
  }
  if (!(take_char(&s, ' ') ? take_number(&s, 1, &d->day) : take_number(&s, 2, &d->day)))
    return false;
  return take_char(&s, ' ') && take_time(&s, d) && take_char(&s, ' ') &&
         take_number(&s, 4, &d->year) && s.len == 0;
}

// Calendar

static bool is_leap(int year)
{
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_valid(const struct date *d)
{
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int length = lengths[d->month] + (d->month == 1 && is_leap(d->year));
  // 60 is a leap second.
  return d->day >= 1 && d->day <= length && d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

// Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March.
static int64_t days_of(const struct date *d)
{
  int64_t year = d->year - (d->month < 2);
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t month_from_march = (d->month + 10) % 12;
  int64_t day_of_year = (153 * month_from_march + 2) / 5 + d->day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

bool wr_retry_after_date(struct wr_str text, int64_t wall_seconds, int64_t *unix_seconds)
{
  struct date d = {0};
  if (!read_imf(text, &d) && !read_rfc850(text, wall_seconds, &d) && !read_asctime(text, &d)) {
    return false;
  }
  if (!is_valid(&d)) return false;
  *unix_seconds = days_of(&d) * 86400 + d.hour * 3600 + d.minute * 60 + d.second;
  return true;
}

// Field

static uint64_t seconds_to_ns(uint64_t seconds)
{
  uint64_t max = WR_DURATION_MAX / WR_SECOND;
  return (seconds < max ? seconds : max) * WR_SECOND;
}

static bool read_delta(struct wr_str text, uint64_t *seconds)
{
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c < '0' || c > '9') return false;
    if (value < UINT64_MAX / 100) value = value * 10 + (uint64_t)(c - '0');
  }
  *seconds = value;
  return text.len > 0;
}

bool wr_retry_after_parse(struct wr_str text, int64_t wall_seconds, uint64_t *ns)
{
  struct wr_str s = wr_str_trim(text);
  uint64_t seconds = 0;
  if (!read_delta(s, &seconds)) {
    int64_t at = 0;
    if (!wr_retry_after_date(s, wall_seconds, &at)) return false;
    seconds = at > wall_seconds ? (uint64_t)(at - wall_seconds) : 0;
  }
  *ns = seconds_to_ns(seconds);
  return true;
}
