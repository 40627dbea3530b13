# The map that chargehand.ko makes in one walk of the page tables is the one that pagemap and kpagecgroup give, row by row,
# for each kind of memory, each mapping or each page once; and it tells what those cannot: whose a swapped page is, KSM,
# and pages of a group that was removed. In a guest of its own: pages of programs that a removed group of an earlier case
# still pays for are the living ancestor's for kpagecgroup, the dying group's for the module.
# boot: own
# module: yes
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576
MAP=$TMPDIR/map
READY=$TMPDIR/ready

has_line() {
        grep -qx "$1" "$READY"
}

# start GROUP MODE…
start() {
        : >"$READY"
        _group=$1
        shift
        cg_run "$_group" prog-memory "$READY" "$@"
}

finish() {
        cg_write /a cgroup.kill 1
        wait_for 10 grep -q 'populated 0' "$CG/a/cgroup.events"
        wait "$PID" || true
}

child_of() {
        cat "/proc/$1/task/$1/children"
}

# Pages in per-CPU batches show no group in kpagecgroup: compaction drains them.
same() {
        echo 1 >/proc/sys/vm/compact_memory
        # shellcheck disable=SC2086 # children are several words
        prog-module-look compare "$@" || fail "the maps differ"
}

# row GROUP KIND [COLUMN]: 4 bytes, 5 mapped, 6 shared
row() {
        awk -v g="$1" -v k="$2" -v c="${3:-4}" '$1 == "row" && $2 == g && $3 == k { n = $c } END { print n + 0 }' "$MAP"
}

map() {
        prog-module-look map "$@" >"$MAP"
        cat "$MAP"
}

module_load
cg_create /a /b
a=$(prog-module-look group "$CG/a")
b=$(prog-module-look group "$CG/b")

note "small and huge pages, of two groups"
start /a anon 16 16 8
wait_for 20 has_line touched
cg_move /b "$PID"
kill -USR1 "$PID"
wait_for 20 has_line more
map "$PID"
assert_ge "$(row "$a" anon)" $((16 * MIB)) "small pages of /a"
assert_eq "$(row "$a" anon_thp)" $((16 * MIB)) "huge pages of /a"
assert_ge "$(row "$b" anon)" $((8 * MIB)) "small pages of /b"
same "$PID"
same -u "$PID"

note "a removed group's pages: dying, or the parent's where the kernel gives them to it"
cg_remove /a
removed() {
        map "$PID"
        if grep -q dying "$MAP"; then
                assert_eq "$(grep -c "^row $a anon_thp $((16 * MIB)) .* dying$" "$MAP")" 1 "rows of the dying group"
                same -d "$(prog-module-look group "$CG")" "$PID"
        else
                assert_eq "$(row "$(prog-module-look group "$CG")" anon_thp)" $((16 * MIB)) "huge pages of the parent"
                same "$PID"
        fi
}
soon removed
grep -q dying "$MAP" && echo dying >"$TMPDIR/dying"
case $KERNEL in
7.*) [ ! -e "$TMPDIR/dying" ] || fail "$KERNEL gives the pages of removed groups to the parent" ;;
*) [ -e "$TMPDIR/dying" ] || fail "$KERNEL keeps removed groups as long as they have pages" ;;
esac
kill -KILL "$PID"
wait "$PID" || true
cg_create /a
a=$(prog-module-look group "$CG/a")

note "huge pages mapped page by page are small ones"
start /a split 8
wait_for 20 has_line split
map "$PID"
assert_eq "$(row "$a" anon_thp)" 0 "huge pages"
assert_ge "$(row "$a" anon)" $((8 * MIB - 4 * 4096)) "small pages"
same "$PID"
finish

note "the zero page is nobody's, and one page"
start /a zero 4
wait_for 20 has_line read
map -u "$PID"
assert_ge "$(row 0 other 5)" $((8 * MIB)) "mappings of the zero pages"
assert_le "$(row 0 other 4)" $((2 * MIB + 16 * 4096)) "the zero pages"
same -u "$PID"
finish

