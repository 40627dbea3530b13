# A process touches small and huge pages in /a, is moved to /b by cgroup.procs and touches more there:
#
#     /a ◀─ 32 MiB small, 16 MiB huge     the process is in /b ─▶ /b ◀─ 8 MiB small
#
# The map says which group pays for which bytes, and agrees with memory.stat of both.
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576
# Pages that sit in per-CPU batches show no group yet: up to 31 a CPU on 7.2, 15 on 6.1.
SLACK=$(($(nproc) * 31 * 4096))

# row GROUP KIND: bytes in $MAP, 0 if there is no such row.
row() {
        awk -v g="$1" -v k="$2" '$1 == "row" && $2 == g && $3 == k { n = $4 } END { print n + 0 }' "$MAP"
}

anon_of() {
        echo $(($(row "$1" anon) + $(row "$1" anon_thp)))
}

has_line() {
        grep -qx "$2" "$1"
}

MAP=$TMPDIR/map
cg_create /a /b
cg_run /a prog-memory "$TMPDIR/ready" anon 32 16 8
wait_for 20 has_line "$TMPDIR/ready" touched
prog-map pid "$PID" >"$MAP"
cat "$MAP"
before=$(row /a anon)
assert_ge "$before" $((32 * MIB - SLACK)) "small pages in /a"
assert_le "$before" $((34 * MIB)) "small pages in /a"
assert_eq "$(row /a anon_thp)" $((16 * MIB)) "huge pages in /a"
assert_eq "$(anon_of /b)" 0 "anon of /b before"

cg_move /b "$PID"
kill -USR1 "$PID"
wait_for 20 has_line "$TMPDIR/ready" more
prog-map pid "$PID" >"$MAP"
cat "$MAP"
assert_ge "$(row /a anon)" $((before - SLACK)) "small pages left in /a"
assert_eq "$(row /a anon_thp)" $((16 * MIB)) "huge pages left in /a"
assert_ge "$(row /b anon)" $((8 * MIB - SLACK)) "small pages in /b"
assert_le "$(row /b anon)" $((9 * MIB)) "small pages in /b"
assert_le "$(row - uncharged)" $((SLACK + 4096)) "pages of no group"

# GROUP: what the map misses is what the batches hold
agrees() {
        stat_ge "$1" anon "$(anon_of "$1")" "anon of $1 by memory.stat"
        stat_le "$1" anon $(($(anon_of "$1") + SLACK)) "anon of $1 by memory.stat"
}
has_huge() {
        assert_eq "$(cg_key /a memory.stat anon_thp)" $((16 * MIB)) "anon_thp of /a by memory.stat"
}
soon agrees /a
soon agrees /b
soon has_huge

# The groups' own maps: /b has its member's memory elsewhere, /a has it left behind.
prog-map group /b >"$MAP"
cat "$MAP"
assert_close "$(awk '/^figure elsewhere/ { print $3 }' "$MAP")" $((48 * MIB)) 5 "elsewhere"
left_behind() {
        prog-map group /a >"$MAP"
        assert_close "$(awk '/^figure left_behind/ { print $3 }' "$MAP")" $((48 * MIB)) 2 "left behind"
}
soon left_behind
cat "$MAP"
assert_eq "$(awk '/^figure own/ { print $3 }' "$MAP")" 0 "own bytes of a group without members"

# kpagecgroup shows a removed group's pages under its nearest ancestor that is still there.
# A worker of the kernel takes it off line after rmdir.
cg_remove /a
inherited() {
        prog-map pid "$PID" >"$MAP"
        assert_eq "$(row / anon_thp)" $((16 * MIB)) "huge pages of the removed /a"
}
soon inherited
cat "$MAP"
assert_ge "$(row /b anon)" $((8 * MIB - SLACK)) "small pages in /b after the removal of /a"

# The zero page is nobody's.
: >"$TMPDIR/ready"
cg_run /b prog-memory "$TMPDIR/ready" zero 4
wait_for 20 has_line "$TMPDIR/ready" read
prog-map pid "$PID" >"$MAP"
cat "$MAP"
assert_ge "$(awk '$2 == "-" && $3 == "uncharged" { print $5 }' "$MAP")" $((4 * MIB)) "mappings of the zero page"
assert_le "$(row /b anon)" $((2 * MIB)) "anon of a process that only reads"

cp "/proc/$PID/smaps" "$OUT/smaps-$KERNEL"
