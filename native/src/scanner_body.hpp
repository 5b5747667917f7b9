// The scanner, written once over a block of 64 bytes that knows where its CRs, LFs and so on are. Included by
// scanner_core.cpp for each instruction set, with
//   SCAN_NAMESPACE   the namespace it goes to
//   SCAN_TARGET      the attribute that lets the compiler use the instructions
//   SCAN_BLOCK       a struct with `static Masks load(const uint8_t *)`, or not defined (the scalar scanner)
//
// The phases are those of src/scanner/twin.ts, and so is the slow path, a byte or a run of text at a time. The fast path
// takes a whole block where the masks prove that every CR has its LF, every LF its CR, and no dot starts a line.

namespace SCAN_NAMESPACE {

enum Phase { START = 0, LINE = 1, CR_HELD = 2, DOT_HELD = 3, DOT_CR_HELD = 4 };

struct Scanner {
  const uint8_t *bytes;
  size_t from;
  size_t to;
  int32_t *state;
  int32_t *cuts;
  int count;

  SCAN_TARGET inline void cut(size_t offset, size_t drop, int insert) {
    cuts[count * CUT_SLOTS] = static_cast<int32_t>(offset);
    cuts[count * CUT_SLOTS + 1] = static_cast<int32_t>(drop << 8) | insert;
    count++;
  }

  SCAN_TARGET inline void end_line() {
    const int32_t line = state[STATE_LINE_BYTES];
    state[STATE_CONTENT_BYTES] = add(state[STATE_CONTENT_BYTES], 2);
    if (line > state[STATE_LINE_BYTES_MAX]) state[STATE_LINE_BYTES_MAX] = line;
    if (line == 0 && state[STATE_HEADER_BYTES] == 0) state[STATE_HEADER_BYTES] = state[STATE_CONTENT_BYTES];
    state[STATE_LINE_BYTES] = 0;
  }

  // An endless message wraps the counters, as it does in TypeScript: its sender was refused long before.
  SCAN_TARGET static inline int32_t add(int32_t a, size_t b) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  }

  SCAN_TARGET inline void count_one(int slot) { state[slot] = add(state[slot], 1); }

  // In the header section: counts fields, and those named Received.
  SCAN_TARGET void read_name(size_t at, size_t end) {
    static const uint8_t RECEIVED[] = {'r', 'e', 'c', 'e', 'i', 'v', 'e', 'd'};
    int32_t match = state[STATE_MATCH];
    if (state[STATE_LINE_BYTES] == 0) {
      const bool folded = bytes[at] == ' ' || bytes[at] == '\t';
      if (!folded) count_one(STATE_HEADER_FIELDS);
      match = folded ? -1 : 0;
    }
    for (; at < end && match >= 0; at++) {
      const uint8_t byte = bytes[at];
      if (match < 8) {
        match = (byte | 32) == RECEIVED[match] ? match + 1 : -1;
      } else if (byte != ' ' && byte != '\t') {
        if (byte == ':') count_one(STATE_RECEIVED_FIELDS);
        match = -1;
      }
    }
    state[STATE_MATCH] = match;
  }

  // Content up to the next CR or LF; at least one byte.
  SCAN_TARGET size_t text(size_t start) {
    uint8_t seen = 0;
    bool nul = false;
    size_t at = start;
#ifdef SCAN_BLOCK
    while (to - at >= 64) {
      const Masks masks = SCAN_BLOCK::load(bytes + at);
      const uint64_t ends = masks.cr | masks.lf;
      const uint64_t before = ends == 0 ? ~0ull : (ends & (~ends + 1)) - 1;
      if ((masks.high & before) != 0) seen = 128;
      if ((masks.nul & before) != 0) nul = true;
      if (ends != 0) {
        at += static_cast<size_t>(__builtin_ctzll(ends));
        goto found;
      }
      at += 64;
    }
#endif
    for (; at < to; at++) {
      const uint8_t byte = bytes[at];
      if (byte == '\r' || byte == '\n') break;
      seen |= byte;
      if (byte == 0) nul = true;
    }
#ifdef SCAN_BLOCK
  found:
#endif
    if (seen > 127) state[STATE_FLAGS] |= FLAG_EIGHT_BIT;
    if (nul) state[STATE_FLAGS] |= FLAG_NUL;
    if (state[STATE_LINE_BYTES] == 0 && bytes[start] == '.') count_one(STATE_DOTTED_LINES);
    if (state[STATE_HEADER_BYTES] == 0) read_name(start, at);
    state[STATE_LINE_BYTES] = add(state[STATE_LINE_BYTES], at - start);
    state[STATE_CONTENT_BYTES] = add(state[STATE_CONTENT_BYTES], at - start);
    return at;
  }

#ifdef SCAN_BLOCK
  // Whole blocks of the body, from a place where no byte is held back. Returns how far it got, and changes `phase`.
  SCAN_TARGET size_t blocks(size_t at, int &phase) {
    int32_t flags = 0;
    int32_t line = state[STATE_LINE_BYTES];
    int32_t longest = state[STATE_LINE_BYTES_MAX];
    const size_t start = at;
    while (to - at >= 64) {
      Masks masks = SCAN_BLOCK::load(bytes + at);
      size_t length = 64;
      if ((masks.cr >> 63) != 0) {  // its LF is in the next block, which begins with it
        length = 63;
        const uint64_t kept = ~0ull >> 1;
        masks = {masks.cr & kept, masks.lf & kept, masks.dot & kept, masks.nul & kept, masks.high & kept};
      }
      if (masks.lf != masks.cr << 1) break;
      const uint64_t starts = (masks.lf << 1) | (line == 0 ? 1 : 0);
      if ((masks.dot & starts) != 0) break;
      if (masks.high != 0) flags |= FLAG_EIGHT_BIT;
      if (masks.nul != 0) flags |= FLAG_NUL;
      if (masks.lf == 0) {
        line = add(line, length);
      } else {
        const int first = __builtin_ctzll(masks.cr);
        if (add(line, static_cast<size_t>(first)) > longest) longest = add(line, static_cast<size_t>(first));
        if (longest < 62) longest = longest_within(masks.cr, longest);
        line = static_cast<int32_t>(length) - 64 + __builtin_clzll(masks.lf);
      }
      at += length;
    }
    if (at == start) return at;
    phase = bytes[at - 1] == '\n' ? START : LINE;
    state[STATE_FLAGS] |= flags;
    state[STATE_LINE_BYTES] = line;
    state[STATE_LINE_BYTES_MAX] = longest;
    state[STATE_CONTENT_BYTES] = add(state[STATE_CONTENT_BYTES], at - start);
    return at;
  }

