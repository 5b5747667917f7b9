// libFuzzer: every scanner that this processor runs, over random splits, must say what the scalar one says of the whole;
// and what the cuts make must keep the promises of src/scanner/scanner.ts.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../src/scanner_core.hpp"

namespace {

using namespace postern;

struct Result {
  std::string content;
  size_t consumed = 0;
  int32_t state[STATE_SLOTS] = {};
};

[[noreturn]] void broken(const char *what) {
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void apply(const std::vector<uint8_t> &chunk, size_t from, size_t to, const int32_t *cuts, int count, Result *result) {
  static const char *const INSERTS[] = {"", "\r", "\n", "\r\n"};
  size_t at = from;
  for (int cut = 0; cut < count; cut++) {
    const size_t offset = static_cast<size_t>(cuts[cut * CUT_SLOTS]);
    const int code = cuts[cut * CUT_SLOTS + 1];
    const size_t drop = static_cast<size_t>(code >> 8);
    if (offset < at || offset + drop > to || (code & 0xff) > 3) broken("a cut lies outside of what was read");
    result->content.append(reinterpret_cast<const char *>(chunk.data()) + at, offset - at);
    result->content += INSERTS[code & 0xff];
    at = offset + drop;
  }
  result->content.append(reinterpret_cast<const char *>(chunk.data()) + at, to - at);
}

// `sizes` of chunks, cyclic; each chunk is a copy of its own, so that ASan sees a read beyond it.
Result run(Scan scan, const uint8_t *data, size_t length, int mode, const std::vector<size_t> &sizes) {
  Result result;
  result.state[STATE_MODE] = mode;
  std::vector<int32_t> cuts(static_cast<size_t>(CUTS_MAX) * CUT_SLOTS);
  size_t offset = 0;
  for (size_t turn = 0; offset < length && (result.state[STATE_FLAGS] & FLAG_END_OF_DATA) == 0; turn++) {
    const size_t wanted = sizes[turn % sizes.size()];
    const size_t size = wanted < length - offset ? wanted : length - offset;
    const std::vector<uint8_t> chunk(data + offset, data + offset + size);
    size_t at = 0;
    while (at < size && (result.state[STATE_FLAGS] & FLAG_END_OF_DATA) == 0) {
      const size_t next = scan(chunk.data(), at, size, result.state, cuts.data());
      if (next <= at || next > size) broken("a call gets on, and not beyond its range");
      if (result.state[STATE_CUTS] > CUTS_MAX) broken("too many cuts");
      apply(chunk, at, next, cuts.data(), result.state[STATE_CUTS], &result);
      at = next;
    }
    offset += at;
  }
  result.consumed = offset;
  if (mode == MODE_BDAT && finish(result.state) == INSERT_CRLF) result.content += "\r\n";
  return result;
}

void check(const Result &result, int mode) {
  const std::string &content = result.content;
  if (content.size() != static_cast<size_t>(result.state[STATE_CONTENT_BYTES])) broken("contentBytes counts the content");
  int dotted = 0;
  for (size_t at = 0; at < content.size(); at++) {
    if (content[at] == '\r' && (at + 1 == content.size() || content[at + 1] != '\n')) broken("a CR alone is left");
    if (content[at] == '\n' && (at == 0 || content[at - 1] != '\r')) broken("an LF alone is left");
    if (content[at] == '.' && (at == 0 || content[at - 1] == '\n')) dotted++;
  }
  if (dotted != result.state[STATE_DOTTED_LINES]) broken("dottedLines counts lines that start with a dot");
  if (mode == MODE_BDAT && (result.state[STATE_FLAGS] & FLAG_END_OF_DATA) != 0) broken("BDAT has no end of data");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  const int mode = (data[0] & 1) != 0 ? MODE_BDAT : MODE_DATA;
  const std::vector<size_t> splits = {size_t{1} + data[1], size_t{1} + data[2], size_t{1} + (data[3] & 7)};
  // Past the header section the fast path runs: half of the inputs begin with the end of one.
  std::string wire = (data[0] & 2) != 0 ? "A: b\r\n\r\n" : "";
  wire.append(reinterpret_cast<const char *>(data) + 4, size - 4);
  const auto *bytes = reinterpret_cast<const uint8_t *>(wire.data());
  const Result expected = run(scan_scalar, bytes, wire.size(), mode, {wire.size()});
  check(expected, mode);
  for (const NamedScan *each = available_scans(); each->scan != nullptr; each++) {
    for (const std::vector<size_t> &sizes : {std::vector<size_t>{wire.size()}, splits}) {
      const Result result = run(each->scan, bytes, wire.size(), mode, sizes);
      if (result.content != expected.content) broken(each->name);
      if (result.consumed != expected.consumed) broken("the end of data is elsewhere");
      for (int slot = 0; slot < STATE_SLOTS; slot++) {
        if (slot != STATE_CUTS && result.state[slot] != expected.state[slot]) broken("state differs");
      }
    }
  }
  return 0;
}
