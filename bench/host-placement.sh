#!/bin/bash
# The placement simulator: our planner with the real ledger beside what others do, on the same made-up workloads. The same
# seeds give the same figures on every machine, but for the times.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

SIZES=${BENCH_SIZES:-1000 5000} SEEDS=${BENCH_REPEAT:-5} SECONDS_OF_MODEL=${BENCH_SECONDS:-1800}
TOP=$(cd "$(dirname "$0")/.." && pwd)
PROGRAM=$BENCH_BUILD/bench/bench-placement
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

planners=()
for name in affinity affinity-hold spread affinity-no-claims least round-robin static requests; do
        planners+=(--planner "$name")
done
for size in $SIZES; do
        for ((seed = 1; seed <= SEEDS; seed++)); do
                "$PROGRAM" --groups "$size" --seed $seed --seconds "$SECONDS_OF_MODEL" "${planners[@]}" >>"$WORK/runs-$size.json"
        done
done
"$PROGRAM" --replay "$TOP/bench/traces/build.tsv" "${planners[@]}" >"$WORK/recorded.json"
"$PROGRAM" --decisions >"$WORK/decisions.json"
"$PROGRAM" --contest >"$WORK/contest.json"
[ -z "${BENCH_KEEP:-}" ] || cp "$WORK"/* "$BENCH_KEEP"
"$TOP/bench/rows-placement.py" "$WORK"
