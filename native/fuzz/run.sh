#!/usr/bin/env bash
# Fuzzes the scanner's core for so many seconds (60), with AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
compiler=
for name in clang++-14 clang++ clang++-19 clang++-16; do
  if command -v "$name" >/dev/null; then compiler=$name; break; fi
done
[ -n "$compiler" ] || { echo "fuzz: no clang++ (Debian: clang-14 libclang-rt-14-dev)" >&2; exit 1; }
mkdir -p build/corpus
"$compiler" -std=c++17 -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
  scanner_fuzz.cc ../src/scanner_core.cpp -o build/scanner_fuzz
# A few seeds, each with the four bytes that choose mode and splits.
printf '\0\1\2\3one\r\n..two\r\n.\r\nQUIT\r\n' >build/corpus/plain
printf '\2\100\20\1%s\r\n%s\r\n.\r\n' "$(printf 'x%.0s' {1..76})" "$(printf 'y%.0s' {1..76})" >build/corpus/lines
printf '\0\7\3\2Received: a\r\n\tb\r\nTo: c\n\rd\r\n\r\n.\r.\n\r\n.\r\n' >build/corpus/bare
printf '\3\377\37\5a\r\n.\r\n\r' >build/corpus/bdat
printf '\2\377\377\7%s' "$(printf '..a\n%.0s' {1..1000})" >build/corpus/cuts_full
printf '\2\100\20\1%s \t%s  \r\n%s \r\n\r\n \r\n\r\n' "$(printf 'x%.0s' {1..62})" "$(printf 'y z%.0s' {1..40})" "$(printf 'w%.0s' {1..63})" >build/corpus/blanks
# Taken for a state: within a line of the header section, with a name matched to where no name is (the twelfth slot).
zeros() { head -c "$1" /dev/zero; }
{ printf '\0\7\3\2'; zeros 4; printf '\1'; zeros 15; printf '\1'; zeros 23; printf '\373\377\377\377ceived: x\r\n'; } \
  >build/corpus/stray
exec build/scanner_fuzz -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
  -verbosity=0 -dict=scanner.dict build/corpus
