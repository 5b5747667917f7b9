// Relaxed canonicalisation (src/scanner/relaxer.ts), written once over a block of 64 bytes that knows where its line ends
// and blanks are. Included by scanner_core.cpp for each instruction set, as scanner_body.hpp is.
//
// The slow path is that of src/scanner/relaxer_twin.ts. The fast path copies what comes before the first event of a block:
// a byte that is not simply kept, or whose fate the next block decides.

namespace SCAN_NAMESPACE {

struct Relaxing {
  const uint8_t *bytes;
  size_t to;
  uint8_t *out;
  size_t room;
  int32_t lines;
  int32_t held;
  size_t written;

  // What one byte may write beside line ends: a blank, a CR, itself.
  static constexpr size_t ROOM = 4;

  // Line ends that were held back; false where `out` is full.
  SCAN_TARGET inline bool flush_lines() {
    for (; lines > 0 && written + 2 + ROOM <= room; lines--) {
      out[written++] = '\r';
      out[written++] = '\n';
    }
    return lines <= 0;
  }

#ifdef SCAN_BLOCK
  // Nothing but line ends is held back. Returns how many bytes it took, 0 where the block begins with an event.
  SCAN_TARGET inline size_t block(size_t at) {
    const Blanks masks = SCAN_BLOCK::blanks(bytes + at);
    const uint64_t blank = masks.space | masks.tab;
    const uint64_t paired_cr = masks.cr & (masks.lf >> 1);
    const uint64_t events = masks.tab | (blank & (blank >> 1))            // a tab, a run
                            | (blank & (masks.cr >> 1))                   // the end of a line
                            | (masks.cr ^ paired_cr)                      // bare, or the last of the block
                            | (masks.lf & ~(masks.cr << 1))               // bare
                            | (paired_cr & (masks.lf << 1))               // an empty line
                            | (blank & (1ull << 63));                     // perhaps one of the above
    size_t length = events == 0 ? 64 : static_cast<size_t>(__builtin_ctzll(events));
    // Another line end behind those that are held back: an empty line.
    if ((masks.cr & 1) != 0 && lines > 0) return 0;
    if (length == 0 || !flush_lines() || written + 64 > room) return 0;
    __builtin_memcpy(out + written, bytes + at, 64);
    const bool ends = ((masks.lf >> (length - 1)) & 1) != 0;
    written += ends ? length - 2 : length;
    if (ends) lines = 1;
    return length;
  }
#endif

  // To `to`, or to where `out` is full.
  SCAN_TARGET size_t run(size_t at) {
    while (at < to) {
#ifdef SCAN_BLOCK
      if (held == 0) {
        while (to - at >= 64 && room - written >= 64 + 2) {
          const size_t taken = block(at);
          if (taken == 0) break;
          at += taken;
        }
        if (at == to) break;
      }
#endif
      const uint8_t byte = bytes[at];
      if (byte == '\n' && (held & HELD_CR) != 0) {
        lines = static_cast<int32_t>(static_cast<uint32_t>(lines) + 1);
        held = 0;
      } else if (byte == '\r' && (held & HELD_CR) == 0) {
        held |= HELD_CR;
      } else if ((byte == ' ' || byte == '\t') && (held & HELD_CR) == 0) {
        held |= HELD_BLANK;
      } else {
        if (!flush_lines() || written + ROOM > room) break;
        if ((held & HELD_BLANK) != 0) out[written++] = ' ';
        if ((held & HELD_CR) != 0) {
          out[written++] = '\r';  // a bare one; the byte behind it is looked at again
          held = 0;
          continue;
        }
        held = 0;
        out[written++] = byte;
      }
      at++;
    }
    return at;
  }
};

SCAN_TARGET size_t relax(const uint8_t *bytes, size_t from, size_t to, int32_t *state, uint8_t *out, size_t room) {
  Relaxing relaxing{bytes, to, out, room, state[RELAXED_LINES], state[RELAXED_HELD], 0};
  const size_t end = relaxing.run(from);
  state[RELAXED_LINES] = relaxing.lines;
  state[RELAXED_HELD] = relaxing.held;
  state[RELAXED_WRITTEN] = static_cast<int32_t>(relaxing.written);
  if (relaxing.written > 0) state[RELAXED_BEGUN] = 1;
  return end;
}

}  // namespace SCAN_NAMESPACE
