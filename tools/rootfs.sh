#!/bin/bash
# Builds the guest's disk image, once per recipe, into the cache: tools/rootfs.sh prints its path.
#
# A minimal Debian 12 without systemd as PID 1, on ext4 in an MBR image with a fixed disk id, so that
# the kernel finds it by PARTUUID however the disks are numbered. Everything that changes from run to
# run (our binaries, init, cases) comes on the payload disk instead: see tests/vm/README.md.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/guest.sh"

# What the cases, the demo and the benchmarks run, and the libraries our binaries link to.
PACKAGES="busybox procps util-linux kmod strace e2fsprogs python3-minimal libpython3-stdlib
        redis-server redis-tools dbus-daemon dbus-broker dbus-bin gdb-minimal
        libsystemd0 libcgroup2 cgroup-tools libjson-c5 libinih1 liburcu8 libcap2 libbpf1 libasan8 libubsan1"

# Clients of systemd's bus API without the rest of it: unpacked from their package with the library they link to, not installed.
EXTRACT="systemd"
EXTRACT_FILES="./usr/bin/busctl ./usr/bin/systemd-run ./usr/bin/systemd-cgls ./usr/bin/systemd-cgtop ./bin/systemctl
        ./lib/systemd/libsystemd-shared-*.so ./usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-*.so"

DISK_ID=c4a76e4d
IMAGE_MIB=1100

unpack_extras() {
        local root=$1 work=$2 name
        mkdir -p "$work/extra"
        for name in $EXTRACT; do
                (cd "$work/extra" && apt-get -qq -o APT::Sandbox::User=root download "$name") || return 0
        done
        for deb in "$work"/extra/*.deb; do
                # shellcheck disable=SC2086 # patterns for tar
                dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --wildcards $EXTRACT_FILES 2>/dev/null || true
        done
}

build() {
        local image=$1 work root
        [ -e "$image" ] && return
        work=$(mktemp -d "$CACHE/rootfs.XXXXXX")
        # shellcheck disable=SC2064 # the directory is known now
        trap "rm -rf --one-file-system '$work'" EXIT
        root=$work/root
        info "building the guest's root file system (once, about a minute)"
        # shellcheck disable=SC2086 # a list of package names
        mmdebstrap --quiet --variant=minbase --mode=root --include="$(echo $PACKAGES | tr -s ' \n' ,)" \
                --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
                bookworm "$root" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "mmdebstrap failed"; }
        unpack_extras "$root" "$work"
        trim "$root"
        add_user "$root"
        write_stub "$root/sbin/vm-init"
        mkdir -p "$root/run" "$root/proc" "$root/sys" "$root/dev"
        make_image "$root" "$work/image" "$IMAGE_MIB" "$DISK_ID"
        mv "$work/image" "$image"
        keep_newest 3 'rootfs-*.img'
}

[ "$(id -u)" -eq 0 ] || die "the image can only be built by root (once): sudo CHARGEHAND_CACHE=$CACHE tools/rootfs.sh"
image=$CACHE/rootfs-$(key "$0" "$TOP/tools/guest.sh").img
with_lock "$CACHE/rootfs.lock" build "$image"
echo "$image"
