#!/bin/bash
# Proves that the VM harness tells the truth: cases that pass, skip, fail, hang, panic and want a guest
# of their own must be reported as such; so must one that passes at its second try. tools/vm-selftest.sh [KERNEL]
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

KERNEL=${1:-6.1}
RESULTS=$BUILD/vm/$KERNEL/results
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# run CI CASE…: the cases with that value of $CI; results in $got, what was said in $out/said, exit code in $rc.
run() {
        local ci=$1 args=() c
        shift
        for c; do args+=(--case "$TOP/tests/vm/selftest/$c.sh"); done
        rc=0
        CI=$ci CHARGEHAND_TALLY=$out/tally "$TOP/tools/vm.sh" "$KERNEL" --no-build --out "$out" "${args[@]}" >"$out/said" 2>&1 || rc=$?
        got=$(for c; do awk -v c="$c" '$1 == "CASE" && $2 == c { printf "%s=%s ", c, $3 }' "$RESULTS"; done)
}

# expect NAME WANT CODE COMMAND…: that result of the run, and what else must be so
expect() {
        local name=$1 want=$2 code=$3
        shift 3
        if [ "$got" = "$want " ] && [ "$rc" -eq "$code" ] && "$@"; then
                echo "  ok       $name"
                tally 1 0 0
        else
                cat "$out/said"
                echo "  fail     $name: got '$got' and exit code $rc, want '$want' and $code, and: $*"
                tally 0 1 0
                status=1
        fi
}

by_hand() {
        grep -q 'answer 42' "$out/pass.figures" && grep -q 'the kernel complained: .*circular' "$out/said" &&
                grep -q '5 passed, 5 failed, 1 skipped' "$out/said" &&
                [ "$(cat "$out/tally")" = "5 5 1 0" ]
}

second_try() {
        grep -q '^           FAIL: the first try' "$out/said" && grep -q '1 passed, 1 failed, 0 skipped' "$out/said" &&
                [ "$(cat "$out/tally")" = "1 1 0 1" ] && [ -e "${RESULTS%/*}/flaky.first.log" ]
}

status=0
run '' pass clean skipped failing stuck noisy panicked survivor alone flaky unclean
expect "the harness reports what happens" \
        "pass=ok clean=ok skipped=skip failing=fail stuck=timeout noisy=ok panicked=fail survivor=ok alone=ok flaky=fail unclean=fail" 1 by_hand
rm -f "$out/tally"
run true failing flaky
expect "with CI=true a failure gets a second guest, and a flaky case is told of" "failing=fail flaky=flaky" 1 second_try
exit $status
