#!/bin/bash
# Runs test suites and ends with one line: N passed, N failed, N skipped. tools/test.sh [SUITE…]
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

DEFAULT="check unit bus cli model asan tsan kmod harness vm"
ALL="$DEFAULT lint fuzz"
EXTRA="coverage ledger-long dkms"
VM_KERNELS=${CHARGEHAND_TEST_KERNELS:-6.1 7.2}

# Includes, sizes, licences: each script is one test.
suite_check() {
        local script status=0
        CHECKED=1
        for script in "$TOP"/tools/check-*; do
                if "$script"; then
                        tally 1 0 0
                else
                        tally 0 1 0
                        status=1
                fi
        done
        return $status
}

# meson_suite FLAVOUR SUITE: counts from meson's own log, one object per test and line.
meson_suite() {
        local flavour=$1 suite=$2 log passed failed skipped rc=0
        log=$BUILD/$flavour/meson-logs/suite-$suite.json
        if ! meson introspect --tests "$BUILD/$flavour" | grep -q "\"[^\"]*:$suite\""; then
                echo "no tests in suite $suite"
                return
        fi
        rm -f "$log"
        meson test -C "$BUILD/$flavour" --no-rebuild --suite "$suite" --logbase "suite-$suite" \
                --print-errorlogs --timeout-multiplier "${CHARGEHAND_TIMEOUT_MULTIPLIER:-2}" >"$BUILD/$flavour.$suite.log" 2>&1 || rc=$?
        grep -E '^ *[0-9]+/[0-9]+ |^(――|Summary of Failures)' "$BUILD/$flavour.$suite.log" || true
        [ $rc -eq 0 ] || cat "$BUILD/$flavour.$suite.log"
        passed=$(grep -cE '"result": "(OK|EXPECTEDFAIL)"' "$log" 2>/dev/null || true)
        skipped=$(grep -c '"result": "SKIP"' "$log" 2>/dev/null || true)
        failed=$(grep -cE '"result": "(FAIL|TIMEOUT|ERROR|INTERRUPT|UNEXPECTEDPASS)"' "$log" 2>/dev/null || true)
        # Meson may fail without a failed test; that must not pass silently.
        [ $rc -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
        tally "$passed" "$failed" "$skipped"
        return $rc
}

# Built once per flavour and run, even if several suites ask; a failure is shown once.
built() {
        case " ${BUILT:-} " in *" $1 "*) return ;; esac
        case " ${BROKEN:-} " in *" $1 "*) echo "build/$1 does not build"; return 1 ;; esac
        if "$TOP/tools/setup.sh" build bus "flavour-$1" && "$TOP/tools/build.sh" "$1"; then
                BUILT="${BUILT:-} $1"
        else
                BROKEN="${BROKEN:-} $1"
                return 1
        fi
}

# Which lines the tests without a VM reach; the pages are in build/coverage/html.
suite_coverage() {
        local s status=0
        built coverage || return 1
        for s in unit bus cli; do meson_suite coverage "$s" || status=1; done
        mkdir -p "$BUILD/coverage/html"
        (cd "$TOP" && gcovr --root . --object-directory build/coverage --filter lib/ --filter daemon/ --filter cli/ \
                --html-details build/coverage/html/index.html --print-summary | grep '^[a-z]*:') || status=1
        return $status
}

# What threads share without locks: the ledger's tests once more, with races seen.
suite_tsan() {
        local status=0
        built tsan || return 1
        export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
        meson_suite tsan ledger || status=1
        unset TSAN_OPTIONS
        return $status
}

# The random program for as long as it takes to believe it; each run prints its seed first.
suite_ledger_long() {
        local flavour status=0 ops=${CHARGEHAND_LEDGER_OPS:-100000000}
        export TSAN_OPTIONS=halt_on_error=1 ASAN_OPTIONS=halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
        for flavour in asan tsan; do
                built "$flavour" || return 1
                info "$ops operations under $flavour"
                if "$BUILD/$flavour/tests/stress/ledger-stress" --ops "$ops"; then
                        tally 1 0 0
                else
                        tally 0 1 0
                        status=1
                fi
        done
        unset TSAN_OPTIONS ASAN_OPTIONS UBSAN_OPTIONS
        return $status
}

