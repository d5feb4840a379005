#!/usr/bin/env bash
# Makes the Debian package of a binary that packaging/build-binary.sh has built. Prints its path. Needs cargo-deb
# (cargo install cargo-deb) and dpkg-dev.
#
#   packaging/build-deb.sh [TARGET]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}

# Man pages and completions, from the command line itself.
rm -rf target/package-files
cargo run --quiet --package senary --example package_files -- target/package-files >&2
cargo deb --package senary --no-build --no-strip --target "$target"
