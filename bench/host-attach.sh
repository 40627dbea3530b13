#!/bin/bash
# 100 and 1,000 processes in one move on this host: chargehandd's whole job (trees resolved, each process verified) beside systemd's
# AttachProcessesToUnit with the pids given, and beside bare writes of cgroup.procs.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

TOP=$(cd "$(dirname "$0")/.." && pwd)
SIZES=${BENCH_N:-100 1000} REPEAT=${BENCH_REPEAT:-21}
PROGRAM=$BENCH_BUILD/bench/bench-attach
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
GROUP=$MOUNT/chargehand-bench

skip() {
        echo "host-attach: needs $*" >&2
        exit 77
}

[ "$(id -u)" -eq 0 ] || skip "root"
[ -n "$MOUNT" ] || skip "a cgroup2 mount"
command -v dbus-daemon >/dev/null || skip "dbus-daemon"

cleanup() {
        [ -z "${DAEMON:-}" ] || kill "$DAEMON" 2>/dev/null || true
        [ -z "${BUS:-}" ] || kill "$BUS" 2>/dev/null || true
        wait 2>/dev/null || true
        find "$GROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        rm -rf "$WORK"
}
# The daemon's state is where it is by default, in memory: the journal's fsync is to cost what it costs there.
SHM=/run
[ "$(stat -f -c %T /run)" = tmpfs ] || SHM=/dev/shm
WORK=$(mktemp -d -p $SHM)
trap cleanup EXIT
mkdir -p "$GROUP/raw/0" "$GROUP/raw/1" "$GROUP/ours"

# median FILE: of the second half, when caches and groups are warm
median() {
        tail -n +$((REPEAT / 4 + 1)) "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# until_ready COMMAND…: polls for ten seconds
until_ready() {
        local tries=0
        until "$@" >/dev/null 2>&1; do
                tries=$((tries + 1))
                [ $tries -lt 200 ] || { cat "$WORK"/*.log >&2; echo "host-attach: in vain: $*" >&2; exit 1; }
                sleep 0.05
        done
}

start_daemon() {
        ADDRESS=unix:path=$WORK/bus
        cat >"$WORK/bus.conf" <<CONF
<busconfig><listen>$ADDRESS</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"
eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
CONF
        dbus-daemon --config-file="$WORK/bus.conf" --nofork >"$WORK/bus.log" 2>&1 &
        BUS=$!
        until_ready test -S "$WORK/bus"
        : >"$WORK/conf"
        "$BENCH_BUILD/daemon/chargehandd" --config="$WORK/conf" --root="$GROUP/ours" --mode=private --bus="$ADDRESS" \
                --state="$WORK/state" >"$WORK/daemon.log" 2>&1 &
        DAEMON=$!
        until_ready busctl --address="$ADDRESS" status org.chargehand1
}

row() {
        awk -v case="$1" -v n="$N" -v ours="$2" -v reference="$3" -v name="$4" 'BEGIN {
                printf "{\"bench\": \"attach\", \"case\": \"%s\", \"size\": \"%d processes\", \"ours\": %d, ", case, n, ours
                printf "\"reference\": %d, \"reference_name\": \"%s\", ", reference, name
                printf "\"ratio\": %.3f, \"unit\": \"µs\"}\n", ours / reference }'
}

measure() {
        "$PROGRAM" raw "$N" "$REPEAT" "$GROUP/raw" >"$WORK/raw"
        "$PROGRAM" chargehand "$N" "$REPEAT" "$ADDRESS" >"$WORK/ours"
        "$TOP/tools/systemd-peer.sh" "$PROGRAM" systemd "$N" "$REPEAT" >"$WORK/systemd" || rm -f "$WORK/systemd"
        row "whole job, with trees" "$(median "$WORK/ours")" "$(median "$WORK/raw")" "bare writes of cgroup.procs"
        [ ! -s "$WORK/systemd" ] || row "whole job, with trees" "$(median "$WORK/ours")" "$(median "$WORK/systemd")" \
                "systemd's AttachProcessesToUnit, no trees"
}

start_daemon
for N in $SIZES; do measure; done
