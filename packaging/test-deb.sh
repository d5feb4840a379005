#!/usr/bin/env bash
# Checks a Debian package: lintian has nothing to say, and it can be installed and used in an old Debian: the oldest that Debian's
# mirrors have. Needs root, lintian, debootstrap, and such a mirror.
#
#   sudo packaging/test-deb.sh FILE.deb
set -euo pipefail
cd "$(dirname "$0")/.."

package=$(realpath "${1:?give the path of the package: packaging/test-deb.sh FILE.deb}")
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=${DEBIAN_SUITE:-bullseye}
base=${DEBIAN_ROOT:-target/debian-root/$suite}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

step() { printf '\n== %s\n' "$*"; }

step "what is in it"
dpkg-deb --info "$package"
dpkg-deb --contents "$package" | awk '{ print $6 }' | sed 's|^\.||' >"$root/files"
for file in /usr/bin/senary /usr/share/man/man1/senary.1.gz /usr/share/man/man1/senary-run.1.gz \
  /usr/share/bash-completion/completions/senary /usr/share/zsh/vendor-completions/_senary \
  /usr/share/fish/vendor_completions.d/senary.fish /usr/share/doc/senary/copyright; do
  grep -qx "$file" "$root/files" || {
    echo "FAILED: $file is not in the package" >&2
    exit 1
  }
done

step "lintian"
lintian --fail-on error,warning --suppress-tags-from-file packaging/debian/lintian-suppressed "$package"

step "installed in Debian ($suite)"
if [ ! -e "$base/etc/debian_version" ]; then
  mkdir -p "$(dirname "$base")"
  debootstrap --variant=minbase "$suite" "$base.new" "$mirror" >/dev/null
  mv "$base.new" "$base"
fi
cp -a "$base" "$root/debian"
cp "$package" "$root/debian/senary.deb"
chroot "$root/debian" sh -euc '
  dpkg --install /senary.deb
  senary version
  printf "export default function () {}\n" >/tmp/script.js
  senary run --quiet --iterations 3 --out state=/tmp/own.state /tmp/script.js
  senary merge /tmp/own.state
  ldd --version | head -n 1
  dpkg --remove senary
  test ! -e /usr/bin/senary'
printf '\nThe package is as it should be.\n'
