#!/bin/bash
# chargectl list and tree over 1,000 and 10,000 groups on this host, reading directly, beside cat of the same seven files of
# each group: the growth per group is the point.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

REPEAT=${BENCH_REPEAT:-7}
MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ "$(id -u)" -eq 0 ] && [ -n "$MOUNT" ] || { echo "host-list: needs root and a cgroup2 mount" >&2; exit 77; }
GROUP=$MOUNT/chargehand-bench-list
WORK=$(mktemp -d)
trap 'find "$GROUP" -depth -type d -exec rmdir {} \; ; rm -rf "$WORK"' EXIT
mkdir "$GROUP"

# make N: leaves in slices of 100
make_groups() {
        local i
        for ((i = 0; i < $1 / 100; i++)); do
                mkdir -p "$GROUP/s$i"
                (cd "$GROUP/s$i" && seq -f 'g%g' 100 | xargs mkdir -p)
        done
}

# usec COMMAND…: median wall time
usec() {
        local i begin end
        for ((i = 0; i < REPEAT; i++)); do
                begin=$(date +%s%N)
                "$@" >/dev/null
                end=$(date +%s%N)
                echo $(((end - begin) / 1000))
        done | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# What a script would do: the files that the list shows, one open, read and close each.
floor() {
        find "$GROUP" -type f \( -name cgroup.procs -o -name cgroup.events -o -name cgroup.controllers -o -name cgroup.freeze \
                -o -name cgroup.type -o -name cgroup.stat -o -name cgroup.subtree_control \) -exec cat {} +
}

for n in 1000 10000; do
        make_groups "$n"
        reference=$(usec floor)
        for verb in list tree; do
                ours=$(usec "$BENCH_BUILD/cli/chargectl" --root="$GROUP" "$verb" --no-pager)
                awk -v v="$verb" -v n="$n" -v o="$ours" -v r="$reference" 'BEGIN {
                        printf "{\"bench\": \"list\", \"case\": \"chargectl %s, per group\", ", v
                        printf "\"size\": \"%d groups\", \"ours\": %.2f, \"reference\": %.2f, ", n, o / n, r / n
                        printf "\"reference_name\": \"find and cat of seven files a group\", "
                        printf "\"ratio\": %.3f, \"unit\": \"µs\"}\n", o / r }'
        done
done
