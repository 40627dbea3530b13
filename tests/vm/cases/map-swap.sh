# Anonymous memory is paged out to zram: it has no page and no group that can be read, and is a row of its own.
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576
MAP=$TMPDIR/map
READY=$TMPDIR/ready

row() {
        awk -v g="$1" -v k="$2" '$1 == "row" && $2 == g && $3 == k { n = $4 } END { print n + 0 }' "$MAP"
}

has_line() {
        grep -qx "$1" "$READY"
}

cg_create /a
cg_run /a prog-memory "$READY" swap 16
wait_for 20 has_line touched
kill -USR1 "$PID"
wait_for 30 has_line "paged out"
prog-map pid "$PID" >"$MAP"
cat "$MAP"
smaps=$(awk '/^Swap:/ { n += $2 } END { print n * 1024 }' "/proc/$PID/smaps")
assert_ge "$smaps" $((14 * MIB)) "the kernel paged out"
assert_eq "$(row - swap)" "$smaps" "swapped bytes by map and by smaps"
assert_close "$(row - swap)" "$(cg_read /a memory.swap.current)" 2 "swapped bytes by map and by memory.swap.current"
prog-map json "$PID" | grep -q "\"swap_bytes\": *$smaps" || fail "swap_bytes is not in the JSON"

# Back again: charged to /a as before, and the data is what it was.
kill -USR1 "$PID"
wait_for 30 has_line back
prog-map pid "$PID" >"$MAP"
cat "$MAP"
assert_close "$(row /a anon)" $((16 * MIB)) 5 "back in /a"
