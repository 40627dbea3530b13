# Memory that several processes or mappings share counts once, and the map says who shares an address space:
# one memfd in two processes (twice in one of them), CLONE_VM siblings, a vfork in flight, pages shared by fork, KSM.
# timeout: 150
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576
# Tolerances are for pages that sit in per-CPU batches and show no group yet: up to 248 KiB on two CPUs.
MAP=$TMPDIR/map
READY=$TMPDIR/ready

# row GROUP KIND COLUMN: 4 unique, 5 mapped, 6 shared
row() {
        awk -v g="$1" -v k="$2" -v c="$3" '$1 == "row" && $2 == g && $3 == k { n = $c } END { print n + 0 }' "$MAP"
}

has_line() {
        grep -qx "$1" "$READY"
}

start() {
        : >"$READY"
        cg_run /a prog-memory "$READY" "$@"
}

map() {
        prog-map "$@" >"$MAP"
        cat "$MAP"
}

finish() {
        cg_write /a cgroup.kill 1
        wait_for 10 grep -q 'populated 0' /sys/fs/cgroup/a/cgroup.events
        wait "$PID" || true
}

cg_create /a

note "memfd: the parent maps it twice, the child once"
start memfd 16
wait_for 20 has_line child
map tree "$PID"
assert_close "$(row /a shmem 4)" $((16 * MIB)) 2 "memfd, unique"
assert_close "$(row /a shmem 5)" $((48 * MIB)) 2 "memfd, mapped"
assert_close "$(row /a shmem 6)" $((16 * MIB)) 2 "memfd, shared"
assert_eq "$(grep -c '^mm' "$MAP")" 2 "address spaces"
map pid "$PID"
assert_close "$(row /a shmem 4)" $((16 * MIB)) 2 "memfd in one process, unique"
assert_close "$(row /a shmem 5)" $((32 * MIB)) 2 "memfd in one process, mapped"
finish

note "CLONE_VM: two processes, one address space"
start clone-vm 8
wait_for 20 test -s "$READY"
sibling=$(head -n 1 "$READY")
map tree "$PID"
assert_eq "$(grep '^mm' "$MAP")" "mm $PID 2 0 0 $PID 1" "address space of both"
assert_close "$(row /a anon 4)" $((9 * MIB)) 15 "its memory, once"
map pid "$sibling"
assert_eq "$(grep '^mm' "$MAP")" "mm $sibling 1 1 $PID $PID 0" "address space owned from outside the set"
map pid "$PID"
assert_eq "$(grep '^mm' "$MAP")" "mm $PID 1 1 $sibling $PID 1" "address space shared with outside the set"
finish

note "vfork in flight: the child has its parent's memory"
start vfork 8
wait_for 20 test -s "$READY"
child=$(head -n 1 "$READY")
map pid "$PID"
assert_eq "$(grep '^mm' "$MAP")" "mm $PID 1 1 $child $PID 1" "address space during vfork"
assert_close "$(row /a anon 4)" $((9 * MIB)) 15 "its memory"
finish

note "fork: pages shared until they are written"
start cow 16
wait_for 20 has_line forked
map tree "$PID"
assert_close "$(row /a anon 4)" $((16 * MIB)) 5 "unique after fork"
assert_close "$(row /a anon 5)" $((32 * MIB)) 5 "mapped after fork"
assert_close "$(row /a anon 6)" $((16 * MIB)) 5 "shared after fork"
kill -USR1 "$PID"
wait_for 20 has_line written
map tree "$PID"
assert_close "$(row /a anon 4)" $((24 * MIB)) 5 "unique after the child wrote half"
assert_close "$(row /a anon 5)" $((32 * MIB)) 5 "mapped after the child wrote half"
assert_close "$(row /a anon 6)" $((8 * MIB)) 10 "shared after the child wrote half"
finish

if [ -e /sys/kernel/mm/ksm/run ]; then
        note "KSM: equal pages become one"
        echo 1000 >/sys/kernel/mm/ksm/pages_to_scan
        echo 5 >/sys/kernel/mm/ksm/sleep_millisecs
        echo 1 >/sys/kernel/mm/ksm/run
        start ksm 4
        wait_for 20 has_line mergeable
        merged() {
                [ "$(cat /sys/kernel/mm/ksm/pages_sharing)" -ge 1000 ]
        }
        wait_for 40 merged
        map pid "$PID"
        assert_le "$(row /a anon 4)" $((2 * MIB)) "KSM, unique"
        assert_ge "$(row /a anon 5)" $((4 * MIB)) "KSM, mapped"
        echo 2 >/sys/kernel/mm/ksm/run
        finish
fi
