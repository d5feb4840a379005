#!/usr/bin/env bash
# Checks that a binary asks for no newer glibc than it should, and for no library that is not everywhere.
#
#   packaging/check-glibc.sh BINARY VERSION
set -euo pipefail
binary=$1
most=$2

newest=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
if [ "$(printf '%s\n' "$newest" "$most" | sort -V | tail -n 1)" != "$most" ]; then
  echo "$binary needs glibc $newest, and should need $most at most; the symbols are:" >&2
  objdump -T "$binary" | grep -F "GLIBC_$newest" >&2
  exit 1
fi

libraries=$(objdump -p "$binary" | sed -n 's/^ *NEEDED *//p')
for library in $libraries; do
  case $library in
    libc.so.6 | libm.so.6 | libgcc_s.so.1 | libdl.so.2 | libpthread.so.0 | librt.so.1 | ld-linux-*) ;;
    *)
      echo "$binary needs $library, which is not on every system" >&2
      exit 1
      ;;
  esac
done
echo "$binary needs glibc $newest ($(stat -c %s "$binary") bytes; libraries: $(echo $libraries))"
