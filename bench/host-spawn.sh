#!/bin/bash
# A program started straight inside a group on this host, beside posix_spawn and beside fork and write: back to back and apart.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ "$(id -u)" -ne 0 ] || [ -z "$MOUNT" ]; then
        echo "host-spawn: needs root and a cgroup2 mount" >&2
        exit 77
fi
GROUP=$MOUNT/chargehand-bench-spawn
mkdir -p "$GROUP"
trap 'rmdir "$GROUP"' EXIT
for gap in 0 60; do
        "$BENCH_BUILD/bench/bench-spawn" "$GROUP" $gap "${BENCH_REPEAT:-101}"
done
