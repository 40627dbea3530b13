#!/bin/bash
# Runs every fuzzer for some seconds over its corpus: tools/fuzz.sh [SECONDS] [NAME]
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

seconds=${1:-30} only=${2:-}
[[ $seconds =~ ^[0-9]+$ ]] || die "'$seconds' is no number of seconds"
"$TOP/tools/build.sh" fuzz
status=0 found=0
for fuzzer in "$BUILD"/fuzz/tests/fuzz/fuzz-*; do
        [ -f "$fuzzer" ] && [ -x "$fuzzer" ] || continue
        name=${fuzzer##*/fuzz-}
        [ -z "$only" ] || [ "$only" = "$name" ] || continue
        found=1
        work=$BUILD/fuzz/corpus/$name
        seeds=$TOP/tests/fuzz/corpus/$name
        mkdir -p "$work"
        [ -d "$seeds" ] || seeds=$BUILD/fuzz/tests/fuzz/$name-seeds # made by the build
        [ -d "$seeds" ] || seeds=$work
        if "$fuzzer" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
                -artifact_prefix="$BUILD/fuzz/crash-$name-" "$work" "$seeds" >"$BUILD/fuzz/$name.log" 2>&1; then
                echo "  ok       $name ($(sed -n 's/^stat::number_of_executed_units: *//p' "$BUILD/fuzz/$name.log") runs)"
                tally 1 0 0
        else
                tail -n 40 "$BUILD/fuzz/$name.log"
                echo "  fail     $name: build/fuzz/$name.log, the input is build/fuzz/crash-$name-*"
                tally 0 1 0
                status=1
        fi
done
[ $found -eq 1 ] || echo "no fuzzer ${only:-}"
exit $status
