// libFuzzer: every scanner that this processor runs, whole and over random splits, must say of the bytes what the oracle
// says of them; and its cuts must keep the promises of src/scanner/scanner.ts. The same bytes are then a body that each
// relaxer brings into the form that the oracle does.
//
//   byte  0      bit 0: BDAT; bit 1: a header section goes before, so that the fast path runs from the first byte on
//         1..3   sizes of the chunks, in turn; the third is a small one
//         4..    what the client sends
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "oracle.hpp"

namespace {

using namespace postern;
using oracle::Result;

[[noreturn]] void broken(const char *scanner, const char *what) {
  std::fprintf(stderr, "broken: %s: %s\n", scanner, what);
  std::abort();
}

void apply(const NamedScan &named, const std::vector<uint8_t> &chunk, size_t from, size_t to, const int32_t *cuts,
           int count, Result *result) {
  static const char *const INSERTS[] = {"", "\r", "\n", "\r\n"};
  size_t at = from;
  for (int cut = 0; cut < count; cut++) {
    const auto offset = static_cast<size_t>(cuts[cut * CUT_SLOTS]);
    const int code = cuts[cut * CUT_SLOTS + 1];
    const auto drop = static_cast<size_t>(code >> 8);
    if (offset < at || offset + drop > to || (code & 0xff) > INSERT_CRLF) broken(named.name, "cuts are in order, in range");
    result->content.append(reinterpret_cast<const char *>(chunk.data()) + at, offset - at);
    result->content += INSERTS[code & 0xff];
    at = offset + drop;
  }
  result->content.append(reinterpret_cast<const char *>(chunk.data()) + at, to - at);
}

bool ended(const Result &result) { return (result.state[STATE_FLAGS] & FLAG_END_OF_DATA) != 0; }

// Chunks of `sizes`, in turn; each is a copy of its own, so that ASan sees a read beyond it.
Result run(const NamedScan &named, const std::string &wire, int mode, const std::vector<size_t> &sizes) {
  Result result;
  result.state[STATE_MODE] = mode;
  std::vector<int32_t> cuts(static_cast<size_t>(CUTS_MAX) * CUT_SLOTS);
  for (size_t turn = 0; result.consumed < wire.size() && !ended(result); turn++) {
    const std::string part = wire.substr(result.consumed, sizes[turn % sizes.size()]);
    const std::vector<uint8_t> chunk(part.begin(), part.end());
    size_t at = 0;
    while (at < chunk.size() && !ended(result)) {
      const size_t next = named.scan(chunk.data(), at, chunk.size(), result.state, cuts.data());
      if (next <= at || next > chunk.size()) broken(named.name, "a call gets on, and not beyond its range");
      if (result.state[STATE_CUTS] < 0 || result.state[STATE_CUTS] > CUTS_MAX) broken(named.name, "cuts fit");
      apply(named, chunk, at, next, cuts.data(), result.state[STATE_CUTS], &result);
      at = next;
    }
    result.consumed += at;
    if (result.content.size() != static_cast<size_t>(result.state[STATE_CONTENT_BYTES])) {
      broken(named.name, "contentBytes is what the cuts make, at every time");
    }
  }
  if (mode == MODE_BDAT && finish(result.state) == INSERT_CRLF) result.content += "\r\n";
  return result;
}

void hold(const NamedScan &named, const Result &result, const Result &expected) {
  // Said apart from the oracle, since everything that leaves Postern rests on it.
  for (size_t at = 0; at < result.content.size(); at++) {
    const bool lf_follows = at + 1 < result.content.size() && result.content[at + 1] == '\n';
    if (result.content[at] == '\r' && !lf_follows) broken(named.name, "no CR alone is left");
    if (result.content[at] == '\n' && (at == 0 || result.content[at - 1] != '\r')) broken(named.name, "no LF alone is left");
  }
  if (result.content != expected.content) broken(named.name, "content");
  if (result.consumed != expected.consumed) broken(named.name, "the end of data is where it is");
  for (int slot = STATE_FLAGS; slot < STATE_MATCH; slot++) {
    if (result.state[slot] != expected.state[slot]) {
      std::fprintf(stderr, "slot %d: %d, not %d\n", slot, result.state[slot], expected.state[slot]);
      broken(named.name, "state");
    }
  }
}

// `out` is of another size each time, and a vector of its own, so that ASan sees a write beyond it.
void relax(const NamedScan &named, const std::string &body, const std::vector<size_t> &sizes, const std::string &expected) {
  int32_t state[RELAXED_SLOTS] = {};
  std::string result;
  size_t consumed = 0;
  for (size_t turn = 0; consumed < body.size(); turn++) {
    const std::string part = body.substr(consumed, sizes[turn % sizes.size()]);
    const std::vector<uint8_t> chunk(part.begin(), part.end());
    std::vector<uint8_t> out(RELAXED_OUT_BYTES_MIN + turn % 67);
    for (size_t at = 0; at < chunk.size();) {
      const size_t next = named.relax(chunk.data(), at, chunk.size(), state, out.data(), out.size());
      const auto written = static_cast<size_t>(state[RELAXED_WRITTEN]);
      if (next < at || next > chunk.size() || written > out.size()) broken(named.name, "relax stays in its ranges");
      if (next == at && written == 0) broken(named.name, "relax gets on");
      result.append(reinterpret_cast<const char *>(out.data()), written);
      at = next;
    }
    consumed += chunk.size();
  }
  if (state[RELAXED_BEGUN] != (result.empty() ? 0 : 1)) broken(named.name, "begun says whether anything was written");
  if (!result.empty()) result += "\r\n";
  if (result != expected) broken(named.name, "the relaxed form");
}

// A state that no scanner left behind: what it says is nonsense, but it stays within its arguments.
void stray(const NamedScan &named, const std::string &wire) {
  int32_t state[STATE_SLOTS] = {};
  std::memcpy(state, wire.data(), std::min(wire.size(), sizeof state));
  std::vector<int32_t> cuts(static_cast<size_t>(CUTS_MAX) * CUT_SLOTS);
  const std::vector<uint8_t> chunk(wire.begin(), wire.end());
  const size_t next = named.scan(chunk.data(), 0, chunk.size(), state, cuts.data());
  if (next == 0 || next > chunk.size()) broken(named.name, "a call gets on, whatever the state");
  if (state[STATE_CUTS] < 0 || state[STATE_CUTS] > CUTS_MAX) broken(named.name, "cuts fit, whatever the state");
  finish(state);
  std::vector<uint8_t> out(RELAXED_OUT_BYTES_MIN);
  named.relax(chunk.data(), 0, chunk.size(), state, out.data(), out.size());
  if (static_cast<size_t>(state[RELAXED_WRITTEN]) > out.size()) broken(named.name, "relaxed bytes fit, whatever the state");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  const int mode = (data[0] & 1) != 0 ? MODE_BDAT : MODE_DATA;
  std::string wire = (data[0] & 2) != 0 ? "A: b\r\n\r\n" : "";
  wire.append(reinterpret_cast<const char *>(data) + 4, size - 4);
  if (wire.empty()) return 0;
  const std::vector<size_t> splits = {size_t{1} + data[1], size_t{1} + data[2], size_t{1} + (data[3] & 7)};
  const Result expected = oracle::read(wire, mode);
  const std::string relaxed = oracle::relaxed(wire);
  NamedScan scans[SCANS_MAX];
  const int count = available_scans(scans);
  for (int each = 0; each < count; each++) {
    hold(scans[each], run(scans[each], wire, mode, {wire.size()}), expected);
    hold(scans[each], run(scans[each], wire, mode, splits), expected);
    relax(scans[each], wire, {wire.size()}, relaxed);
    relax(scans[each], wire, splits, relaxed);
    stray(scans[each], wire);
  }
  return 0;
}
