#pragma once
/// Writes OTLP messages once for both of their forms: protobuf, and JSON with OTLP's own rules (ids
/// in hexadecimal, 64-bit integers as text, enums as numbers).
///
/// A field is given by its number and its JSON name, as in opentelemetry-proto. What of proto3's
/// defaults is left out is the caller's business.

#include "base/json.h"
#include "base/protobuf.h"

struct wr_otlp_writer {
  bool is_json;
  struct wr_protobuf protobuf; // private
  struct wr_json json;         // private
  uint32_t attributes;         // private: the field of the list that is open
};

/// Appends to `out`, which the caller owns.
void wr_otlp_writer_init(struct wr_otlp_writer *w, struct wr_buf *out, bool is_json);

/// Did everything fit?
bool wr_otlp_writer_is_whole(const struct wr_otlp_writer *w);

/// A message in a field that is not repeated.
void wr_otlp_writer_message(struct wr_otlp_writer *w, uint32_t field, const char *name);
void wr_otlp_writer_message_end(struct wr_otlp_writer *w);

/// A repeated field: messages between `list` and `list_end`, each with the list's number.
void wr_otlp_writer_list(struct wr_otlp_writer *w, const char *name);
void wr_otlp_writer_item(struct wr_otlp_writer *w, uint32_t field);
void wr_otlp_writer_item_end(struct wr_otlp_writer *w);
void wr_otlp_writer_list_end(struct wr_otlp_writer *w);

/// One value.
void wr_otlp_writer_text(struct wr_otlp_writer *w, uint32_t field, const char *name,
                         struct wr_str value);
/// A trace or span id, given in hexadecimal.
void wr_otlp_writer_id(struct wr_otlp_writer *w, uint32_t field, const char *name,
                       const char *digits);
/// Enums and other small numbers.
void wr_otlp_writer_small(struct wr_otlp_writer *w, uint32_t field, const char *name,
                          uint32_t value);
/// An sint32.
void wr_otlp_writer_signed(struct wr_otlp_writer *w, uint32_t field, const char *name,
                           int32_t value);
void wr_otlp_writer_fixed32(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            uint32_t value);
void wr_otlp_writer_fixed64(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            uint64_t value);
void wr_otlp_writer_double(struct wr_otlp_writer *w, uint32_t field, const char *name,
                           double value);
void wr_otlp_writer_bool(struct wr_otlp_writer *w, uint32_t field, const char *name, bool value);
void wr_otlp_writer_fixed64s(struct wr_otlp_writer *w, uint32_t field, const char *name,
                             const uint64_t *values, size_t count);
/// The same as uint64, which takes fewer bytes for small ones.
void wr_otlp_writer_counts(struct wr_otlp_writer *w, uint32_t field, const char *name,
                           const uint64_t *values, size_t count);
void wr_otlp_writer_doubles(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            const double *values, size_t count);

/// The message's attributes, in `field`: between these two calls, and there alone, the ones below.
void wr_otlp_writer_attributes(struct wr_otlp_writer *w, uint32_t field);
void wr_otlp_writer_attributes_end(struct wr_otlp_writer *w);
void wr_otlp_writer_attribute(struct wr_otlp_writer *w, struct wr_str key, struct wr_str value);
void wr_otlp_writer_attribute_int(struct wr_otlp_writer *w, const char *key, int64_t value);
void wr_otlp_writer_attribute_double(struct wr_otlp_writer *w, const char *key, double value);
void wr_otlp_writer_attribute_bool(struct wr_otlp_writer *w, const char *key, bool value);
