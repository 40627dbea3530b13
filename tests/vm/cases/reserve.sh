# Memory that is set aside for whoever holds a lease:
#
#     /pod, memory.max 128 MiB ─┬─ a      where room is reserved
#                               ├─ b      what is left for it
#                               └─ c ─ d  removed under a lease: its claim counts in the group above
#
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

# claims: KIND GROUP=MIB of each
claims() {
        chargectl claims --json=short | python3 -c 'import json, sys
print(" ".join("%s %s=%d" % (c["kind"], c["group"], c["bytes"] >> 20) for c in json.load(sys.stdin)))'
}

claims_are() {
        [ "$(claims)" = "$1" ]
}

# hold GROUP MIB: by a chargectl of its own, until release; its pid in $HOLDER
hold() {
        chargectl reserve "$1" "$2M" >"$TMPDIR/held" 2>&1 &
        HOLDER=$!
        wait_for 20 grep -q '^claim ' "$TMPDIR/held"
}

release() {
        kill "$HOLDER"
        wait "$HOLDER" || fail "chargectl reserve ended with $?"
}

has_line() {
        grep -q "$2" "$1"
}

start_daemon
chargectl create /pod MemoryMax=128M MemorySwapMax=0
for _g in a b c c/d; do chargectl create /pod/$_g; done

note "what does not fit is refused, and the group that is too small is named with its figures"
hold /pod/a 64
assert_eq "$(claims)" "lease /pod/a=64"
assert_fails chargectl reserve /pod/b 80M
assert_in "$ERR" "/pod: memory.max is 128.0 MiB"
assert_in "$ERR" "64.0 MiB are claimed by other groups, leases and moves"
assert_in "$ERR" "stock of the CPUs"
assert_fails chargectl create /pod/e --claim=80M
assert_in "$ERR" "64.0 MiB are claimed by other groups, leases and moves"
assert_fails chargectl reserve /pod/b 1T
assert_fails chargectl reserve /nowhere 1M
assert_in "$ERR" "/nowhere"

note "a move into the pod finds the room taken, whoever has the lease gets in"
chargectl create /other
cg_run /other prog-memory "$TMPDIR/ready" anon 0 80 0
MOVER=$PID
wait_for 60 has_line "$TMPDIR/ready" touched
assert_fails chargectl move "$MOVER" /pod/b
assert_in "$ERR" "/pod"
assert_in "$ERR" "claimed"
assert_eq "$(cg_of "$MOVER")" /other
release
wait_for 20 claims_are ""
chargectl reserve /pod/b 100M -- sh -c '
        chargectl plan "$1" /pod/a --json=short >"$2/without" || :
        chargectl plan "$1" /pod/b --lease=$CHARGEHAND_LEASE --json=short >"$2/with"
        chargectl move "$1" /pod/b --lease=$CHARGEHAND_LEASE
        chargectl claims --json=short >"$2/after"' sh "$MOVER" "$TMPDIR" 2>"$TMPDIR/said"
assert_in "$(cat "$TMPDIR/said")" "claim "
feasible() {
        python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["feasible"])' "$1"
}
assert_eq "$(feasible "$TMPDIR/without")" False "a plan without the lease"
assert_eq "$(feasible "$TMPDIR/with")" True "a plan with the lease"
assert_eq "$(cg_of "$MOVER")" /pod/b
cat "$TMPDIR/after"
emit moved_mib $(($(cg_read /pod/b memory.current) >> 20))
# 80 MiB and what the program is else
assert_ge "$(($(cg_read /pod/b memory.current) >> 20))" 70 "MiB charged to /pod/b"
assert_eq "$(cat "$TMPDIR/after")" "[]" "the lease has ended with the move, which finished in full"

note "what is in use counts, and so do claims"
USED=$(($(cg_read /pod memory.current) >> 20))
assert_fails chargectl reserve /pod/a $((129 - USED))M
hold /pod/a $((120 - USED))

note "it outlives the daemon, and the one that was let go meanwhile does not"
chargectl reserve /pod/b 2M >"$TMPDIR/second" 2>&1 &
SECOND=$!
wait_for 20 grep -q '^claim ' "$TMPDIR/second"
BEFORE=$(claims)
stop_daemon KILL
kill "$SECOND"
wait "$SECOND" || :
start_daemon
assert_in "$BEFORE" "lease /pod/b=2"
assert_eq "$(claims)" "lease /pod/a=$((120 - USED))"
assert_fails chargectl reserve /pod/b 16M
release
wait_for 20 claims_are ""

note "a group that goes leaves its claims to the group above"
hold /pod/c/d 16
rmdir "$CG/pod/c/d" "$CG/pod/c"
wait_for 20 claims_are "lease /pod=16"
chargectl claims
assert_in "$(chargectl claims)" /pod/c/d
assert_fails chargectl reserve /pod/b $((128 - USED - 8))M
stop_daemon KILL
start_daemon
assert_eq "$(claims)" "lease /pod=16"
kill -KILL "$HOLDER"
wait "$HOLDER" || :
wait_for 20 claims_are ""

note "for as long as a command runs, with its exit code; the end of a pipe"
_rc=0
chargectl reserve /pod/a 8M -- sh -c 'chargectl claims --json=short >"$1"; exit 7' sh "$TMPDIR/inside" || _rc=$?
assert_eq $_rc 7 "exit code of the command"
assert_in "$(cat "$TMPDIR/inside")" '"bytes":8388608'
wait_for 20 claims_are ""
_rc=0
echo | chargectl reserve /pod/a 8M || _rc=$?
assert_eq $_rc 0 "a pipe that ends"
wait_for 20 claims_are ""

note "owners reserve in what is theirs"
chargectl create /deleg MemoryMax=32M --uid=tester
as_tester chargectl reserve /deleg 16M -- true
assert_fails as_tester chargectl reserve /deleg 64M
assert_in "$ERR" "/deleg: memory.max is 32.0 MiB"
assert_fails as_tester chargectl reserve /pod 1M
kill "$MOVER"
stop_daemon
