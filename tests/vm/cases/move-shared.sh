# Address spaces that several processes share: the plan says who pays, and what that means for the move.
#
#     clone-vm   parent ═ sibling (one mm)     moved together, the owner alone, the sibling alone
#     vfork      parent ═ child in flight
#     memfd      two processes, one file       stays: shared memory follows nobody
# timeout: 150
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
# Pages on their way through per-CPU lists show no group yet.
SLACK=$(($(nproc) * 31 * 4096))
cg_create /g/a /g/b

lines() {
        [ "$(wc -l <"$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

start_sharers() {
        rm -f ready
        cg_run /g/a prog-memory "$PWD/ready" "$1" 32
        wait_for 30 lines ready 1
        CHILD=$(sed -n 1p ready)
}

for mode in clone-vm vfork; do
        # the child alone: the parent, which stays, owns the memory and pays
        start_sharers $mode
        run_move 0 --plan /g/b "$CHILD"
        assert_eq "$(result mms.0.owner)" "$PID" "owner"
        assert_eq "$(result mms.0.owner_inside)" False
        assert_eq "$(result mms.0.pays)" /g/a
        assert_eq "$(result mms.0.outside)" 1
        assert_ge "$(staying "other owner")" $((32 * MIB - SLACK)) "stays with its owner"
        run_move 0 /g/b "$CHILD"
        assert_eq "$(cg_of "$CHILD")" /g/b
        assert_eq "$(cg_of "$PID")" /g/a
        soon stat_ge /g/a anon $((32 * MIB)) "anon in the source"
        run_move 0 /g/a "$CHILD"

        # the owner alone: its charges go with it, and the plan tells of the other
        run_move 0 --plan /g/b "$PID"
        assert_eq "$(result mms.0.owner_inside)" True
        assert_eq "$(result mms.0.pays)" /g/b
        assert_eq "$(result mms.0.outside_pid)" "$CHILD"

        # the whole tree: one mm, counted once
        run_move 0 --tree --plan /g/b "$PID"
        assert_eq "$(result n_processes)" 2
        assert_eq "$(result mms.0.inside)" 2
        assert_le "$(result anon_bytes)" $((40 * MIB)) "counted once"
        cg_kill_all /g/a
done

# prog-memory touches its pages under MADV_NOHUGEPAGE, so charges are looked at with a writer of our own: see move-anon.

rm -f ready
cg_run /g/a prog-memory "$PWD/ready" memfd 16
wait_for 30 lines ready 2
run_move 0 --tree --plan /g/b "$PID"
assert_ge "$(staying "shared memory")" $((16 * MIB - SLACK)) "shared memory stays"
assert_in "$(result staying)" "touched it first" "the way out"
run_move 0 --tree /g/b "$PID"
assert_eq "$(result moved)" 2 "processes moved"
soon stat_ge /g/a shmem $((16 * MIB)) "shmem left in the source"
