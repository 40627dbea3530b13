#!/bin/bash
# Moves of 100 and 1,000 processes through the library on this host, beside bare writes of cgroup.procs.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ "$(id -u)" -eq 0 ] && [ -n "$MOUNT" ] || { echo "host-move: needs root and a cgroup2 mount" >&2; exit 77; }
GROUP=$MOUNT/chargehand-bench-move
mkdir "$GROUP"
trap 'find "$GROUP" -depth -type d -exec rmdir {} \;' EXIT
"$BENCH_BUILD/bench/bench-move" "$GROUP" "${BENCH_REPEAT:-31}"
