# A move that is cancelled at half, or meets a limit that was lowered in the middle, is undone: the processes are back, and
# so are at least 95 % of the bytes that had moved.
# timeout: 300
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b

check_back() {
        assert_eq "$(result state)" "rolled back"
        assert_eq "$(result processes.0.outcome)" returned
        assert_eq "$(cg_of "$PID")" /g/a
        moved=$(result moved_bytes)
        returned=$(result returned_bytes)
        assert_le "$moved" $((80 * MIB)) "bytes that had moved when it was stopped"
        emit "returned_permyriad_$1" $((returned * 10000 / moved))
        assert_ge "$moved" $((24 * MIB)) "bytes that had moved"
        assert_ge $((returned * 100)) $((moved * 95)) "bytes that are back"
        soon stat_ge /g/a anon $((96 * MIB - moved * 5 / 100)) "anon of the source"
        assert_le $(($(rss_of "$PID") - rss_before)) $((rss_before / 100)) "growth of the resident set"
        check_writer
}

for mode in small huge; do
        start_writer /g/a $mode 96
        rss_before=$(rss_of "$PID")
        run_move 4 --cancel-at 50 /g/b "$PID"
        assert_in "$(cat error)" Cancelled
        check_back "cancel_$mode"
        stop_writer
done

start_writer /g/a small 96
rss_before=$(rss_of "$PID")
run_move 4 --at 50 "$CG/g/b/memory.max" $((64 * MIB)) /g/b "$PID"
assert_in "$(cat error)" RolledBack
check_back lowered
assert_eq "$(cg_key /g/b memory.events oom_kill)" 0 oom_kill
assert_eq "$(cg_read /g/b memory.max)" $((64 * MIB)) "the limit is still as it was set"
cg_write /g/b memory.max max

# A journal that cannot be written is a failure like any other.
run_move 4 --fail-at charges /g/b "$PID"
assert_eq "$(result state)" "rolled back"
assert_eq "$(cg_of "$PID")" /g/a
run_move 4 --fail-at intent /g/b "$PID"
assert_eq "$(result state)" refused
check_writer

# Out of time.
run_move 4 --rate $((16 * MIB)) --timeout 1000000 /g/b "$PID"
assert_in "$(cat error)" TimedOut
assert_eq "$(cg_of "$PID")" /g/a
check_writer

# Policies that keep what was done.
run_move 4 --policy partial --cancel-at 50 /g/b "$PID"
assert_eq "$(result state)" "partly done"
assert_eq "$(cg_of "$PID")" /g/b
soon stat_ge /g/b anon $((32 * MIB)) "anon that had moved"
run_move 0 --policy lazy /g/b "$PID"
soon stat_ge /g/b anon $((96 * MIB * 98 / 100)) "anon of the target"
check_writer
stop_writer

# A cancel that comes with the last block (some kilobytes of files may follow) is a cancel, where all is to be undone.
start_writer /g/a quiet 16
run_move 4 --cancel-at 99 /g/b "$PID"
assert_in "$(cat error)" Cancelled
assert_eq "$(result state)" "rolled back"
assert_eq "$(cg_of "$PID")" /g/a
soon stat_ge /g/a anon $((16 * MIB * 95 / 100)) "anon of the source"
check_writer
