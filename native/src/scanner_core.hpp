// The scanner's core: bytes in, cuts and state out (src/scanner/scanner.ts says what they mean). No Node-API, no
// allocation, no exceptions, no memory beyond its arguments: so that libFuzzer runs it as it is.
#pragma once
#include <cstddef>
#include <cstdint>

#include "constants.h"

namespace postern {

// Reads bytes[from, to); returns the offset after the last byte read. The caller has checked from <= to.
using Scan = size_t (*)(const uint8_t *bytes, size_t from, size_t to, int32_t *state, int32_t *cuts);

size_t scan_scalar(const uint8_t *bytes, size_t from, size_t to, int32_t *state, int32_t *cuts);

// The fastest that this processor runs, and its name.
Scan choose_scan(const char **name);

// Every one that this processor runs, for the fuzzer: ends with null.
struct NamedScan {
  const char *name;
  Scan scan;
};
const NamedScan *available_scans();

int finish(int32_t *state);

}  // namespace postern
