#!/bin/bash
# Runs a command beside a real systemd (Debian trixie's) as PID 1 of its own namespaces, without a VM; or beside
# chargehandd in the very same surroundings, so that the two can be compared:
#
#     tools/systemd-peer.sh [--chargehand BUILD] [--with FILE]… PROGRAM ARG…
#
#     --chargehand BUILD   chargehandd of this build directory and a system bus instead of systemd; $PEER_CONF may hold
#                          lines for its section [Runtime]
#     --with FILE          a file that the program needs: it is copied to /run/with/
#
# PROGRAM is copied in as /run/peer and runs in a group of its own below systemd's. For timings of tree, attach, kill
# and freeze beside ours on the same kernel; the hosts' cgroup2 mount may lack the memory controller.
# Touches no group but chargehand-peer (or $PEER_GROUP), which it makes and removes.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

ROOT=$CACHE/systemd-root
PACKAGES=systemd,dbus,libsystemd0,strace,crun
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
GROUP=$MOUNT/${PEER_GROUP:-chargehand-peer}

[ "$(id -u)" -eq 0 ] || die "needs root for namespaces"
[ -n "$MOUNT" ] || die "no cgroup2 mount on this host"

build_root() {
        [ "$(cat "$ROOT/.complete" 2>/dev/null)" != "$PACKAGES" ] || return 0
        have mmdebstrap || die "mmdebstrap is missing: ./dev setup"
        local mirror
        mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list* 2>/dev/null | head -n 1)
        rm -rf "$ROOT"
        info "building a root with systemd in $ROOT"
        # shellcheck disable=SC2086
        mmdebstrap --quiet --variant=minbase --include="$PACKAGES" \
                trixie "$ROOT" ${mirror:-http://deb.debian.org/debian} >&2 || die "mmdebstrap failed"
        echo "$PACKAGES" >"$ROOT/.complete"
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

# libraries PROGRAM…: those of the host that the root may lack.
libraries() {
        ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
                grep -vE '/(libc|libm|libpthread|libdl|librt|libresolv|ld-[^/]*|libsystemd)\.so'
}

# What stands for systemd when chargehandd is to be measured: a bus, the daemon, and somebody to reap.
write_init() {
        mkdir -p "$WORK/lib"
        cp "$TOP"/dbus/*.conf "$WORK/policy/"
        cp "$CHARGEHAND/daemon/chargehandd" "$WORK/chargehandd"
        # shellcheck disable=SC2046 # paths of libraries have no blanks
        cp $(libraries "$CHARGEHAND/daemon/chargehandd") "$WORK/lib/"
        printf '[Daemon]\nRoot=/sys/fs/cgroup\nMode=private\n[Runtime]\nSystemd1=yes\n%s\n' "${PEER_CONF:-}" >"$WORK/conf"
        cat >"$WORK/init" <<'INIT'
#!/bin/sh
mkdir -p /run/dbus
dbus-daemon --system --nofork --nopidfile &
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
mkdir /sys/fs/cgroup/chargehandd
(
        echo 0 >/sys/fs/cgroup/chargehandd/cgroup.procs
        LD_LIBRARY_PATH=/run/work/lib exec /run/work/chargehandd --config=/run/work/conf >/run/chargehandd.log 2>&1
) &
wait
echo "chargehandd ended" >>/run/chargehandd.log
exec sleep 1000000
INIT
        chmod +x "$WORK/init"
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
        cp "$PEER_WORK/peer" "$ROOT/run/peer"
        cp -r "$PEER_WORK" "$ROOT/run/work"
        cp -r "$PEER_WORK/with" "$ROOT/run/with"
        mount --bind "$ROOT/run/work/policy" "$ROOT/etc/dbus-1/system.d"
        cd "$ROOT"
        mkdir -p run/old
        pivot_root . run/old
        umount -l /run/old
        if [ -x /run/work/init ]; then
                exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /run/work/init
        fi
        exec env -i container=chargehand PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                /lib/systemd/systemd --unit=basic.target --log-target=null --show-status=no
}

# has_started INIT: whatever start-up still does would be measured too. The first client of the bus is what starts it.
has_started() {
        if [ -z "$CHARGEHAND" ]; then
                [ -S "/proc/$1/root/run/systemd/private" ] || return 1
                nsenter -t "$1" -a systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' || return 1
        fi
        nsenter -t "$1" -a busctl --system status org.freedesktop.systemd1 >/dev/null 2>&1
}

if [ "${PEER_STAGE:-}" = inside ]; then
        enter_root
fi

CHARGEHAND='' WITH=()
while [ $# -gt 1 ]; do
        case $1 in
        --chargehand) CHARGEHAND=$2 ;;
        --with) WITH+=("$2") ;;
        *) break ;;
        esac
        shift 2
done
[ $# -ge 1 ] || die "usage: tools/systemd-peer.sh [--chargehand BUILD] [--with FILE]… PROGRAM ARG…"

with_lock "$CACHE/systemd-root.lock" build_root
WORK=$(mktemp -d)
PEER=
trap end_peer EXIT
mkdir -p "$GROUP"
cp "$1" "$WORK/peer"
shift
mkdir "$WORK/policy" "$WORK/with"
[ ${#WITH[@]} -eq 0 ] || cp "${WITH[@]}" "$WORK/with/"
[ -z "$CHARGEHAND" ] || write_init
(
        echo "$BASHPID" >"$GROUP/cgroup.procs"
        export PEER_STAGE=inside PEER_WORK=$WORK
        exec unshare -m -p -f -C -n -u -i --kill-child "$0"
) </dev/null >"$WORK/log" 2>&1 &
UNSHARE=$!
PEER=$UNSHARE

tries=0
while :; do
        INIT=$(pgrep -P "$UNSHARE" | head -n 1 || true)
        [ -z "$INIT" ] || ! has_started "$INIT" || break
        tries=$((tries + 1))
        [ $tries -lt 300 ] || {
                cat "$WORK/log" "/proc/$INIT/root/run/chargehandd.log" >&2
                die "${CHARGEHAND:+chargehandd in place of }systemd did not start within 30 s"
        }
        sleep 0.1
done
PEER=$INIT
mkdir -p "$GROUP/chargehand-client.slice"
rc=0
(
        echo "$BASHPID" >"$GROUP/chargehand-client.slice/cgroup.procs"
        exec nsenter -t "$INIT" -a /run/peer "$@"
) || rc=$?
[ -z "$CHARGEHAND" ] || [ $rc -eq 0 ] || cat "/proc/$INIT/root/run/chargehandd.log" >&2
exit $rc
