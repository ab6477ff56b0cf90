#pragma once
/// The files of a bundle: a main script, the modules it requires, and the data that it names
/// (certificates and keys), each read once.
///
/// The candidate process reads them from disk as the scripts ask (`is_reading`); what it read is
/// packed into a sealed memfd and is from then on all that any worker sees, so every worker of a
/// generation runs the same bytes. Which files there are is known only by running the scripts,
/// hence the reading there and not in the master. Paths are relative to the main script's folder.
/// Limits: WR_SOURCE_FILES_MAX files, WR_SOURCE_FILE_MAX bytes each, WR_SOURCE_BYTES_MAX together.

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "script/code.h"

enum {
  WR_SOURCE_FILES_MAX = 1024,
  WR_SOURCE_FILE_MAX = 4 * 1024 * 1024,
  WR_SOURCE_BYTES_MAX = 16 * 1024 * 1024,
};

struct wr_source_file {
  char *path;   ///< relative, NUL-terminated; data may have an absolute one
  bool is_data; ///< no script: cannot be required
  char *text;
  size_t len;
  struct wr_str compiled; ///< what the script's text compiles to, owned; empty: nobody has done it
};

struct wr_source {
  char *root;                   ///< folder of the main script
  struct wr_source_file *files; ///< files[0] is the main script
  size_t count;
  size_t bytes;
  uint64_t stamp;  ///< of the program that compiled its scripts (script/library.h); 0: none
  bool is_reading; ///< read-only: files may still be read from disk
  bool is_shadow;  ///< loaded to decide beside the live one, without effect
};

/// Reads the main script `path`. NULL with a set error that names the path and the reason.
struct wr_source *wr_source_open(const char *path, struct wr_error *error);

/// Frees it; NULL is fine.
void wr_source_free(struct wr_source *s);

/// The main script; valid as long as the source.
struct wr_code wr_source_main(const struct wr_source *s);

/// Finds module `name` ("a.b" is a/b.lua or a/b/init.lua); matches wr_script_find_fn with the
/// source as ctx. What is found stays valid as long as the source.
bool wr_source_find(void *source, struct wr_str name, struct wr_code *out);

/// The content of a data file, by a path that is absolute or below the root; valid as long as the
/// source. False with a set error that says why it cannot be read.
bool wr_source_data(void *source, const char *path, struct wr_str *text, struct wr_error *error);

/// Compiles its scripts, so that whoever unpacks them in the program of this stamp need not. One
/// that is too large stays as it is.
void wr_source_compile(struct wr_source *s, uint64_t stamp);

/// Where file number `i` is on the disk, to be freed by the caller.
char *wr_source_place(const struct wr_source *s, size_t i);

/// A hash of all paths and contents, in the order of reading.
uint64_t wr_source_hash(const struct wr_source *s);

/// Does the disk hold the same bytes still? False too when a file cannot be read any more.
bool wr_source_is_current(const struct wr_source *s);

/// A new memfd with everything, positioned at its start; or -1 with a set error.
int wr_source_pack(const struct wr_source *s, struct wr_error *error);

/// The opposite; `fd` stays the caller's. What was compiled comes along if it was under the same
/// `stamp`; 0: never. NULL with a set error for a memfd that is damaged.
struct wr_source *wr_source_unpack(int fd, uint64_t stamp, struct wr_error *error);

/// Appends the paths of the files that are in one of both only, or differ, to `out`, a line each.
void wr_source_differ(const struct wr_source *a, const struct wr_source *b, struct wr_buf *out);
