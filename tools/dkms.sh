#!/bin/bash
# The package chargehand-dkms: tools/dkms.sh [--test] prints build/kmod/chargehand-dkms_VERSION_all.deb.
#
# With --test it is installed, by apt, into roots of Debian releases in the cache that have their own dkms and the stock
# headers of 6.1, 6.12 and 7.2; what comes out is looked at, and so is that another kernel is left alone.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/apt.sh"
PATH=$PATH:/usr/sbin:/sbin

VERSION=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$TOP/meson.build")
PACKAGE=$BUILD/kmod/chargehand-dkms_${VERSION}_all.deb

fill_in() {
        sed "s/@VERSION@/$VERSION/g" "$1" >"$2"
}

# Without debhelper: what it would write for a package of sources is short.
make_package() {
        local work src file
        work=$(mktemp -d)
        # shellcheck disable=SC2064 # the directory is known now
        trap "rm -rf '$work'" EXIT
        src=$work/usr/src/chargehand-$VERSION
        mkdir -p "$src/uapi" "$work/DEBIAN" "$work/usr/lib/modules-load.d" "$work/usr/lib/udev/rules.d" "$work/usr/share/doc/chargehand-dkms"
        chmod 755 "$work"
        (cd "$TOP/kmod" && find . -maxdepth 2 \( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) ! -name '*.mod.c' -print0 |
                tar -c --null -T -) | tar -x -C "$src"
        fill_in "$TOP/kmod/dkms/dkms.conf.in" "$src/dkms.conf"
        cp "$TOP/conf/modules-load.conf" "$work/usr/lib/modules-load.d/chargehand.conf"
        cp "$TOP/conf/60-chargehand.rules" "$work/usr/lib/udev/rules.d/"
        cp "$TOP/LICENSES/GPL-2.0.txt" "$work/usr/share/doc/chargehand-dkms/copyright"
        for file in control postinst prerm; do fill_in "$TOP/kmod/dkms/$file.in" "$work/DEBIAN/$file"; done
        chmod 755 "$work/DEBIAN/postinst" "$work/DEBIAN/prerm"
        find "$work/usr" -type f -exec chmod 644 {} +
        find "$work/usr" -type d -exec chmod 755 {} +
        mkdir -p "${PACKAGE%/*}"
        dpkg-deb --root-owner-group -Zxz -b "$work" "$PACKAGE" >/dev/null
}

case ${1:-} in
'' | --test) ;;
*) die "usage: tools/dkms.sh [--test]" ;;
esac
(make_package)
if [ "${1:-}" = --test ]; then
        exec "$TOP/tools/dkms-test.sh" "$PACKAGE" "$VERSION"
fi
echo "$PACKAGE"