# The cases that load our module run on every kernel that it is for.
suite_vm() {
        local status=0 kernel others=''
        built dev && "$TOP/tools/setup.sh" vm || return 1
        # shellcheck disable=SC2086 # a list of kernels
        "$TOP/tools/vm.sh" --no-build $VM_KERNELS || status=1
        for kernel in 6.1 6.12 7.2; do
                case " $VM_KERNELS " in *" $kernel "*) ;; *) others+=" $kernel" ;; esac
        done
        # shellcheck disable=SC2086
        [ -z "$others" ] || [ -n "${CHARGEHAND_TEST_KERNELS:-}" ] || "$TOP/tools/vm.sh" --no-build --module $others || status=1
        return $status
}

suite_of() {
        case $1 in
        check) suite_check ;;
        unit | bus | cli) built dev && meson_suite dev "$1" ;;
        asan)
                local s status=0
                built asan || return 1
                export ASAN_OPTIONS=halt_on_error=1:abort_on_error=1:detect_leaks=1
                export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
                for s in unit bus cli; do meson_suite asan "$s" || status=1; done
                unset ASAN_OPTIONS UBSAN_OPTIONS
                return $status
                ;;
        tsan) suite_tsan ;;
        ledger-long) suite_ledger_long ;;
        model) "$TOP/tools/setup.sh" model && "$TOP/tools/model.sh" ;;
        harness) "$TOP/tools/setup.sh" build vm && "$TOP/tools/vm-selftest.sh" ;;
        dkms) "$TOP/tools/setup.sh" kmod && "$TOP/tools/dkms.sh" --test ;;
        kmod) "$TOP/tools/setup.sh" kmod && "$TOP/tools/kmod-check.sh" ;;
        vm) suite_vm ;;
        coverage) suite_coverage ;;
        lint) "$TOP/tools/setup.sh" lint && "$TOP/tools/lint.sh" ${CHECKED:+--no-checks} ;;
        fuzz) "$TOP/tools/setup.sh" build flavour-fuzz && "$TOP/tools/fuzz.sh" "${CHARGEHAND_FUZZ_SECONDS:-20}" ;;
        *) die "no suite '$1'; there are: $ALL" ;;
        esac
}

main() {
        local suite before status=0
        [ $# -gt 0 ] || set -- $DEFAULT
        [ "$*" != all ] || set -- $ALL
        for suite; do
                case " $ALL $EXTRA " in *" $suite "*) ;; *) die "no suite '$suite'; there are: $ALL $EXTRA all" ;; esac
        done
        mkdir -p "$BUILD"
        CHARGEHAND_TALLY=$(mktemp "$BUILD/tally.XXXXXX")
        export CHARGEHAND_TALLY
        trap 'rm -f "$CHARGEHAND_TALLY"' EXIT
        trap 'exit 130' INT TERM

        for suite; do
                echo "== $suite"
                before=$(wc -l <"$CHARGEHAND_TALLY")
                if ! suite_of "$suite"; then
                        status=1
                        # A suite that broke before it could count is a failure that must show in the sum.
                        [ "$(tail -n +$((before + 1)) "$CHARGEHAND_TALLY" | awk '{ f += $2 } END { print f + 0 }')" -gt 0 ] || tally 0 1 0
                fi
        done
        awk '{ p += $1; f += $2; s += $3; k += $4 }
                END {
                        if (k)
                                printf "%d of the cases that passed %s flaky: failed first, passed in a fresh guest; see above\n", k, (k > 1 ? "were" : "was")
                        printf "%d passed, %d failed, %d skipped\n", p, f, s
                }' "$CHARGEHAND_TALLY"
        return $status
}

# One line, so that an edit of this file does not disturb a run that is under way.
main "$@"; exit $?
