// Printed by native/constants.ts from src/scanner/scanner.ts: change it there.
#pragma once
namespace postern {
constexpr int INTERFACE_VERSION = 1;
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
}  // namespace postern
