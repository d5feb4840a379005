#!/usr/bin/env bash
# Makes the Debian package of a binary that packaging/build-binary.sh has built. Prints its path. Needs cargo-deb
# (cargo install cargo-deb) and dpkg-dev. Who makes the package is its maintainer: DEBFULLNAME and DEBEMAIL say who that is, as for
# Debian's own tools.
#
#   packaging/build-deb.sh [TARGET]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
maintainer="${DEBFULLNAME:-The Senary authors} <${DEBEMAIL:-senary@users.noreply.github.com}>"
files=target/package-files

# What crates/senary/Cargo.toml says the package depends on is true of such a binary only.
packaging/check-glibc.sh "${CARGO_TARGET_DIR:-target}/$target/release/senary" 2.28 >&2

# Man pages and completions, from the command line itself.
rm -rf "$files"
cargo run --quiet --package senary --example package_files -- "$files" >&2

# The changelog of the package names its version and its maintainer, too.
version=$(sed -n '/^\[workspace.package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
date=$(date --utc --rfc-email --date "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")
changelog=$(<packaging/debian/changelog)
changelog=${changelog//@version@/"$version"}
changelog=${changelog//@maintainer@/"$maintainer"}
printf '%s\n' "${changelog//@date@/"$date"}" >"$files/changelog"

cargo deb --package senary --no-build --no-strip --maintainer "$maintainer" --target "$target"
