#!/usr/bin/env bash
# Builds the binary with profile-guided optimisation: once so that it counts what runs, then a training run, then with the profile.
# Prints the path of the result. It takes three times as long as `cargo build --release`.
#
#   packaging/build-pgo.sh [TARGET]           TARGET: this machine's by default; the training needs a binary that runs here
#
# Needs Python 3, and an llvm-profdata as new as rustc's LLVM: `rustup component add llvm-tools`, or a package such as Debian's llvm-22.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/pgo")

profdata=
for tool in "$(rustc --print sysroot)/lib/rustlib/$target/bin/llvm-profdata" "llvm-profdata-$llvm" llvm-profdata; do
  if command -v "$tool" >/dev/null; then
    profdata=$tool
    break
  fi
done
if [ -z "$profdata" ]; then
  echo "There is no llvm-profdata for LLVM $llvm: run 'rustup component add llvm-tools', or install the package llvm-$llvm." >&2
  exit 1
fi

# With --target, the flags are not those of build scripts and macros, which would count themselves.
build() {
  RUSTFLAGS="${RUSTFLAGS:-} $1" cargo build --release --locked --package senary --target "$target" --target-dir "$2" >&2
}

mkdir -p "$folder"
rm -rf "$folder/counts"
build "-Cprofile-generate=$folder/counts" "$folder/counting"
packaging/training/train.py "$folder/counting/$target/release/senary"
"$profdata" merge --output "$folder/senary.profdata" "$folder/counts"
build "-Cprofile-use=$folder/senary.profdata" "$folder/optimised"
echo "$folder/optimised/$target/release/senary"
