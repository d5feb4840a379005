#!/usr/bin/env bash
# Builds the binary that is released: linked so that it runs with glibc 2.28 and newer (Debian 10, Ubuntu 18.10, RHEL 8, Amazon
# Linux 2023), whatever this machine has. Prints its path. Needs Python 3 with venv; the linker comes from PyPI.
#
#   packaging/build-binary.sh [TARGET]        TARGET: x86_64-unknown-linux-gnu (default: this machine's) or aarch64-…
set -euo pipefail
cd "$(dirname "$0")/.."

glibc=2.28
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
folder=${CARGO_TARGET_DIR:-target}
zig=$folder/zig

if [ ! -x "$zig/bin/cargo-zigbuild" ]; then
  python3 -m venv "$zig"
  "$zig/bin/pip" install --quiet ziglang==0.17.1 cargo-zigbuild==0.24.1
fi
PATH=$(realpath "$zig")/bin:$PATH cargo-zigbuild zigbuild --release --locked --package senary --target "$target.$glibc" >&2

binary=$folder/$target/release/senary
packaging/check-glibc.sh "$binary" "$glibc" >&2
echo "$binary"
