# No room means that nothing changes, be it in the target or in an ancestor below the lowest common one:
#
#     /g ─┬─ a        the program, 64 MiB
#         ├─ b        memory.max 32 MiB
#         └─ c ── d   memory.high of c 48 MiB
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b /g/c/d
cg_write /g/b memory.max $((32 * MIB))
cg_write /g/c memory.high $((48 * MIB))
start_writer /g/a quiet 64

picture /g /g/a /g/b /g/c /g/c/d >before
run_move 3 /g/b "$PID"
assert_in "$(cat error)" "NoRoom /g/b: memory.max is 32"
run_move 3 /g/c/d "$PID"
assert_in "$(cat error)" "NoRoom /g/c: memory.high is 48"
run_move 3 --plan /g/c/d "$PID"
assert_eq "$(result feasible)" False
assert_eq "$(result lca)" /g
picture /g /g/a /g/b /g/c /g/c/d >after
diff before after || fail "a refused move changed something"
assert_eq "$(cg_of "$PID")" /g/a
check_writer

# What is common to both is no obstacle: it pays already.
cg_write /g memory.max $((80 * MIB))
cg_create /g/e
run_move 0 /g/e "$PID"
soon stat_ge /g/e anon $((64 * MIB * 98 / 100)) "anon of the target"
cg_write /g memory.max max

# The other policies take what fits, or leave it all.
run_move 1 --policy partial /g/b "$PID"
assert_eq "$(result state)" "partly done"
assert_eq "$(cg_of "$PID")" /g/b
soon stat_ge /g/b anon $((16 * MIB)) "anon that fits"
assert_le "$(cg_read /g/b memory.current)" $((32 * MIB)) "usage of the target"
assert_eq "$(cg_key /g/b memory.events oom_kill)" 0 oom_kill
run_move 0 --policy stay /g/c/d "$PID"
assert_eq "$(cg_of "$PID")" /g/c/d
check_writer
stop_writer

# Room that page cache takes up is made first.
cg_write /g/b memory.max $((96 * MIB))
start_writer /g/a quiet 64
head -c $((80 * MIB)) /dev/zero >/var/tmp/file || skip "no room for a file"
sync
echo 3 >/proc/sys/vm/drop_caches
sh -c "echo 0 >$CG/g/b/cgroup.procs; cat /var/tmp/file >/dev/null"
note "cache of the target: $(cg_key /g/b memory.stat file)"
if [ "$(cg_key /g/b memory.stat file)" -gt $((60 * MIB)) ]; then
        run_move 0 --plan /g/b "$PID"
        assert_ge "$(result reclaim_bytes)" $((16 * MIB)) "to be reclaimed"
        run_move 0 /g/b "$PID"
        soon stat_ge /g/b anon $((64 * MIB * 98 / 100)) "anon of the target"
        check_writer
fi
