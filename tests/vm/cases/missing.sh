# What a host may lack: each is named, with what still works and the way out, and nothing is done by halves.
#
#     no kpagecgroup (procfs mounted with subset=pid)    no map and no charges; moving processes works
#     huge pages off                                     what moved is what the map says moved
#     no swap                                            no room can be made of anonymous memory
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b /g/tight
start_writer /g/a small 32

# without kpagecgroup: the same processes in a mount namespace whose /proc shows nothing else
hidden() {
        unshare -m sh -c 'mount -t proc -o subset=pid proc /proc && exec "$@"' sh "$@"
}
assert_fails hidden chargectl --direct map "$PID"
note "$ERR"
assert_in "$ERR" "kpagecgroup" "the missing file"
assert_in "$ERR" "CONFIG_" "the way out"
assert_fails hidden prog-move /g/b "$PID"
note "$ERR"
assert_in "$ERR" "kpagecgroup"
assert_eq "$(cg_of "$PID")" /g/a "the process of the refused move"
hidden prog-move --policy stay /g/b "$PID" >/dev/null
assert_eq "$(cg_of "$PID")" /g/b
assert_in "$(hidden chargectl --direct probe)" "kpagecgroup"
run_move 0 --policy stay /g/a "$PID"

# without huge pages: kernels differ in whether they collapse then, the report must not
echo never >"$THP"
run_move 0 /g/b "$PID"
agrees() {
        assert_close "$(result moved_bytes)" "$(cg_key /g/b memory.stat anon)" 3 "reported and charged bytes"
}
soon agrees
moved=$(cg_key /g/b memory.stat anon)
note "huge pages never: $((moved / MIB)) MiB moved, reported $(result moved_bytes)"
[ "$moved" -ge $((30 * MIB)) ] || assert_ge "$(($(staying "huge pages forbidden") + $(staying failed)))" $((30 * MIB)) "reasons"
assert_eq "$(cg_of "$PID")" /g/b
check_writer
echo madvise >"$THP"
stop_writer

# without swap: the target's own memory is anonymous and cannot make room
SWAP=$(awk 'NR == 2 { print $1 }' /proc/swaps)
trap 'echo always >$THP; [ -z "$SWAP" ] || swapon "$SWAP"' EXIT
swapoff -a
assert_in "$(chargectl --direct probe)" "no swap is on"
start_writer /g/tight small 24
HOLDER=$PID
echo $((40 * MIB)) >"$CG/g/tight/memory.max"
start_writer /g/a small 32
picture /g/a /g/tight >before
run_move 3 /g/tight "$PID"
note "$(cat error)"
assert_in "$(cat error)" "NoRoom /g/tight: memory.max" "the limit in the way"
picture /g/a /g/tight >after
diff before after || fail "a refused move changed something"
[ -d "/proc/$HOLDER" ] || fail "the member of the target was killed"
