# Verbs of the cases about the kernel module: `. "$TESTS/module.sh"` after lib.sh and move.sh.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

# It would collapse what the programs have laid out on purpose.
KHUGEPAGED=/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
trap 'echo always >"$THP"; echo 10000 >$KHUGEPAGED' EXIT
echo 3600000 >$KHUGEPAGED

# module_program SECONDS PROGRAM…: must end well within that time on an idle machine; tells where in the kernel it is if it does not.
module_program() {
        _seconds=$(awk -v s="$1" -v f="${SLOW:-1}" 'BEGIN { printf "%d", s * f }')
        shift
        "$@" &
        _program=$!
        (
                sleep "$_seconds"
                for _p in $(pgrep -f '^(/proc/self/exe|.*/)?prog-module'); do
                        echo "$(cat "/proc/$_p/comm") $_p $(cut -d' ' -f1-3 "/proc/$_p/syscall"): $(tr '\n' ' ' <"/proc/$_p/stack")"
                done
                kill -KILL $_program
        ) &
        _watchdog=$!
        _rc=0
        wait $_program || _rc=$?
        pkill -P $_watchdog || true
        kill $_watchdog 2>/dev/null || true
        assert_eq $_rc 0 "exit code of $1"
}
