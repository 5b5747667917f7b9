// CRC-32 as zlib has it, several times as fast where the processor multiplies without carry. No Node-API, no memory
// beyond its arguments.
#pragma once
#include <cstddef>
#include <cstdint>

namespace postern {

// Whether `crc32` may be called here, and is worth it; else zlib's serves.
bool has_fast_crc32();

// Goes on from `crc`, which is that of what came before; 0 at the beginning.
uint32_t crc32(const uint8_t *bytes, size_t length, uint32_t crc);

}  // namespace postern
