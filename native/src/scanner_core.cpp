// One scanner a set of instructions, and the choice between them.
#include "scanner_core.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace postern {
namespace {

// Bit n speaks of byte n of a block.
struct Masks {
  uint64_t cr;
  uint64_t lf;
  uint64_t dot;
  uint64_t nul;
  uint64_t high;
};

struct Blanks {
  uint64_t cr;
  uint64_t lf;
  uint64_t space;
  uint64_t tab;
};

#define SCAN_NAMESPACE scalar
#define SCAN_TARGET
#include "scanner_body.hpp"
#include "relaxer_body.hpp"
#undef SCAN_NAMESPACE
#undef SCAN_TARGET

#if defined(__x86_64__)

struct Sse2Block {
  static inline Masks load(const uint8_t *bytes) {
    Masks masks{0, 0, 0, 0, 0};
    for (int part = 0; part < 4; part++) {
      const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + 16 * part));
      const int shift = 16 * part;
      masks.cr |= equal(chunk, '\r') << shift;
      masks.lf |= equal(chunk, '\n') << shift;
      masks.dot |= equal(chunk, '.') << shift;
      masks.nul |= equal(chunk, 0) << shift;
      masks.high |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(chunk))) << shift;
    }
    return masks;
  }
  static inline Blanks blanks(const uint8_t *bytes) {
    Blanks blanks{0, 0, 0, 0};
    for (int part = 0; part < 4; part++) {
      const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + 16 * part));
      const int shift = 16 * part;
      blanks.cr |= equal(chunk, '\r') << shift;
      blanks.lf |= equal(chunk, '\n') << shift;
      blanks.space |= equal(chunk, ' ') << shift;
      blanks.tab |= equal(chunk, '\t') << shift;
    }
    return blanks;
  }
  static inline uint64_t equal(__m128i chunk, char byte) {
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(chunk, _mm_set1_epi8(byte))));
  }
};

#define SCAN_NAMESPACE sse2
#define SCAN_TARGET
#define SCAN_BLOCK Sse2Block
#include "scanner_body.hpp"
#include "relaxer_body.hpp"
#undef SCAN_NAMESPACE
#undef SCAN_TARGET
#undef SCAN_BLOCK

// No lzcnt: where a processor lacks it, it silently means something else, and not every compiler can ask for it.
#define AVX2_TARGET __attribute__((target("avx2,bmi")))

struct Avx2Block {
  AVX2_TARGET static inline Masks load(const uint8_t *bytes) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes + 32));
    return {equal(low, high, '\r'), equal(low, high, '\n'), equal(low, high, '.'), equal(low, high, 0), bits(low, high)};
  }
  AVX2_TARGET static inline Blanks blanks(const uint8_t *bytes) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes + 32));
    return {equal(low, high, '\r'), equal(low, high, '\n'), equal(low, high, ' '), equal(low, high, '\t')};
  }
  AVX2_TARGET static inline uint64_t equal(__m256i low, __m256i high, char byte) {
    const __m256i all = _mm256_set1_epi8(byte);
    return bits(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
  }
  AVX2_TARGET static inline uint64_t bits(__m256i low, __m256i high) {
    const uint64_t first = static_cast<uint32_t>(_mm256_movemask_epi8(low));
    const uint64_t second = static_cast<uint32_t>(_mm256_movemask_epi8(high));
    return first | second << 32;
  }
};

#define SCAN_NAMESPACE avx2
#define SCAN_TARGET AVX2_TARGET
#define SCAN_BLOCK Avx2Block
#include "scanner_body.hpp"
#include "relaxer_body.hpp"
#undef SCAN_NAMESPACE
#undef SCAN_TARGET
#undef SCAN_BLOCK

#elif defined(__aarch64__)

struct NeonBlock {
  static inline Masks load(const uint8_t *bytes) {
    const uint8x16x4_t block = vld1q_u8_x4(bytes);
    return {equal(block, '\r'), equal(block, '\n'), equal(block, '.'), equal(block, 0), above(block)};
  }
  static inline Blanks blanks(const uint8_t *bytes) {
    const uint8x16x4_t block = vld1q_u8_x4(bytes);
    return {equal(block, '\r'), equal(block, '\n'), equal(block, ' '), equal(block, '\t')};
  }
  static inline uint64_t equal(const uint8x16x4_t &block, uint8_t byte) {
    const uint8x16_t all = vdupq_n_u8(byte);
    return bits(vceqq_u8(block.val[0], all), vceqq_u8(block.val[1], all), vceqq_u8(block.val[2], all),
                vceqq_u8(block.val[3], all));
  }
  static inline uint64_t above(const uint8x16x4_t &block) {
    const uint8x16_t all = vdupq_n_u8(127);
    return bits(vcgtq_u8(block.val[0], all), vcgtq_u8(block.val[1], all), vcgtq_u8(block.val[2], all),
                vcgtq_u8(block.val[3], all));
  }
  // Each lane keeps the bit of its place in its half; three pairwise sums bring eight lanes into a byte.
  static inline uint64_t bits(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
    static const uint8_t PLACES[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t places = vld1q_u8(PLACES);
    const uint8x16_t ab = vpaddq_u8(vandq_u8(a, places), vandq_u8(b, places));
    const uint8x16_t cd = vpaddq_u8(vandq_u8(c, places), vandq_u8(d, places));
    const uint8x16_t abcd = vpaddq_u8(ab, cd);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
  }
};

#define SCAN_NAMESPACE neon
#define SCAN_TARGET
#define SCAN_BLOCK NeonBlock
#include "scanner_body.hpp"
#include "relaxer_body.hpp"
#undef SCAN_NAMESPACE
#undef SCAN_TARGET
#undef SCAN_BLOCK

#endif

}  // namespace

int available_scans(NamedScan scans[SCANS_MAX]) {
  int count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")) scans[count++] = {"avx2", avx2::scan, avx2::relax};
  scans[count++] = {"sse2", sse2::scan, sse2::relax};
#elif defined(__aarch64__)
  scans[count++] = {"neon", neon::scan, neon::relax};
#endif
  scans[count++] = {"scalar", scalar::scan, scalar::relax};
  return count;
}

NamedScan best_scan() {
  NamedScan scans[SCANS_MAX];
  available_scans(scans);
  return scans[0];
}

int finish(int32_t *state) {
  if (state[STATE_PHASE] != scalar::CR_HELD) return INSERT_NOTHING;
  scalar::Scanner scanner{nullptr, 0, 0, state, nullptr, 0};
  state[STATE_FLAGS] |= FLAG_BARE_CR;
  state[STATE_PHASE] = scalar::LINE;
  scanner.end_line();
  return INSERT_CRLF;
}

}  // namespace postern
