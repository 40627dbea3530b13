#!/bin/bash
# Builds disk images with the container runtimes of Debian releases: tools/suites.sh SUITE… prints a path for each.
#
# Each is a whole userland on ext4: crun, runc, podman and conmon as that release ships them, its real
# systemd, and a small container image that needs no network. A case asks for them by `# suites:`; they
# are then mounted at /suites/SUITE, or one of them is the guest itself (`# boot: systemd`).
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/guest.sh"

PACKAGES="crun runc podman conmon catatonit uidmap fuse-overlayfs busybox-static
        dbus-daemon dbus-bin dbus-user-session systemd systemd-sysv
        procps util-linux kmod strace python3-minimal libpython3-stdlib libjson-c5 libinih1 libcap2 libbpf1"
IMAGE_MIB=1200

# disk_id SUITE: tells the images apart, so that the kernel can be told which of them is its root.
disk_id() {
        case $1 in
        bookworm) echo c4a76e50 ;;
        trixie) echo c4a76e51 ;;
        sid) echo c4a76e52 ;;
        *) die "no suite '$1'; there are: bookworm trixie sid" ;;
        esac
}

# Libraries whose package name is not the same everywhere.
packages_of() {
        case $1 in
        bookworm) echo $PACKAGES liburcu8 ;;
        *) echo $PACKAGES liburcu8t64 ;;
        esac
}

mirror() {
        local found
        found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
                sed 's,/*$,,' | grep -m1 '/debian$' || true)
        echo "${found:-http://deb.debian.org/debian}"
}

# What a host without network and without systemd tells podman; docs/runtimes.md explains each line.
configure_podman() {
        local etc=$1/etc/containers
        mkdir -p "$etc"
        cat >"$etc/containers.conf" <<'CONF'
[containers]
log_driver = "k8s-file"
netns = "none"
[engine]
cgroup_manager = "systemd"
events_logger = "file"
runtime = "crun"
CONF
        cat >"$etc/storage.conf" <<'CONF'
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
CONF
        echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$etc/policy.json"
        echo 'unqualified-search-registries = []' >"$etc/registries.conf"
        echo tester:100000:65536 >"$1/etc/subuid"
        echo tester:100000:65536 >"$1/etc/subgid"
}

# The container: one static busybox, as a directory for crun and runc, as a tar for podman.
make_container() {
        local top=$1/srv/rootfs name
        mkdir -p "$top"/{bin,dev,etc,proc,sys,tmp,run}
        cp "$(find "$1/usr/bin" "$1/bin/" -name busybox -type f | head -n 1)" "$top/bin/busybox"
        for name in sh sleep cat echo true false kill ls id dd head tail grep wc seq mkdir touch; do
                ln -s busybox "$top/bin/$name"
        done
        echo 'root:x:0:0:root:/:/bin/sh' >"$top/etc/passwd"
        echo 'root:x:0:' >"$top/etc/group"
        tar -C "$top" --owner=0 --group=0 -cf "$1/srv/rootfs.tar" .
}

# The guest with systemd as PID 1 does nothing but run the cases.
quiet_systemd() {
        local unit
        for unit in systemd-udevd.service systemd-timesyncd.service systemd-resolved.service systemd-firstboot.service \
                systemd-networkd.service e2scrub_reap.service getty.target podman.service podman.socket podman-restart.service \
                podman-auto-update.service podman-clean-transient.service systemd-udev-trigger.service \
                ldconfig.service modprobe@efi_pstore.service systemd-random-seed.service netavark-dhcp-proxy.socket; do
                ln -sf /dev/null "$1/etc/systemd/system/$unit"
        done
        rm -f "$1"/etc/systemd/system/timers.target.wants/*
        # Nothing to do at the first boot, which is every boot.
        touch "$1/etc/.updated" "$1/var/.updated"
}

build() {
        local suite=$1 image=$2 work root
        [ -e "$image" ] && return
        have mmdebstrap || die "mmdebstrap is missing: ./dev setup"
        work=$(mktemp -d "$CACHE/suite.XXXXXX")
        # shellcheck disable=SC2064 # the directory is known now
        trap "rm -rf --one-file-system '$work'" EXIT
        root=$work/root
        info "building the container runtimes of $suite (once, about a minute)"
        # A mirror's expired Release file (sid) is still signed, and what it gives only ever runs inside a guest.
        mmdebstrap --quiet --variant=minbase --mode=root --include="$(packages_of "$suite" | tr -s ' \n' ,)" \
                --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
                --aptopt='Acquire::Check-Valid-Until "false"' \
                "$suite" "$root" "$(mirror)" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "mmdebstrap of $suite failed"; }
        trim "$root"
        add_user "$root"
        configure_podman "$root"
        make_container "$root"
        quiet_systemd "$root"
        write_stub "$root/usr/sbin/vm-init"
        mkdir -p "$root/run" "$root/proc" "$root/sys" "$root/dev"
        make_image "$root" "$work/image" "$IMAGE_MIB" "$(disk_id "$suite")"
        mv "$work/image" "$image"
        keep_newest 3 "suite-$suite-*.img"
}

if [ "${1:-}" = --disk-id ]; then
        disk_id "${2:-}"
        exit
fi
[ "$(id -u)" -eq 0 ] || die "the images can only be built by root (once): sudo CHARGEHAND_CACHE=$CACHE tools/suites.sh"
[ $# -gt 0 ] || die "usage: tools/suites.sh SUITE…  (bookworm trixie sid)"
for suite; do
        disk_id "$suite" >/dev/null
        image=$CACHE/suite-$suite-$(key "$0" "$TOP/tools/guest.sh").img
        with_lock "$CACHE/suite-$suite.lock" build "$suite" "$image"
        echo "$image"
done
