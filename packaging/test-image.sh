#!/usr/bin/env bash
# Builds the image of packaging/Dockerfile and checks what is in it, without Docker and without a registry: the base image is made by
# debootstrap, and buildah follows the Dockerfile. Where there is no buildah, the steps of the Dockerfile are done in the folder that
# debootstrap has made. Needs root, debootstrap, and a mirror of Debian; takes about two minutes.
#
#   sudo packaging/test-image.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."

binary=$(realpath "${1:?give the path of the binary: packaging/test-image.sh BINARY}")
most_megabytes=60
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
base=${DEBIAN_ROOT:-target/debian-root/bookworm}
work=$(mktemp -d)
root=$work/root
export BUILDAH_ISOLATION=chroot
buildah=(buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run")
cleanup() {
  ! mountpoint -q "$root/proc" || umount "$root/proc"
  ! [ -e "$work/storage" ] || "${buildah[@]}" rm --all >/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

step() { printf '\n== %s\n' "$*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

make_base() {
  if [ -e "$base/etc/debian_version" ]; then return; fi
  mkdir -p "$(dirname "$base")"
  debootstrap --variant=minbase bookworm "$base.new" "$mirror" >"$work/debootstrap.log" || {
    tail -n 20 "$work/debootstrap.log"
    fail "debootstrap"
  }
  mv "$base.new" "$base"
}

build_with_buildah() {
  mkdir -p "$work/build"
  cp "$binary" "$work/build/senary"
  local container
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" add --quiet "$container" "$base" / >/dev/null
  "${buildah[@]}" commit --quiet "$container" docker.io/library/debian:bookworm-slim >/dev/null
  "${buildah[@]}" rm "$container" >/dev/null
  "${buildah[@]}" bud --quiet --pull-never --network host --build-context "build=$work/build" \
    --file packaging/Dockerfile --tag senary . >/dev/null
  container=$("${buildah[@]}" from --pull-never localhost/senary)
  mkdir -p "$root"
  cp -a "$("${buildah[@]}" mount "$container")/." "$root"
  "${buildah[@]}" inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.WorkingDir}} {{.OCIv1.Config.Entrypoint}}' \
    localhost/senary >"$work/config"
}

build_by_hand() {
  cp -a "$base" "$work/debian"
  chroot "$work/debian" sh -c 'apt-get update && apt-get install --yes --no-install-recommends busybox-static ca-certificates' \
    >"$work/apt.log" 2>&1 || fail "apt-get: $(tail -n 5 "$work/apt.log")"
  cp "$binary" "$work/debian/senary"
  cp packaging/image/make-root.sh "$work/debian/usr/local/bin/make-root"
  chroot "$work/debian" make-root /senary /root-of-image
  mv "$work/debian/root-of-image" "$root"
  mkdir -p "$root/usr/share/doc/senary"
  cp LICENSE-APACHE LICENSE-MIT NOTICE "$root/usr/share/doc/senary"
}

# As a container of the image: its user, its folder, its variables, and nothing else of this machine.
inside() {
  chroot --userspec=12345:12345 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/home/k6 "$@"
}

step "a base of debootstrap"
make_base
step "the image"
if command -v buildah >/dev/null; then build_with_buildah; else build_by_hand; fi
if [ -e "$work/config" ]; then
  [ "$(cat "$work/config")" = "12345 /home/k6 [senary]" ] || fail "the configuration of the image: $(cat "$work/config")"
fi
mount -t proc proc "$root/proc" 2>/dev/null || { mkdir -p "$root/proc" && mount -t proc proc "$root/proc"; }

step "its size"
bytes=$(du --summarize --bytes --one-file-system "$root" | cut -f 1)
echo "$((bytes / 1000000)) MB, compressed $(($(tar --create --one-file-system --directory "$root" . | gzip | wc --bytes) / 1000000)) MB"
[ "$bytes" -lt "$((most_megabytes * 1000000))" ] || fail "it is larger than $most_megabytes MB"

step "what the operator needs"
inside sh -euc 'for tool in k6 senary sh mkdir dirname cat grep; do command -v "$tool"; done; [ "$(id -u)" = 12345 ]' ||
  fail "a command or the user is missing"
inside sh -c 'echo x >/tmp/x && cat /tmp/x && cd ~ && touch y' || fail "/tmp or the home is not writable"
inside k6 version

step "the operator's initializer and a runner"
cp examples/requests.js "$root/tmp/script.js"
inside sh -c '
  mkdir -p "$(dirname /tmp/script.js.archived.tar)" &&
  k6 archive /tmp/script.js -e A=b -O /tmp/script.js.archived.tar --no-thresholds --report /tmp/r.html 2>/tmp/k6logs &&
  k6 inspect --execution-requirements /tmp/script.js.archived.tar 2>/tmp/k6logs >/tmp/requirements &&
  ! grep "level.*error" /tmp/k6logs && grep maxVUs /tmp/requirements' || fail "the initializer"
inside k6 run --quiet --execution-segment=0:1/4 --execution-segment-sequence=0,1/4,2/4,3/4,1 --with-echo \
  --vus 4 --iterations 8 /tmp/script.js --address=127.0.0.1:6565 --tag instance_id=1 --tag testrun_name=t ||
  fail "the runner"

step "authorities for TLS, and names of hosts"
inside sh -c 'test -s /etc/ssl/certs/ca-certificates.crt'
echo '127.0.0.1 target' >"$root/etc/hosts"
cat >"$root/tmp/names.js" <<'SCRIPT'
import { Socket } from "senary/tcp"
export const options = { thresholds: { tcp_sockets: ["count==1"], tcp_errors: ["count==0"] } }
export default async function () {
  const socket = new Socket({ framing: "lines" })
  await socket.connect({ host: "target", port: __ENV.TCP_PORT, timeout: "5s" })
  socket.destroy()
}
SCRIPT
inside senary run --quiet --with-echo --log-format=raw /tmp/names.js 2>&1 | tee "$work/names.log"
! grep -qi "trusted\|authorit" "$work/names.log" || fail "the authorities are not found"

printf '\nThe image is as it should be.\n'
