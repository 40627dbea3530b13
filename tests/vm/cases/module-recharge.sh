# A kernel with the patches of kmod/patches moves memory by itself, and watches itself while it does:
#
#     /g/a ─ 64 MiB, huge pages forbidden or given, a writer at work ─▶ /g/b      process_madvise(MADV_RECHARGE)
#
# The selftest that comes with the patches passes. The library finds the advice by itself, moves everything with it, to the
# page, with no huge page split and nothing copied. Lockdep, KASAN and kmemleak have nothing to say, and no group is left dying.
# timeout: 300
# kernels: debug
# mem: 2048
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
kernel_mark

# --- the library
cg_create /g/a /g/b
all_on_target() {
        assert_ge "$(cg_key /g/b memory.stat anon)" $((64 * MIB)) "anon of the target"
        assert_le "$(cg_key /g/a memory.stat anon)" 65536 "anon left behind"
}
for mode in small huge; do
        start_writer /g/a $mode 64
        huge=$(awk '$1 == "AnonHugePages:" { print $2 }' "/proc/$PID/smaps_rollup")
        run_move 0 /g/b "$PID"
        cat result
        assert_eq "$(cg_of "$PID")" /g/b
        assert_eq "$(result state)" finished
        grep -q recharge result || fail "the result does not speak of recharge"
        ! grep -q collapse result || fail "something was collapsed"
        soon all_on_target
        assert_eq "$(awk '$1 == "AnonHugePages:" { print $2 }' "/proc/$PID/smaps_rollup")" "$huge" "kB of huge pages"
        emit "charges_usec_$mode" "$(result charges_usec)"
        check_writer

        # and back, while it writes
        run_move 0 /g/a "$PID"
        check_writer
        stop_writer
done

# --- no room: a half has come, nobody was killed, and what is there is whole
start_writer /g/a small 64
cg_write /g/b memory.max $((32 * MIB))
cg_write /g/b memory.swap.max 0
run_move 1 --policy partial /g/b "$PID"
assert_ge "$(result moved_bytes)" $((16 * MIB)) "bytes that found room"
assert_le "$(cg_read /g/b memory.current)" $((32 * MIB)) "charged to the target"
check_writer
assert_eq "$(cg_key /g/b memory.events oom_kill)" 0 "killed by OOM"
stop_writer
cg_write /g/b memory.max max

# --- the kernel's own test
"$TESTS/files/test_recharge" >selftest || { cat selftest; fail "the selftest of MADV_RECHARGE"; }
cat selftest
! grep -q SKIP selftest || fail "parts of the selftest were skipped"

# --- what remains: no charges, no dying groups, no leaks, no complaints
nothing_left() {
        assert_le "$(cg_key /g/a memory.stat anon)" 0 "anon of the source"
        assert_le "$(cg_key /g/b memory.stat anon)" 0 "anon of the target"
}
soon nothing_left
# Page cache and what waits in per-CPU lists keep a removed group too, and are nothing of ours.
none_dying() {
        echo 3 >/proc/sys/vm/drop_caches
        assert_eq "$(awk '$1 == "nr_dying_descendants" { print $2 }' /sys/fs/cgroup/g/cgroup.stat)" 0 "dying groups"
}
cg_remove /g/a
cg_remove /g/b
swapoff /dev/zram0
soon none_dying
swapon /dev/zram0
echo scan >/sys/kernel/debug/kmemleak
echo scan >/sys/kernel/debug/kmemleak
cat /sys/kernel/debug/kmemleak >leaks
! grep -qE 'recharge|memcg|mem_cgroup' leaks || { cat leaks; fail "memory leaks"; }
module_clean
