#!/bin/bash
# org.freedesktop.systemd1 as chargehandd and as systemd 257 (PID 1) offer it, each in namespaces of its own on this
# kernel, with the same root and the same kind of bus. BENCH_SIZES, BENCH_PIDS, BENCH_N: how much (tests/vm/runtimes.sh).
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

# In the namespaces: a container that runs `true` of the root outside.
inside_crun() {
        mkdir -p /run/bundle/rootfs
        mount --bind / /run/bundle/rootfs
        cd /run/bundle
        crun spec
        sed -i 's/"terminal": true/"terminal": false/; s|^\t\t\t"sh"$|\t\t\t"true"|' config.json
        measure_crun
}

if [ "${1:-}" = inside ]; then
        PROGRAM=/run/with/bench-runtimes
        . /run/with/runtimes.sh
        shift
        "$@"
        exit
fi

TOP=$(cd "$(dirname "$0")/.." && pwd)
PROGRAM=$BENCH_BUILD/bench/bench-runtimes
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
. "$TOP/tests/vm/runtimes.sh"
export PEER_GROUP=chargehand-bench BENCH_SIZES=$SIZES BENCH_PIDS=$PIDS BENCH_N=$N

skip() {
        echo "host-runtimes: needs $*" >&2
        exit 77
}

[ "$(id -u)" -eq 0 ] || skip "root"
[ -n "$MOUNT" ] || skip "a cgroup2 mount"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# beside WHOM ARGUMENT…: this script beside chargehandd (ours) or systemd
beside() {
        local manager=()
        [ "$1" = systemd ] || manager=(--chargehand "$BENCH_BUILD")
        shift
        "$TOP/tools/systemd-peer.sh" "${manager[@]}" --with "$PROGRAM" --with "$TOP/tests/vm/runtimes.sh" "$0" inside "$@"
}

for whom in ${BENCH_WHOM:-ours systemd}; do
        for verb in measure_runtimes inside_crun; do beside $whom $verb >>"$WORK/$whom"; done
        for n in $SIZES; do [ "$n" -eq 0 ] || beside $whom measure_memory "$n" >>"$WORK/$whom"; done
done
measure_raw "$MOUNT/chargehand-bench-raw" >"$WORK/raw"
[ -z "${BENCH_KEEP:-}" ] || cp "$WORK"/* "$BENCH_KEEP"
[ -n "${BENCH_WHOM:-}" ] || "$TOP/bench/rows-runtimes.sh" "$WORK"
