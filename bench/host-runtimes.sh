#!/bin/bash
# org.freedesktop.systemd1 as chargehandd and as systemd 257 (PID 1) offer it, each in namespaces of its own on this
# kernel with the same root and the same kind of bus: what a container runtime waits for, and what it costs the daemon.
# Lists of system calls and messages (ours, systemd) go to $BENCH_BUILD/bench/runtimes-counts. BENCH_SIZES, BENCH_N: how much.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

SIZES=${BENCH_SIZES:-0 500 2000} PIDS=${BENCH_PIDS:-100 1000} N=${BENCH_N:-160}

# inside_all: everything but memory; in the namespaces. Prints `SIZE NAME VALUE`.
inside_all() {
        local bench=/run/with/bench-runtimes n
        for n in $SIZES; do "$bench" units "$n" "$N" | sed "s/^/$n /"; done
        for n in $PIDS; do "$bench" attach "$n" 21 | sed "s/^/$n /"; done
        "$bench" call 3000 | sed 's/^/1 /'
        "$bench" count 50 | sed 's/^/1 /'
        inside_crun "$bench" | sed 's/^/1 /'
}

# A container that mounts little and runs `true` of the root outside.
inside_crun() {
        mkdir -p /run/bundle/rootfs
        mount --bind / /run/bundle/rootfs
        cd /run/bundle
        crun spec
        sed -i 's/"terminal": true/"terminal": false/; s|^\t\t\t"sh"$|\t\t\t"true"|' config.json
        "$1" run "$N" crun --cgroup-manager=systemd run s@ --- crun --cgroup-manager=cgroupfs run c@
}

case ${1:-} in
inside) inside_all; exit ;;
# in a fresh daemon: what was returned to it and not to the kernel would count as nothing
inside-memory) /run/with/bench-runtimes memory "$2" | sed "s/^/$2 /"; exit ;;
esac

TOP=$(cd "$(dirname "$0")/.." && pwd)
PROGRAM=$BENCH_BUILD/bench/bench-runtimes
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
export PEER_GROUP=chargehand-bench BENCH_SIZES=$SIZES BENCH_PIDS=$PIDS BENCH_N=$N

skip() {
        echo "host-runtimes: needs $*" >&2
        exit 77
}

[ "$(id -u)" -eq 0 ] || skip "root"
[ -n "$MOUNT" ] || skip "a cgroup2 mount"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"; find "$MOUNT/chargehand-bench-raw" -depth -type d -exec rmdir {} \; 2>/dev/null' EXIT

# beside WHOM ARGUMENT…: this script beside chargehandd (ours) or systemd
beside() {
        local manager=()
        [ "$1" = systemd ] || manager=(--chargehand "$BENCH_BUILD")
        shift
        "$TOP/tools/systemd-peer.sh" "${manager[@]}" --policy "$TOP/bench/bench-runtimes.conf" --with "$PROGRAM" "$0" "$@"
}

measure() {
        local whom n
        for whom in ours systemd; do
                beside "$whom" inside >"$WORK/$whom"
                for n in $SIZES; do
                        [ "$n" -eq 0 ] || beside "$whom" inside-memory "$n" >>"$WORK/$whom"
                done
        done
        mkdir -p "$MOUNT/chargehand-bench-raw/0" "$MOUNT/chargehand-bench-raw/1"
        for n in $PIDS; do "$PROGRAM" raw "$n" 21 "$MOUNT/chargehand-bench-raw" | sed "s/^/$n /"; done >"$WORK/raw"
}

# value FILE SIZE NAME
value() {
        awk -v size="$2" -v name="$3" '$1 == size && $2 == name { print $NF; exit }' "$WORK/$1"
}

# row CASE SIZE UNIT OURS REFERENCE REFERENCE-NAME
row() {
        [ -n "$4" ] && [ -n "$5" ] || return 0
        awk -v case="$1" -v size="$2" -v unit="$3" -v ours="$4" -v reference="$5" -v name="$6" 'BEGIN {
                printf "{\"bench\": \"runtimes\", \"case\": \"%s\", \"size\": \"%s\", \"ours\": %s, ", case, size, ours
                printf "\"reference\": %s, \"reference_name\": \"%s\", ", reference, name
                printf "\"ratio\": %.3f, \"unit\": \"%s\"}\n", reference ? ours / reference : 0, unit }'
}

SYSTEMD='systemd 257 as PID 1'

# against CASE SIZE-TEXT UNIT SIZE NAME: the same figure of both
against() {
        row "$1" "$2" "$3" "$(value ours "$4" "$5")" "$(value systemd "$4" "$5")" "$SYSTEMD"
}

rows() {
        local n
        for n in $SIZES; do
                against "StartTransientUnit to JobRemoved" "$n scopes" µs "$n" start
                against "StopUnit to JobRemoved" "$n scopes" µs "$n" stop
                against "StopUnit at once after the start" "$n scopes" µs "$n" at_once_stop
                against "CPU per start and stop" "$n scopes" µs "$n" cpu
                against "private memory per scope" "$n scopes" bytes "$n" per_scope
                against "of it kept after the end" "$n scopes" bytes "$n" kept_per_scope
        done
        for n in $PIDS; do against "AttachProcessesToUnit" "$n processes" µs "$n" attach; done
        against "crun run true, systemd manager" 1 µs 1 run1
        against "Ping" 1 µs 1 ping
        against "Get of Manager.Version" 1 µs 1 get
        against "system calls per start and stop" 1 calls 1 syscalls
        against "bus messages per start and stop" 1 messages 1 messages
        for n in $SIZES; do
                [ "$n" -eq 0 ] || row "StartTransientUnit to JobRemoved" "$n scopes" µs "$(value ours "$n" start)" \
                        "$(value ours 0 start)" "ours beside 0 scopes"
        done
        for n in $PIDS; do
                row AttachProcessesToUnit "$n processes" µs "$(value ours "$n" attach)" "$(value raw "$n" raw)" \
                        "bare writes of cgroup.procs"
        done
        row "crun run true, systemd manager" 1 µs "$(value ours 1 run1)" "$(value ours 1 run2)" "crun's cgroupfs manager"
        row "Get of Manager.Version" 1 µs "$(value ours 1 get)" "$(value ours 1 echo)" "a bare sd-bus service on the same bus"
}

# What ours and systemd do for one start and one stop, the most frequent first.
counts() {
        awk '$2 == "syscall" || $2 == "message" { key = $2 " " $3; if (FILENAME ~ /ours$/) ours[key] = $4; else theirs[key] = $4
                all[key] }
                END { for (key in all) printf "%s %.2f %.2f\n", key, ours[key], theirs[key] }' "$WORK/ours" "$WORK/systemd" |
                sort -k1,1 -k4,4nr -k3,3nr
}

measure
rows
counts >"$BENCH_BUILD/bench/runtimes-counts"
