# What the kernel does not collapse, and what it does although one might think otherwise:
#
#     PR_SET_THP_DISABLE      stays, "huge pages forbidden", with the way out
#     MADV_NOHUGEPAGE         stays, likewise
#     mlocked small pages     move, and stay locked
# timeout: 150
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
# Pages on their way through per-CPU lists show no group yet.
SLACK=$(($(nproc) * 31 * 4096))
cg_create /g/a /g/b

for mode in disabled nohuge; do
        start_writer /g/a $mode 32
        run_move 0 --plan /g/b "$PID"
        assert_ge "$(staying "huge pages forbidden")" $((32 * MIB - SLACK)) "forbidden by the plan"
        assert_in "$(result staying)" "disable-thp no" "the way out"
        run_move 0 /g/b "$PID"
        assert_eq "$(cg_of "$PID")" /g/b
        assert_ge "$(staying "huge pages forbidden")" $((32 * MIB - SLACK)) "forbidden by the result"
        soon stat_ge /g/a anon $((32 * MIB)) "anon left in the source"
        check_writer
        stop_writer
done

start_writer /g/a locked 32
locked_before=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$PID/status")
run_move 0 /g/b "$PID"
soon stat_ge /g/b anon $((32 * MIB * 98 / 100)) "mlocked memory on the target"
assert_eq "$(awk '$1 == "VmLck:" { print $2 }' "/proc/$PID/status")" "$locked_before" "mlocked kB"
check_writer

# now its pages are huge and locked: those cannot be split
run_move 0 --plan /g/a "$PID"
assert_ge "$(staying locked)" $((31 * MIB)) "locked huge pages stay"
stop_writer
