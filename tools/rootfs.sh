#!/bin/bash
# Builds the guest's disk image, once per recipe, into the cache: tools/rootfs.sh prints its path.
#
# A minimal Debian 12 without systemd as PID 1, on ext4 in an MBR image with a fixed disk id, so that
# the kernel finds it by PARTUUID however the disks are numbered. Everything that changes from run to
# run (our binaries, init, cases) comes on the payload disk instead: see tests/vm/README.md.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
PATH=$PATH:/usr/sbin:/sbin

# What the cases, the demo and the benchmarks run, and the libraries our binaries link to.
PACKAGES="busybox procps util-linux kmod strace e2fsprogs python3-minimal libpython3-stdlib
        redis-server redis-tools dbus-daemon dbus-broker dbus-bin gdb-minimal
        libsystemd0 libcgroup2 cgroup-tools libjson-c5 libinih1 liburcu8 libcap2 libbpf1 libasan8 libubsan1"

# busctl without the rest of systemd: unpacked from its package with the library it links to, not installed.
EXTRACT="systemd"
EXTRACT_FILES="./usr/bin/busctl ./bin/busctl ./lib/systemd/libsystemd-shared-*.so ./usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-*.so"

DISK_ID=0xc4a76e4d
IMAGE_MIB=1100

# The first program of the guest: only mounts what it takes to unpack the payload, then hands over.
write_stub() {
        cat >"$1" <<'STUB'
#!/bin/sh
# First program of the test guest: finds the payload disk, unpacks it, hands over to the real init.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mountpoint -q /dev || mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755,size=75% run /run
mkdir /run/payload
tries=0
while [ $tries -lt 500 ]; do
        for ctrl in /sys/class/nvme/nvme*; do
                [ "$(cat "$ctrl/serial" 2>/dev/null | tr -d ' ')" = payload ] || continue
                disk=/dev/${ctrl##*/}n1
                [ -b "$disk" ] || continue
                tar -xf "$disk" -C /run/payload || echo "chargehand: payload disk is damaged"
                exec /run/payload/init
        done
        tries=$((tries + 1))
        sleep 0.02
done
echo "chargehand: no payload disk among $(cat /sys/class/nvme/*/serial | tr '\n' ' ')"
exec sleep 1
STUB
        chmod 755 "$1"
}

key() {
        { cat "$0"; } | sha256sum | cut -c1-16
}

trim() {
        local root=$1
        rm -rf "$root"/usr/share/{doc,man,locale,info,lintian,bash-completion,common-licenses} \
                "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/* \
                "$root"/usr/share/zoneinfo "$root"/usr/lib/x86_64-linux-gnu/gconv
        mkdir -p "$root/var/lib/dbus"
        echo c4a76e4dc4a76e4dc4a76e4dc4a76e4d >"$root/etc/machine-id"
        ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
        echo chargehand-vm >"$root/etc/hostname"
        printf '127.0.0.1 localhost chargehand-vm\n' >"$root/etc/hosts"
}

# An unprivileged user for the tests of refusals.
add_user() {
        grep -q '^tester:' "$1/etc/passwd" || echo 'tester:x:1000:1000::/tmp:/bin/sh' >>"$1/etc/passwd"
        grep -q '^tester:' "$1/etc/group" || echo 'tester:x:1000:' >>"$1/etc/group"
        grep -q '^tester:' "$1/etc/shadow" || echo 'tester:*:19000:0:99999:7:::' >>"$1/etc/shadow"
        grep -q '^messagebus:' "$1/etc/passwd" || die "the guest has no messagebus user: dbus-daemon would not start"
}

make_image() {
        local root=$1 image=$2
        truncate -s "${IMAGE_MIB}M" "$image"
        printf 'label: dos\nlabel-id: %s\nstart=2048, type=83\n' "$DISK_ID" | sfdisk -q "$image"
        mke2fs -q -t ext4 -O ^has_journal -b 4096 -m 0 -L root -E offset=1048576 -d "$root" \
                "$image" "$(((IMAGE_MIB - 1) * 256))"
}

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
        make_image "$root" "$work/image"
        mv "$work/image" "$image"
        # Images of other recipes may serve other clones; the three newest stay.
        find "$CACHE" -maxdepth 1 -name 'rootfs-*.img' -printf '%T@ %p\n' | sort -rn | tail -n +4 | cut -d' ' -f2- | xargs -r rm -f
}

[ "$(id -u)" -eq 0 ] || die "the image can only be built by root (once): sudo CHARGEHAND_CACHE=$CACHE tools/rootfs.sh"
image=$CACHE/rootfs-$(key).img
with_lock "$CACHE/rootfs.lock" build "$image"
echo "$image"
