// Printed by native/constants.ts from src/base/addon.ts, src/scanner/scanner.ts and relaxer.ts: change it there.
#pragma once
namespace postern {
constexpr int INTERFACE_VERSION = 4;
constexpr int STATE_SLOTS = 16;
constexpr int CUTS_MAX = 1024;
constexpr int CUT_SLOTS = 2;
constexpr int MODE_DATA = 0;
constexpr int MODE_BDAT = 1;
constexpr int STATE_MODE = 0;
constexpr int STATE_PHASE = 1;
constexpr int STATE_CUTS = 2;
constexpr int STATE_FLAGS = 3;
constexpr int STATE_CONTENT_BYTES = 4;
constexpr int STATE_LINE_BYTES = 5;
constexpr int STATE_LINE_BYTES_MAX = 6;
constexpr int STATE_DOTTED_LINES = 7;
constexpr int STATE_HEADER_BYTES = 8;
constexpr int STATE_RECEIVED_FIELDS = 9;
constexpr int STATE_HEADER_FIELDS = 10;
constexpr int STATE_MATCH = 11;
constexpr int FLAG_END_OF_DATA = 1;
constexpr int FLAG_BARE_CR = 2;
constexpr int FLAG_BARE_LF = 4;
constexpr int FLAG_NUL = 8;
constexpr int FLAG_EIGHT_BIT = 16;
constexpr int INSERT_NOTHING = 0;
constexpr int INSERT_CR = 1;
constexpr int INSERT_LF = 2;
constexpr int INSERT_CRLF = 3;
constexpr int RELAXED_SLOTS = 4;
constexpr int RELAXED_OUT_BYTES_MIN = 256;
constexpr int RELAXED_LINES = 0;
constexpr int RELAXED_HELD = 1;
constexpr int RELAXED_WRITTEN = 2;
constexpr int RELAXED_BEGUN = 3;
constexpr int HELD_BLANK = 1;
constexpr int HELD_CR = 2;
}  // namespace postern
