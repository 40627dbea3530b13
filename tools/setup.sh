#!/bin/bash
# Installs the Debian packages that a chore needs and that are missing: tools/setup.sh GROUP…
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

packages_of() {
        case $1 in
        build) echo gcc libc6-dev meson ninja-build pkg-config libsystemd-dev libcgroup-dev libjson-c-dev \
                libinih-dev liburcu-dev libcmocka-dev libhiredis-dev scdoc ;;
        unit | bus) echo dbus-daemon dbus-broker dbus-bin ;;
        vm) echo qemu-system-x86 mmdebstrap e2fsprogs fdisk kmod debian-archive-keyring tar libc6-dev ;;
        kmod) echo gcc make mmdebstrap kmod binutils debian-archive-keyring libelf1 libssl3 sparse python3-minimal ;;
        demo) echo redis-server redis-tools dbus-daemon python3-minimal ;;
        kernel) echo gcc libc6-dev make patch flex bison bc libelf-dev libssl-dev dwarves lz4 xz-utils kmod cpio \
                debian-archive-keyring ;;
        lint) echo shellcheck cppcheck ;;
        model) echo spin gcc libc6-dev ;;
        flavour-clang) echo clang ;;
        flavour-fuzz) echo clang libclang-rt-14-dev ;;
        flavour-32bit) echo mmdebstrap arch-test debian-archive-keyring ;;
        flavour-coverage) echo gcovr ;;
        flavour-*) ;;
        all) for g in build unit vm kmod lint model flavour-fuzz; do packages_of $g; done ;;
        *) die "no package group '$1'" ;;
        esac
}

missing() {
        local p installed
        installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n${db:Status-Abbrev} ${Package}:${Architecture}\n' 2>/dev/null)
        for p; do
                grep -qxF "ii  $p" <<<"$installed" || echo "$p"
        done | sort -u
}

have apt-get || die "this sets up Debian 12 and its relatives; elsewhere install by hand: $(for g; do packages_of "$g"; done | tr '\n' ' ')"
# shellcheck disable=SC2046 # a list of package names
want=$(missing $(for g; do packages_of "$g"; done))
[ -n "$want" ] || exit 0
# shellcheck disable=SC2086,SC2116 # one line of names
want=$(echo $want)
info "installing $want"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_them() {
        # shellcheck disable=SC2086 # a list of package names
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-remove --no-install-recommends $want >"$log" 2>&1
}
# Lists may be missing or old: refresh them only when the first attempt fails.
install_them || { as_root apt-get update -q >"$log" 2>&1 || true; install_them; } || {
        tail -n 20 "$log" >&2
        die "apt-get could not install: $want"
}
