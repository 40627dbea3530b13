#!/bin/bash
# Runs a command beside a real systemd (Debian trixie's) as PID 1 of its own namespaces, without a VM:
#
#     tools/systemd-peer.sh PROGRAM ARG…
#
# PROGRAM is copied in as /run/peer and runs in a group of its own below systemd's. For timings of tree, attach, kill
# and freeze beside ours on the same kernel; the hosts' cgroup2 mount may lack the memory controller.
# Touches no group but chargehand-peer, which it makes and removes.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

ROOT=$CACHE/systemd-root
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
GROUP=$MOUNT/chargehand-peer

[ "$(id -u)" -eq 0 ] || die "needs root for namespaces"
[ -n "$MOUNT" ] || die "no cgroup2 mount on this host"
[ $# -ge 1 ] || die "usage: tools/systemd-peer.sh PROGRAM ARG…"

build_root() {
        [ -e "$ROOT/.complete" ] && return
        have mmdebstrap || die "mmdebstrap is missing: ./dev setup"
        local mirror
        mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list* 2>/dev/null | head -n 1)
        rm -rf "$ROOT"
        info "building a root with systemd in $ROOT"
        # shellcheck disable=SC2086
        mmdebstrap --quiet --variant=minbase --include=systemd,dbus-daemon,dbus-system-bus-common,libsystemd0 \
                trixie "$ROOT" ${mirror:-http://deb.debian.org/debian} || die "mmdebstrap failed"
        touch "$ROOT/.complete"
}

end_peer() {
        [ -z "${PEER:-}" ] || kill -9 "$PEER" 2>/dev/null || true
        wait 2>/dev/null || true
        local tries=0
        while [ -d "$GROUP" ] && [ $tries -lt 100 ]; do
                find "$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
                tries=$((tries + 1))
                sleep 0.05
        done
        [ ! -d "$GROUP" ] || echo "systemd-peer: $GROUP could not be removed" >&2
        rm -rf "$WORK"
}

# In the new namespaces: the cgroup namespace makes our group systemd's root.
enter_root() {
        mount --make-rprivate /
        mount --bind "$ROOT" "$ROOT"
        mount -t tmpfs tmpfs "$ROOT/run"
        mount -t tmpfs tmpfs "$ROOT/tmp"
        mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
        for node in null zero full random urandom tty; do
                : >"$ROOT/dev/$node"
                mount --bind "/dev/$node" "$ROOT/dev/$node"
        done
        mount -t proc proc "$ROOT/proc"
        mount -t sysfs -o ro sysfs "$ROOT/sys" 2>/dev/null || mount -t tmpfs tmpfs "$ROOT/sys"
        mkdir -p "$ROOT/sys/fs/cgroup" 2>/dev/null || true
        mount -t cgroup2 cgroup2 "$ROOT/sys/fs/cgroup"
        cp "$1" "$ROOT/run/peer"
        mkdir -p "$ROOT/run/old"
        cd "$ROOT"
        pivot_root . run/old
        umount -l /run/old
        exec env -i container=chargehand PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                /lib/systemd/systemd --unit=basic.target --log-target=null --show-status=no
}

if [ "${PEER_STAGE:-}" = inside ]; then
        enter_root "$@"
fi

build_root
WORK=$(mktemp -d)
PEER=
trap end_peer EXIT
mkdir -p "$GROUP"
PROGRAM=$1
shift
(
        echo "$BASHPID" >"$GROUP/cgroup.procs"
        PEER_STAGE=inside exec unshare -m -p -f -C -n -u -i --kill-child "$0" "$PROGRAM"
) </dev/null >"$WORK/log" 2>&1 &
UNSHARE=$!
PEER=$UNSHARE

tries=0
while :; do
        INIT=$(pgrep -P "$UNSHARE" | head -n 1 || true)
        [ -z "$INIT" ] || [ ! -S "/proc/$INIT/root/run/systemd/private" ] || break
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { cat "$WORK/log" >&2; die "systemd did not start within 30 s"; }
        sleep 0.1
done
PEER=$INIT
# Whatever start-up still does would be measured too.
until nsenter -t "$INIT" -a systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || die "systemd did not finish starting within 30 s"
        sleep 0.1
done
mkdir -p "$GROUP/chargehand-client.slice"
(
        echo "$BASHPID" >"$GROUP/chargehand-client.slice/cgroup.procs"
        exec nsenter -t "$INIT" -a /run/peer "$@"
)
