#!/bin/bash
# Runs a command in an i386 Debian with our build dependencies: tools/chroot32.sh COMMAND…
#
# Multiarch on the machine itself would need every -dev package in step on both architectures and may
# remove what is installed; a chroot in the cache, made once, cannot do harm. The source tree is seen
# there at the same path.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

PACKAGES="gcc libc6-dev meson ninja-build pkg-config libsystemd-dev libcgroup-dev libjson-c-dev libinih-dev
        liburcu-dev libcmocka-dev libhiredis-dev dbus-daemon"

make_root() {
        local dir=$1 mirror
        [ -e "$dir/.complete" ] && return
        info "building an i386 root for the 32bit flavour (once, about a minute)"
        rm -rf --one-file-system "$dir"
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
                sed 's,/*$,,' | grep -m1 '/debian$' || echo http://deb.debian.org/debian)
        mmdebstrap --quiet --mode=root --arch=i386 --variant=minbase --include="$(echo $PACKAGES | tr -s ' \n' ,)" \
                bookworm "$dir" "deb $mirror bookworm main" >"$CACHE/i386.log" 2>&1 ||
                { tail "$CACHE/i386.log" >&2; die "mmdebstrap failed"; }
        mkdir -p "$dir$TOP"
        touch "$dir/.complete"
        find "$CACHE" -maxdepth 1 -name 'i386-*' ! -path "$dir" -exec rm -rf --one-file-system {} +
}

[ "$(id -u)" -eq 0 ] || die "the 32bit flavour is built in a chroot and needs root: sudo ./dev build 32bit"
root=$CACHE/i386-$(sha256sum <"$0" | cut -c1-16)
with_lock "$CACHE/i386.lock" make_root "$root"
mkdir -p "$root$TOP"
# The mounts live in a namespace of their own and go with it.
exec unshare -m sh -eu -c '
        root=$1 top=$2
        shift 2
        mount --bind "$top" "$root$top"
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sys "$root/sys"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$top" "$@"' sh "$root" "$TOP" "$@"
