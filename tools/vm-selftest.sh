#!/bin/bash
# Proves that the VM harness tells the truth: cases that pass, skip, fail, hang, panic and want a guest
# of their own must be reported as such. tools/vm-selftest.sh [KERNEL]
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

ORDER="pass clean skipped failing stuck noisy panicked survivor alone"
WANT="pass=ok clean=ok skipped=skip failing=fail stuck=timeout noisy=ok panicked=fail survivor=ok alone=ok"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
args=()
for c in $ORDER; do args+=(--case "$TOP/tests/vm/selftest/$c.sh"); done
rc=0
CHARGEHAND_TALLY='' "$TOP/tools/vm.sh" "${1:-6.1}" --no-build --out "$out" "${args[@]}" >"$out/said" 2>&1 || rc=$?
results=$BUILD/vm/${1:-6.1}/results
got=$(for c in $ORDER; do awk -v c="$c" '$1 == "CASE" && $2 == c { printf "%s=%s ", c, $3 }' "$results"; done)
if [ "$got" = "$WANT " ] && [ $rc -eq 1 ] && grep -q 'answer 42' "$out/pass.figures" &&
        grep -q '5 passed, 3 failed, 1 skipped' "$out/said"; then
        echo "  ok       the harness reports what happens"
        tally 1 0 0
else
        cat "$out/said"
        echo "  fail     the harness: got '$got' and exit code $rc, want '$WANT' and 1"
        tally 0 1 0
        exit 1
fi
