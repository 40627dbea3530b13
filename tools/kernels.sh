#!/bin/bash
# Fetches stock Debian cloud kernels, once, into the cache: tools/kernels.sh [--headers] VERSION…
#
# Prints one directory per version, holding vmlinuz, release (uname -r) and modules/; with --headers one
# that holds release and what modules for that very kernel are built with (build/). The package is
# found by name at run time through a private apt configuration (own lists, state and cache, Debian's
# own keyring), so that nothing of it mixes into the system; apt checks signatures and checksums.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/apt.sh"

# names_of VERSION: the packages that together make the newest signed cloud kernel of that version.
# Newer Debian releases split the image: vmlinuz in linux-binary, modules.order and .builtin in linux-base.
names_of() {
        local re=${1//./\\.} all release
        all=$(apt-cache pkgnames linux-)
        release=$(grep -oP "^linux-image-\K$re([-+~.][-+~.a-z0-9]*)?-cloud-amd64\$" <<<"$all" | sort -V | tail -n1)
        [ -n "$release" ] || return 1
        if grep -qxF "linux-binary-$release" <<<"$all"; then
                echo "linux-binary-$release linux-modules-$release linux-base-$release"
        else
                echo "linux-image-$release"
        fi
}

# headers_names RELEASE: the packages that modules for this kernel are built with.
headers_names() {
        apt-cache show "linux-headers-$1" 2>/dev/null | grep -q . || return 1
        echo "linux-headers-$1"
        apt-cache depends "linux-headers-$1" | grep -oP 'Depends: \Klinux-(headers-.*-common|kbuild-.*)$'
}

# download SUITES WORK COMMAND…: the packages that COMMAND names, from these suites, to WORK/deb.
download() {
        local suites=$1 work=$2 names
        shift 2
        rm -rf "$work/apt" "$work/deb"
        mkdir -p "$work/deb"
        private_apt "$work/apt" "$suites"
        (
                export APT_CONFIG=$work/apt/apt.conf
                apt-get -qq update >"$work/apt.log" 2>&1 || { sed 's/^/   /' "$work/apt.log" >&2; exit 1; }
                names=$("$@") || exit 1
                # shellcheck disable=SC2086 # a list of package names
                info $names "from $suites"
                cd "$work/deb"
                # shellcheck disable=SC2086
                apt-get -qq download $names
        )
}

# download_any VERSION WORK COMMAND…: from the first of the version's suites that has them.
download_any() {
        local suites version=$1 work=$2
        shift 2
        [ -e "$KEYRING" ] || die "$KEYRING is missing; install debian-archive-keyring"
        for suites in $(suites_of "$version"); do
                ! download "$suites" "$work" "$@" || return 0
        done
        return 1
}

extract() {
        local deb
        for deb in "$1"/deb/*.deb; do
                dpkg-deb -x "$deb" "$1/tree"
        done
}

unpack() {
        local work=$1 image release
        extract "$work"
        image=$(find "$work/tree" -name 'vmlinuz*' -type f | head -n1)
        release=$(basename "$(find "$work/tree" -path '*/lib/modules/*/kernel' -prune -printf '%h\n' | head -n1)")
        [ -n "$image" ] && [ -n "$release" ] || die "no vmlinuz or no modules inside $(ls "$work/deb")"
        mkdir -p "$work/out/modules/lib/modules"
        mv "$image" "$work/out/vmlinuz"
        find "$work/tree" -path "*/lib/modules/$release" -type d -exec cp -a {} "$work/out/modules/lib/modules/" \;
        PATH=$PATH:/usr/sbin:/sbin depmod -b "$work/out/modules" "$release"
        echo "$release" >"$work/out/release"
}

# make_work: a place in the cache that goes with this shell.
make_work() {
        WORK=$(mktemp -d "$CACHE/fetch.XXXXXX")
        trap 'rm -rf "$WORK"' EXIT
}

fetch() {
        local version=$1
        [ -e "$CACHE/kernel-$version/release" ] && return
        make_work
        download_any "$version" "$WORK" names_of "$version" ||
                die "no linux-image-$version…-cloud-amd64 in $(suites_of "$version"); is the network reachable?"
        unpack "$WORK"
        mv "$WORK/out" "$CACHE/kernel-$version"
}

# Their Makefiles name /usr/src; here they find each other wherever the cache is. The vmlinux is there for its BTF
# alone, which a module of ours needs not, nor pahole therefore.
relocate() {
        local tree=$1 release=$2 file=$1/usr/src/linux-headers-$2/Makefile
        sed -i -e 's,^KBUILD_OUTPUT=,KBUILD_OUTPUT:=,' -e 's,/usr/src/,$(chargehand_headers)/,' \
                -e '1i chargehand_headers := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)' "$file"
        rm -f "$tree/usr/src/linux-headers-$release/vmlinux"
        ln -s "usr/src/linux-headers-$release" "$tree/build"
        echo "$release" >"$tree/release"
}

# The kernel and its headers are one pair. A mirror that has moved on has no headers for the kernel in the cache:
# both are fetched anew then.
fetch_headers() {
        local version=$1 release
        fetch_kernel "$version"
        release=$(cat "$CACHE/kernel-$version/release")
        [ "$(cat "$CACHE/headers-$version/release" 2>/dev/null)" != "$release" ] || return 0
        make_work
        if ! download_any "$version" "$WORK" headers_names "$release"; then
                info "no headers for $release any more: fetching kernel $version and its headers anew"
                mv "$CACHE/kernel-$version" "$WORK/old"
                fetch_kernel "$version" || { mv "$WORK/old" "$CACHE/kernel-$version"; exit 1; }
                release=$(cat "$CACHE/kernel-$version/release")
                download_any "$version" "$WORK" headers_names "$release" ||
                        die "no linux-headers-$release in $(suites_of "$version"); is the network reachable?"
        fi
        extract "$WORK"
        relocate "$WORK/tree" "$release"
        [ ! -e "$CACHE/headers-$version" ] || mv "$CACHE/headers-$version" "$WORK/headers.old"
        mv "$WORK/tree" "$CACHE/headers-$version"
}

fetch_kernel() {
        with_lock "$CACHE/kernel-$1.lock" fetch "$1"
}

what=kernel
[ "${1:-}" != --headers ] || { what=headers; shift; }
[ $# -gt 0 ] || die "usage: tools/kernels.sh [--headers] VERSION…  (6.1, 6.12, 7.2)"
for version; do
        [[ $version =~ ^[0-9]+\.[0-9]+$ ]] || die "'$version' is not a kernel version such as 6.1"
        case $what in
        kernel) fetch_kernel "$version" ;;
        headers) with_lock "$CACHE/headers-$version.lock" fetch_headers "$version" ;;
        esac
        echo "$CACHE/$what-$version"
done
