#!/usr/bin/env bash
# Makes a profile for a faster binary of this machine: builds a binary that counts what runs, and lets it do the work of a training.
# Prints the path of the profile, which is used so:
#
#   profile=$(packaging/make-profile.sh)
#   RUSTFLAGS="-Cprofile-use=$profile" cargo build --release
#
#   packaging/make-profile.sh [TARGET]        TARGET: this machine's by default; the training needs a binary that runs here
#
# Needs Python 3, and an llvm-profdata as new as rustc's LLVM: `rustup component add llvm-tools`, or a package such as Debian's llvm-22.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/profile")

profdata=
for tool in "$(rustc --print sysroot)/lib/rustlib/$target/bin/llvm-profdata" "llvm-profdata-$llvm" llvm-profdata; do
  if command -v "$tool" >/dev/null && "$tool" --version | grep -q "LLVM version $llvm\."; then
    profdata=$tool
    break
  fi
done
if [ -z "$profdata" ]; then
  echo "There is no llvm-profdata for LLVM $llvm: run 'rustup component add llvm-tools', or install the package llvm-$llvm." >&2
  exit 1
fi

mkdir -p "$folder"
rm -rf "$folder/counts"
# With --target, the flag is not one of build scripts and macros, which would count themselves.
RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-Cprofile-generate=$folder/counts" \
  cargo build --release --locked --package senary --target "$target" --target-dir "$folder" >&2
packaging/training/train.py "$folder/$target/release/senary" >&2
"$profdata" merge --output "$folder/senary.profdata" "$folder/counts" >&2
echo "$folder/senary.profdata"
