#!/usr/bin/env bash
# Packs a binary that packaging/build-binary.sh has built, with man pages, completions and licences.
#
#   packaging/build-archive.sh TARGET FILE.tar.gz        after packaging/build-deb.sh, which makes the man pages
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
file=$2

name=$(basename "$file" .tar.gz)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/$name"
cp "${CARGO_TARGET_DIR:-target}/$target/release/senary" README.md NOTICE LICENSE-APACHE LICENSE-MIT "$folder/$name"
cp -r target/package-files/man target/package-files/completions "$folder/$name"
tar --create --gzip --owner=0 --group=0 --sort=name --file "$file" --directory "$folder" "$name"
