#pragma once
/// Streaming JSON writer into a `wr_buf`: logs, metrics, the admin API and Lua tables.
///
/// Commas are its business, nesting is the caller's. Strings are escaped; bytes that are not UTF-8
/// become U+FFFD, so the output always parses. When the buffer is full, `failed` is set and the
/// rest is dropped.

#include "base/buf.h"

struct wr_json {
  struct wr_buf *out;
  bool failed;     ///< read-only: the buffer said no at least once
  bool need_comma; ///< private
};

/// Writes into `out`, which the caller owns.
void wr_json_init(struct wr_json *j, struct wr_buf *out);

void wr_json_object(struct wr_json *j);     ///< `{`
void wr_json_object_end(struct wr_json *j); ///< `}`
void wr_json_array(struct wr_json *j);      ///< `[`
void wr_json_array_end(struct wr_json *j);  ///< `]`

/// The name of the next value.
void wr_json_key(struct wr_json *j, const char *key);
void wr_json_key_str(struct wr_json *j, struct wr_str key);

/// One value.
void wr_json_str(struct wr_json *j, struct wr_str value);
void wr_json_cstr(struct wr_json *j, const char *value); ///< NULL writes null
void wr_json_int(struct wr_json *j, int64_t value);
void wr_json_uint(struct wr_json *j, uint64_t value);
void wr_json_num(struct wr_json *j, double value); ///< not finite writes null
void wr_json_bool(struct wr_json *j, bool value);
void wr_json_null(struct wr_json *j);

/// Key and value in one call.
void wr_json_field_str(struct wr_json *j, const char *key, struct wr_str value);
void wr_json_field_cstr(struct wr_json *j, const char *key, const char *value);
void wr_json_field_uint(struct wr_json *j, const char *key, uint64_t value);
void wr_json_field_num(struct wr_json *j, const char *key, double value);
void wr_json_field_bool(struct wr_json *j, const char *key, bool value);

/// The same for a key that needs no escapes, written without a look at it: for lines of which there
/// are as many as requests. An absent text is null.
void wr_json_member_str(struct wr_json *j, struct wr_str key, struct wr_str value);
void wr_json_member_uint(struct wr_json *j, struct wr_str key, uint64_t value);
void wr_json_member_num(struct wr_json *j, struct wr_str key, double value);
