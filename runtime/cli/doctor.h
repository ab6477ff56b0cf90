#pragma once
/// What `weir doctor` finds: a list of checks, each with what to do about it.

#include "candidate.h"
#include "cli/options.h"

enum {
  WR_DOCTOR_FINDINGS = WR_CANDIDATE_LISTENS_MAX + 32, ///< an address each, and the others
  WR_DOCTOR_TEXT = 192,
};

enum wr_doctor_verdict {
  WR_DOCTOR_OK,
  WR_DOCTOR_WARN, ///< weir runs, but not as well as it could
  WR_DOCTOR_FAIL, ///< weir does not run, or not for long
};

struct wr_doctor_finding {
  enum wr_doctor_verdict verdict;
  const char *check;         ///< constant: "descriptors"
  const char *next;          ///< constant: what to do; NULL: nothing
  char text[WR_DOCTOR_TEXT]; ///< what was found
};

struct wr_doctor {
  const struct wr_options *options;
  struct wr_doctor_finding findings[WR_DOCTOR_FINDINGS];
  size_t count;
};

/// Adds a finding.
__attribute__((format(printf, 4, 5))) void wr_doctor_tell(struct wr_doctor *d,
                                                          enum wr_doctor_verdict verdict,
                                                          const char *check, const char *format,
                                                          ...);

/// What to do about the last finding, constant text; nothing to do when it is fine.
void wr_doctor_advise(struct wr_doctor *d, const char *next);

/// The libraries: versions, and whether they do what weir needs of them (cli/doctor_libraries.c).
void wr_doctor_libraries(struct wr_doctor *d);

/// The machine: limits, memory, clock, names, sandbox (cli/doctor_machine.c).
void wr_doctor_machine(struct wr_doctor *d);
