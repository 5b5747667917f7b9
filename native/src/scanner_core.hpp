// The scanner's core: bytes in, cuts and state out (src/scanner/scanner.ts says what they mean). No Node-API, no
// allocation, no exceptions, no memory beyond its arguments: so that libFuzzer runs it as it is.
#pragma once
#include <cstddef>
#include <cstdint>

#include "constants.h"

namespace postern {

// Reads bytes[from, to); returns the offset after the last byte read. The caller has checked from <= to.
using Scan = size_t (*)(const uint8_t *bytes, size_t from, size_t to, int32_t *state, int32_t *cuts);

// Relaxed canonicalisation of bytes[from, to) into out[0, room) (src/scanner/relaxer.ts); returns how far it got.
using Relax = size_t (*)(const uint8_t *bytes, size_t from, size_t to, int32_t *state, uint8_t *out, size_t room);

struct NamedScan {
  const char *name;
  Scan scan;
  Relax relax;
};
constexpr int SCANS_MAX = 3;

// Those that this processor runs, the fastest first; returns how many.
int available_scans(NamedScan scans[SCANS_MAX]);
NamedScan best_scan();

// Ends a BDAT message: returns what is still to come, as an INSERT.
int finish(int32_t *state);

}  // namespace postern
