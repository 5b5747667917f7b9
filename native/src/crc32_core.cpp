// CRC-32 (the one of zlib and Ethernet, reflected) by carry-less multiplication: a block of the message is replaced by a
// shorter one with the same remainder, 64 bytes at a time, and what is left goes through a table. The constants are
// computed from the polynomial while this is compiled.
#include "crc32_core.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace postern {
namespace {

// x^32 + x^26 + … + 1, its bits in reverse order: bit 31 is x^0.
constexpr uint32_t POLYNOMIAL = 0xedb88320;

struct Table {
  uint32_t at[256];
  constexpr Table() : at{} {
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t crc = byte;
      for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
      at[byte] = crc;
    }
  }
};
constexpr Table TABLE;

uint32_t by_table(const uint8_t *bytes, size_t length, uint32_t crc) {
  for (size_t at = 0; at < length; at++) crc = crc >> 8 ^ TABLE.at[(crc ^ bytes[at]) & 0xff];
  return crc;
}

#if defined(__x86_64__)

// x^power mod P, reversed like P, one bit higher: what a product of two reversed numbers lacks.
constexpr uint64_t power_of_x(int power) {
  uint32_t value = 1u << 31;
  for (int at = 0; at < power; at++) value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
  return static_cast<uint64_t>(value) << 1;
}

#define FOLD_TARGET __attribute__((target("pclmul,sse4.1")))

// A block moves `bytes` bytes to the right: its lower half (the first 8 bytes) by 64 bits more than its upper one.
template <int bytes>
FOLD_TARGET inline __m128i moved(__m128i block) {
  const __m128i by = _mm_set_epi64x(static_cast<long long>(power_of_x(8 * bytes - 32)),
                                    static_cast<long long>(power_of_x(8 * bytes + 32)));
  return _mm_xor_si128(_mm_clmulepi64_si128(block, by, 0x00), _mm_clmulepi64_si128(block, by, 0x11));
}

FOLD_TARGET inline __m128i load(const uint8_t *bytes) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes));
}

FOLD_TARGET uint32_t by_folding(const uint8_t *bytes, size_t length, uint32_t crc) {
  __m128i a = _mm_xor_si128(load(bytes), _mm_cvtsi32_si128(static_cast<int>(crc)));
  __m128i b = load(bytes + 16);
  __m128i c = load(bytes + 32);
  __m128i d = load(bytes + 48);
  size_t at = 64;
  for (; at + 64 <= length; at += 64) {
    a = _mm_xor_si128(moved<64>(a), load(bytes + at));
    b = _mm_xor_si128(moved<64>(b), load(bytes + at + 16));
    c = _mm_xor_si128(moved<64>(c), load(bytes + at + 32));
    d = _mm_xor_si128(moved<64>(d), load(bytes + at + 48));
  }
  b = _mm_xor_si128(moved<16>(a), b);
  c = _mm_xor_si128(moved<16>(b), c);
  d = _mm_xor_si128(moved<16>(c), d);
  for (; at + 16 <= length; at += 16) d = _mm_xor_si128(moved<16>(d), load(bytes + at));
  uint8_t rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i *>(rest), d);
  return by_table(bytes + at, length - at, by_table(rest, sizeof rest, 0));
}

#endif

}  // namespace

bool has_fast_crc32() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#else
  return false;
#endif
}

uint32_t crc32(const uint8_t *bytes, size_t length, uint32_t crc) {
#if defined(__x86_64__)
  if (length >= 64) return ~by_folding(bytes, length, ~crc);
#endif
  return ~by_table(bytes, length, ~crc);
}

}  // namespace postern