note "shared memory: twice in the parent, once in the child"
start /a memfd 8
wait_for 20 has_line child
child=$(child_of "$PID")
map -u "$PID" $child
assert_eq "$(row "$a" shmem 4)" $((8 * MIB)) "shmem of both, unique"
assert_eq "$(row "$a" shmem 5)" $((24 * MIB)) "shmem of both, mapped"
assert_eq "$(row "$a" shmem 6)" $((8 * MIB)) "shmem of both, shared"
map "$PID" $child
assert_eq "$(row "$a" shmem 4)" $((24 * MIB)) "shmem of both, by mappings"
same -u "$PID" $child
same "$PID"
finish

note "fork: shared until it is written"
start /a cow 16
wait_for 20 has_line forked
child=$(child_of "$PID")
same -u "$PID" $child
map -u "$PID" $child
assert_close "$(row "$a" anon 6)" $((16 * MIB)) 5 "shared after fork"
kill -USR1 "$PID"
wait_for 20 has_line written
same -u "$PID" $child
same -u "$PID"
map -u "$PID" $child
assert_close "$(row "$a" anon 6)" $((8 * MIB)) 10 "shared after the child wrote half"
finish

note "a file"
head -c $((8 * MIB)) /dev/urandom >/var/tmp/module-map
sync /var/tmp/module-map
start /a file /var/tmp/module-map
wait_for 20 grep -qE 'one|read' "$READY"
map "$PID"
assert_ge "$(awk '$3 == "file" { n += $4 } END { print n + 0 }' "$MAP")" $((8 * MIB)) "pages of files"
same "$PID"
same -u "$PID"
finish

note "swap: the group of the record where it can be read"
start /a swap 8
wait_for 20 has_line touched
kill -USR1 "$PID"
wait_for 30 has_line "paged out"
map "$PID"
swap=$(awk '/^Swap:/ { n += $2 } END { print n * 1024 }' "/proc/$PID/smaps")
assert_ge "$swap" $((7 * MIB)) "the kernel paged out"
assert_eq "$(awk '$3 == "swap" { n += $4 } END { print n + 0 }' "$MAP")" "$swap" "swapped bytes by map and by smaps"
case $KERNEL in
7.*) assert_eq "$(grep -c '^row 0 swap .* unknown$' "$MAP")" 1 "rows of swap that nobody can attribute" ;;
*) assert_eq "$(row "$a" swap)" "$swap" "swapped bytes of /a" ;;
esac
same -u "$PID"
finish

note "hugetlb"
if echo 4 2>/dev/null >/proc/sys/vm/nr_hugepages && [ "$(cat /proc/sys/vm/nr_hugepages)" = 4 ]; then
        start /a hugetlb 8
        wait_for 20 has_line touched
        map "$PID"
        assert_eq "$(row 0 hugetlb)" $((8 * MIB)) "hugetlb pages"
        same -u "$PID"
        finish
        echo 0 >/proc/sys/vm/nr_hugepages
fi

note "KSM"
if [ -e /sys/kernel/mm/ksm/run ]; then
        echo 1000 >/sys/kernel/mm/ksm/pages_to_scan
        echo 5 >/sys/kernel/mm/ksm/sleep_millisecs
        echo 1 >/sys/kernel/mm/ksm/run
        start /a ksm 4
        wait_for 20 has_line mergeable
        merged() {
                [ "$(cat /sys/kernel/mm/ksm/pages_sharing)" -ge 1000 ]
        }
        wait_for 40 merged
        map -u "$PID"
        assert_ge "$(awk '$3 == "ksm" { n += $5 } END { print n + 0 }' "$MAP")" $((4000 * 1024)) "merged pages, mapped"
        assert_le "$(awk '$3 == "ksm" { n += $4 } END { print n + 0 }' "$MAP")" $MIB "merged pages, unique"
        echo 0 >/sys/kernel/mm/ksm/run
        same -u "$PID"
        echo 2 >/sys/kernel/mm/ksm/run
        finish
fi

note "bad input"
prog-module-errors || fail "bad input gives other errors than promised"
module_unload
module_clean
