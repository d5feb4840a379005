#!/bin/sh
# Puts together the root folder of the image: make-root BINARY FOLDER. Runs in a Debian with busybox-static and
# ca-certificates; only what is in FOLDER becomes the image.
set -eu
binary=$1
root=$2

mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/etc/ssl/certs" "$root/home/k6" "$root/tmp"
# As in Debian: one place for programs and one for libraries.
ln -s usr/bin "$root/bin"
ln -s usr/lib "$root/lib"

cp "$binary" "$root/usr/bin/senary"
chmod 755 "$root/usr/bin/senary"
# The operator and scripts around tests call it k6.
ln -s senary "$root/usr/bin/k6"

# The shell and the small tools that the operator's commands need.
busybox=$(command -v busybox)
cp "$busybox" "$root/usr/bin/busybox"
for tool in $("$busybox" --list); do
  [ -e "$root/usr/bin/$tool" ] || ln -s busybox "$root/usr/bin/$tool"
done

# The libraries that the binary is linked with, and the program that loads them, each under the path it is looked for.
ldd "$binary" | while read -r first second third _; do
  case $second in
    '=>') name=$first path=$third ;;
    *) name=$first path=$first ;;
  esac
  case $path in
    /*) ;;
    *) continue ;; # the kernel's own, or one that is missing: the check below says so
  esac
  case $name in
    /*) to=$root$name ;;
    *) to=$root/usr/lib/$name ;;
  esac
  mkdir -p "$(dirname "$to")"
  cp -L "$path" "$to"
done

# Names of hosts are looked up in files and by DNS, and certificates are judged by the usual authorities.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

# What others wrote comes with its licence.
for package in busybox-static ca-certificates libc6 libgcc-s1; do
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done

echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo 'k6:x:12345:12345:k6:/home/k6:/bin/sh' >>"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'k6:x:12345:' >>"$root/etc/group"
chown 12345:12345 "$root/home/k6"
chmod 1777 "$root/tmp"

# An image whose binary does not start is not worth shipping.
chroot "$root" /usr/bin/k6 version