  // Lines that begin and end within one block.
  SCAN_TARGET static int32_t longest_within(uint64_t cr, int32_t longest) {
    int previous = __builtin_ctzll(cr);
    for (cr &= cr - 1; cr != 0; cr &= cr - 1) {
      const int next = __builtin_ctzll(cr);
      if (next - previous - 2 > longest) longest = next - previous - 2;
      previous = next;
    }
    return longest;
  }
#endif

  // The fast path, where there is one: only behind the header section, whose lines are looked at one by one.
  SCAN_TARGET inline size_t body(size_t at, int &phase) {
#ifdef SCAN_BLOCK
    if (state[STATE_HEADER_BYTES] != 0 && to - at >= 64) return blocks(at, phase);
#endif
    static_cast<void>(phase);
    return at;
  }

  SCAN_TARGET size_t run() {
    const bool data = state[STATE_MODE] == MODE_DATA;
    int phase = state[STATE_PHASE];
    size_t at = from;
    // One cut a step at most, and one for what is held back at the end.
    while (at < to && count < CUTS_MAX - 1) {
      const uint8_t byte = bytes[at];
      switch (phase) {
        case CR_HELD:
          if (byte == '\n') {
            if (at == from) cut(at, 0, INSERT_CR);
            phase = START;
            at++;
          } else {
            state[STATE_FLAGS] |= FLAG_BARE_CR;
            cut(at, 0, at == from ? INSERT_CRLF : INSERT_LF);
            phase = LINE;
          }
          end_line();
          break;
        case DOT_HELD:
          if (byte == '\r') {
            phase = DOT_CR_HELD;
            at++;
          } else {
            if (at > from) cut(at - 1, 1, INSERT_NOTHING);
            phase = LINE;
          }
          break;
        case DOT_CR_HELD: {
          const size_t here = at - from < 2 ? at - from : 2;
          if (byte == '\n') {
            cut(at - here, here + 1, INSERT_NOTHING);
            state[STATE_FLAGS] |= FLAG_END_OF_DATA;
            state[STATE_PHASE] = START;
            return at + 1;
          }
          state[STATE_FLAGS] |= FLAG_BARE_CR;
          cut(at - here, here, INSERT_CRLF);
          end_line();
          phase = LINE;
          break;
        }
        default:  // what the fast path would refuse at once comes first
          if (byte == '\n') {
            state[STATE_FLAGS] |= FLAG_BARE_LF;
            cut(at, 0, INSERT_CR);
            end_line();
            phase = LINE;
            at++;
          } else if (byte == '.' && phase == START && data) {
            phase = DOT_HELD;
            at++;
          } else if (const size_t next = body(at, phase); next != at) {
            at = next;
          } else if (byte == '\r') {
            phase = CR_HELD;
            at++;
          } else {
            at = text(at);
            phase = LINE;
          }
      }
    }
    const size_t held = phase == DOT_CR_HELD ? 2 : phase == CR_HELD || phase == DOT_HELD ? 1 : 0;
    const size_t here = held < at - from ? held : at - from;
    if (here > 0) cut(at - here, here, INSERT_NOTHING);
    state[STATE_PHASE] = phase;
    return at;
  }
};

SCAN_TARGET size_t scan(const uint8_t *bytes, size_t from, size_t to, int32_t *state, int32_t *cuts) {
  Scanner scanner{bytes, from, to, state, cuts, 0};
  const size_t end = scanner.run();
  state[STATE_CUTS] = scanner.count;
  return end;
}

}  // namespace SCAN_NAMESPACE
