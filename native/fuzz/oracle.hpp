// What src/scanner/scanner.ts and relaxer.ts promise, written once more without a thought for speed, and unlike the scanner: first the
// content as one string, then everything that is said of it from that string.
#pragma once
#include <string>

#include "../src/scanner_core.hpp"

namespace oracle {

struct Result {
  std::string content;
  size_t consumed = 0;
  int32_t state[postern::STATE_SLOTS] = {};
};

inline bool is_received(const std::string &line) {
  static const char NAME[] = "received";
  const size_t letters = sizeof NAME - 1;
  for (size_t at = 0; at < letters; at++) {
    if (at >= line.size() || (line[at] != NAME[at] && line[at] != NAME[at] - 'a' + 'A')) return false;
  }
  const size_t colon = line.find_first_not_of(" \t", letters);
  return colon != std::string::npos && line[colon] == ':';
}

inline void describe(const std::string &content, int32_t *state) {
  bool header = true;
  size_t start = 0;
  while (start < content.size()) {
    const size_t end = content.find("\r\n", start);
    const bool whole = end != std::string::npos;
    const std::string line = content.substr(start, whole ? end - start : std::string::npos);
    if (line[0] == '.') state[postern::STATE_DOTTED_LINES]++;
    if (header && !line.empty() && line[0] != ' ' && line[0] != '\t') {
      state[postern::STATE_HEADER_FIELDS]++;
      if (is_received(line)) state[postern::STATE_RECEIVED_FIELDS]++;
    }
    start = whole ? end + 2 : content.size();
    if (header && whole && line.empty()) {
      header = false;
      state[postern::STATE_HEADER_BYTES] = static_cast<int32_t>(start);
    }
    const auto length = static_cast<int32_t>(line.size());
    if (!whole) state[postern::STATE_LINE_BYTES] = length;
    if (whole && length > state[postern::STATE_LINE_BYTES_MAX]) state[postern::STATE_LINE_BYTES_MAX] = length;
  }
  state[postern::STATE_CONTENT_BYTES] = static_cast<int32_t>(content.size());
}

// All of `wire`, which BDAT ends and DATA may leave open.
inline Result read(const std::string &wire, int mode) {
  Result result;
  int32_t flags = 0;
  const bool data = mode == postern::MODE_DATA;
  size_t at = 0;
  bool after_crlf = true;  // on the wire
  for (; at < wire.size(); at++) {
    const bool dot = data && after_crlf && wire[at] == '.';
    if (dot && wire.compare(at, 3, ".\r\n") == 0) {
      flags |= postern::FLAG_END_OF_DATA;
      at += 3;
      break;
    }
    const size_t left = wire.size() - at;
    const bool cr = wire[at] == '\r' || (dot && left > 1 && wire[at + 1] == '\r');
    if (data && ((left == 1 && (dot || cr)) || (left == 2 && dot && cr))) {
      at = wire.size();  // held back until more comes
      break;
    }
    after_crlf = wire.compare(at, 2, "\r\n") == 0;
    if (dot) continue;
    if (after_crlf) {
      result.content += "\r\n";
      at++;
    } else if (wire[at] == '\r' || wire[at] == '\n') {
      flags |= wire[at] == '\r' ? postern::FLAG_BARE_CR : postern::FLAG_BARE_LF;
      result.content += "\r\n";
    } else {
      if (wire[at] == 0) flags |= postern::FLAG_NUL;
      if (static_cast<unsigned char>(wire[at]) > 127) flags |= postern::FLAG_EIGHT_BIT;
      result.content += wire[at];
    }
  }
  result.consumed = at;
  result.state[postern::STATE_FLAGS] = flags;
  describe(result.content, result.state);
  return result;
}

// The body in relaxed form, its last CRLF included (RFC 6376 §3.4.4): first its lines, then each of them, then its end.
inline std::string relaxed(const std::string &body) {
  std::string result;
  std::string ends;  // of lines, not yet known to be within the body
  size_t start = 0;
  while (start < body.size()) {
    const size_t end = body.find("\r\n", start);
    std::string line = body.substr(start, end == std::string::npos ? std::string::npos : end - start);
    if (end == std::string::npos && line.back() == '\r') line.pop_back();  // half a line end, held back
    std::string kept;
    for (const char byte : line) {
      const bool blank = byte == ' ' || byte == '\t';
      if (!blank) kept += byte;
      if (blank && (kept.empty() || kept.back() != ' ')) kept += ' ';
    }
    if (!kept.empty() && kept.back() == ' ') kept.pop_back();
    if (!kept.empty()) {
      result += ends + kept;
      ends.clear();
    }
    if (end == std::string::npos) break;
    ends += "\r\n";
    start = end + 2;
  }
  return result.empty() ? result : result + "\r\n";
}

}  // namespace oracle
