#!/bin/bash
# Searches the state spaces of the models: tools/model.sh [FILE…]
# The right ones must have no error anywhere, each wrong one must have one: a model that cannot fail proves nothing.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# search FILE FLAGS OPTIMISATION: spin's verdict in $WORK/out
search() {
        rm -f "$WORK"/pan*
        # shellcheck disable=SC2086 # a list of flags
        (cd "$WORK" && spin $2 -a "$1" && gcc -w "$3" -DSAFETY -DCOLLAPSE -DMEMLIM=4096 -o pan pan.c && ./pan -m200000 -n) \
                >"$WORK/out" 2>&1 || { tail -n 20 "$WORK/out" >&2; return 1; }
        grep -q 'errors: [0-9]' "$WORK/out" || { tail -n 20 "$WORK/out" >&2; return 1; }
}

# Nothing was left unsearched: neither for want of depth nor of memory.
is_whole() {
        ! grep -qE 'max search depth too small|out of memory|hit memory limit|Search not completed' "$WORK/out"
}

# expect FILE KIND TITLE FLAGS
expect() {
        local errors states optimise=-O0
        [ "$2" = wrong ] || optimise=-O1 # the whole space takes longer than the compiler
        search "$1" "$4" $optimise || { echo "not ok $3: spin failed"; return 1; }
        errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$WORK/out")
        states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$WORK/out")
        if [ "$2" = right ] && [ "$errors" -eq 0 ] && is_whole; then
                echo "ok     $3: right, $states states"
        elif [ "$2" = wrong ] && [ "$errors" -gt 0 ] && grep -q '^pan:1: assertion violated' "$WORK/out"; then
                echo "ok     $3: found wrong after $states states"
        else
                grep -E '^pan|error|depth|memory' "$WORK/out" >&2 || true
                echo "not ok $3: expected $2, $errors errors after $states states"
                return 1
        fi
}

run_model() {
        local line kind title flags n=0
        while IFS= read -r line; do
                read -r kind title <<<"$line"
                flags=${title##*:}
                n=$((n + 1))
                if expect "$1" "$kind" "$(basename "$1" .pml), ${title%:*}" "$flags"; then
                        tally 1 0 0
                else
                        tally 0 1 0
                        STATUS=1
                fi
        done < <(sed -n 's/^ \* @\(right\|wrong\) /\1 /p' "$1")
        [ $n -gt 0 ] || die "$1 names no runs"
}

STATUS=0
[ $# -gt 0 ] || set -- "$TOP"/lib/ledger/model/*.pml
for model; do run_model "$(realpath "$model")"; done
exit $STATUS
