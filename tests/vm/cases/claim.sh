# Memory that is set aside for groups when they are made:
#
#     /pod, memory.max 128 MiB ─┬─ a   claims 64 MiB
#                               └─ b   what is left for it, for other claims and for moves, as a uses its own
#
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

MIB=1048576

# claim GROUP MIB: makes or changes it
claim() {
        call CreateGroup 'sa{sv}a{sv}' "$1" 0 2 claim t $(($2 * MIB)) exist_ok b true
}

# claims: as Status has them
claims() {
        call Status | answer '" ".join("%s=%d" % (c["group"], c["bytes"] >> 20) for c in d[0]["claims"])'
}

refused() {
        assert_fails claim "$1" "$2"
        assert_in "$ERR" "$3" "what is said of a claim of $2 MiB for $1"
        cg_exists "$1" && fail "$1 is there in spite of the refusal"
        :
}

has_line() {
        grep -q "$2" "$1"
}

start_daemon
chargectl create /pod MemoryMax=128M MemorySwapMax=0

note "what does not fit is refused, and the group that is too small is named"
claim /pod/a 64
assert_eq "$(claims)" /pod/a=64
refused /pod/b 80 "/pod: memory.max is 128.0 MiB"
refused /big $((1 << 30)) "the machine has"
_rc=0
chargectl run --group=/pod/b --claim=80M -- true >"$TMPDIR/said" 2>&1 || _rc=$?
assert_eq $_rc 1 "exit code of a run with a claim that does not fit"
assert_in "$(cat "$TMPDIR/said")" "/pod: memory.max is 128.0 MiB"
assert_in "$(cat "$TMPDIR/said")" "64.0 MiB are claimed by other groups"
cg_exists /pod/b && fail "/pod/b is there"
_rc=0
chargectl create /pod/own MemoryMax=16M --dry-run >/dev/null || _rc=$?
assert_eq $_rc 0 "without a claim it fits"
chargectl status

note "a claim shields against moves into the pod, but for its own group"
chargectl create /pod/c
cg_create /elsewhere
cg_run /elsewhere prog-memory "$TMPDIR/ready" anon 0 48 0
MOVER=$PID
wait_for 20 has_line "$TMPDIR/ready" touched
chargectl plan "$MOVER" /pod/c --json >"$TMPDIR/plan" || :
assert_eq "$(python3 -c 'import json, sys; o = json.load(sys.stdin)
print([r["claimed_bytes"] >> 20 for r in o["room"] if r["group"] == "/pod" and r["limit"] == "memory.max"])' <"$TMPDIR/plan")" "[64]"
claim /pod/a 90
assert_fails chargectl move "$MOVER" /pod/c
assert_in "$ERR" "/pod"
assert_in "$ERR" "claimed"
assert_eq "$(cg_of "$MOVER")" /elsewhere
chargectl move "$MOVER" /pod/a
assert_eq "$(cg_of "$MOVER")" /pod/a

note "what it uses is no longer open"
USED=$(($(cg_read /pod/a memory.current) / MIB))
assert_ge "$USED" 40 "MiB in use"
# 128 less what is in use less what is open of 90: 38 are free, whatever is in use
refused /pod/b 40 "/pod: memory.max"
claim /pod/b 30
assert_eq "$(claims)" "/pod/a=90 /pod/b=30"

note "it outlives the daemon, and ends with the group"
stop_daemon KILL
start_daemon
assert_eq "$(claims)" "/pod/a=90 /pod/b=30"
refused /pod/d 20 "/pod: memory.max"
chargectl remove /pod/b
assert_eq "$(claims)" /pod/a=90
claim /pod/d 20
rmdir "$CG/pod/d"
wait_for 20 sh -c '! busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager Status | grep -q /pod/d'
claim /pod/a 0
assert_eq "$(claims)" ""

note "only root"
chargectl create /deleg --uid=tester
assert_fails as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager CreateGroup 'sa{sv}a{sv}' \
        /deleg/x 0 1 claim t 4096
assert_in "$ERR" "only root"
cg_exists /deleg/x && fail "/deleg/x is there"
as_tester chargectl create /deleg/x
stop_daemon
