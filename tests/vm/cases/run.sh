# Programs that are started inside a group, by chargectl run and by a runtime of its own:
#
#     chargectl ── CreateGroup, OpenGroup ──▶ chargehandd
#         └─ clone3(CLONE_INTO_CGROUP) ──▶ /run-PID-… : the program, which never was anywhere else
#
# timeout: 150
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576

# run CODE ARGUMENT…: chargectl run must end with the code; what it said is in $OUT_TEXT and $ERR_TEXT
run() {
        _want=$1
        shift
        _rc=0
        OUT_TEXT=$(chargectl run "$@" 2>"$TMPDIR/err") || _rc=$?
        ERR_TEXT=$(cat "$TMPDIR/err")
        assert_eq $_rc "$_want" "exit code of 'run $*' ($OUT_TEXT $ERR_TEXT)"
}

no_group_left() {
        assert_eq "$(find "$CG" -maxdepth 1 -name 'run-*' | wc -l)" 0 "groups left of runs"
}

start_daemon

note "a group of its own, with limits, and gone afterwards"
# shellcheck disable=SC2016
run 0 -v -p MemoryMax=64M -p TasksMax=20 -- sh -c 'g=$(sed -n "s/^0:://p" /proc/self/cgroup)
        echo "$g"; cat "/sys/fs/cgroup$g/memory.max" "/sys/fs/cgroup$g/pids.max"; grep -cx $$ "/sys/fs/cgroup$g/cgroup.procs"'
assert_in "$OUT_TEXT" "/run-"
assert_eq "$(echo "$OUT_TEXT" | tail -n 3 | tr '\n' ' ')" "$((64 * MIB)) 20 1 " "limits seen from inside"
assert_in "$ERR_TEXT" "by clone3 into it"
assert_in "$ERR_TEXT" "removed"
no_group_left

note "by clone3, with no migration"
strace -f -e trace=clone3,write -o "$TMPDIR/trace" chargectl run -- true
grep -q 'clone3({flags=.*CLONE_INTO_CGROUP' "$TMPDIR/trace" || fail "no clone into the group: $(cat "$TMPDIR/trace")"
grep -q 'write(.*"0", 1)' "$TMPDIR/trace" && fail "a write to cgroup.procs: $(cat "$TMPDIR/trace")"

note "the limit holds"
run 137 -p MemoryMax=32M -p MemorySwapMax=0 -- python3 -c 'print(len(b"x" * (100 << 20)))'
assert_eq "$OUT_TEXT" "" "what the program got to say"
no_group_left

note "what fails leaves nothing"
run 127 -p MemoryMax=64M -- no-such-program-here
run 126 -- /etc/passwd
run 2 -p MemoryMax=64M --cwd=/nowhere -- true
run 4 --group=/nowhere/below -- true
run 75 -p TasksMax=0 -- true
assert_in "$ERR_TEXT" pids.max
no_group_left

note "a group with a name; kept; found again; processes left in it"
run 0 --group=/job --keep -p CPUWeight=30 -- cat /proc/self/cgroup
assert_eq "$OUT_TEXT" "0::/job"
assert_eq "$(cg_read /job cpu.weight)" 30
run 0 --group=/job -p CPUWeight=40 -- cat "$CG/job/cpu.weight"
assert_eq "$OUT_TEXT" 40
cg_exists /job || fail "a group that was there is gone"
run 0 --group=/left -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'
assert_in "$ERR_TEXT" "the group stays"
assert_eq "$(cg_of "$OUT_TEXT")" /left
chargectl kill /left --signal=KILL
chargectl remove /left
chargectl remove /job

note "after cgroup.kill the group takes programs again"
cg_create /killed
echo 1 >"$CG/killed/cgroup.kill"
run 0 -v --group=/killed -- cat /proc/self/cgroup
assert_eq "$OUT_TEXT" "0::/killed"

note "no clone3: by fork and write"
strace -f -e trace=clone3 -e inject=clone3:error=ENOSYS -o "$TMPDIR/trace" chargectl run -v -- cat /proc/self/cgroup \
        >"$TMPDIR/out" 2>"$TMPDIR/err"
assert_in "$(cat "$TMPDIR/out")" "0::/run-"
assert_in "$(cat "$TMPDIR/err")" "by fork and a write to cgroup.procs (clone3: Function not implemented)"
no_group_left

note "groups that cannot take it say why"
cg_create /inner/leaf
mkdir -p "$CG/threads/t" "$CG/threads/invalid"
echo threaded >"$CG/threads/t/cgroup.type"
assert_eq "$(cg_read /threads/invalid cgroup.type)" "domain invalid"
run 1 --group=/threads/invalid -- true
assert_in "$ERR_TEXT" "cgroup.type is 'domain invalid'"
run 1 --group=/inner -- true
assert_in "$ERR_TEXT" "controllers are enabled for the groups below"

note "signals"
chargectl run -- sh -c 'trap "echo HUP; exit 5" HUP; echo ready; while :; do sleep 0.1; done' >"$TMPDIR/out" &
RUN=$!
wait_for 20 grep -q ready "$TMPDIR/out"
kill -HUP $RUN
_rc=0
wait $RUN || _rc=$?
assert_eq $_rc 5 "after SIGHUP"
# Ctrl-C reaches the program from the terminal itself: once
cat >"$TMPDIR/counts" <<'X'
trap 'echo interrupted' INT
echo ready
until [ -e "$1" ]; do sleep 0.1; done
exit 0 # and not that of the sleep that was interrupted
X
: >"$TMPDIR/typescript"
(wait_for 20 grep -q ready "$TMPDIR/typescript"
        printf '\003'
        wait_for 20 grep -q interrupted "$TMPDIR/typescript"
        touch "$TMPDIR/enough") |
        script -qfec "exec chargectl run -- sh $TMPDIR/counts $TMPDIR/enough" "$TMPDIR/typescript" >/dev/null
assert_eq "$(grep -c interrupted "$TMPDIR/typescript")" 1 "SIGINT seen by the program"
no_group_left

note "as another user"
run 0 --uid=tester -- id -u
assert_eq "$OUT_TEXT" 1000
run 0 --uid=tester -- sh -c 'cat /proc/self/cgroup'
assert_in "$OUT_TEXT" "0::/run-"

note "a runtime that clones by itself; a user in what was given to him, and only there"
chargectl create /deleg --uid=tester
as_tester chargectl create /deleg/shell
as_tester chargectl create /deleg/box MemoryMax=64M
chargectl create /mine
assert_eq "$(prog-open-group /mine cat /proc/self/cgroup)" "0::/mine"
# inside COMMAND…: as the user, from inside what was given to him
inside() {
        sh -c 'echo 0 >/sys/fs/cgroup/deleg/shell/cgroup.procs && exec setpriv --reuid=1000 --regid=1000 --clear-groups "$@"' sh "$@"
}
assert_eq "$(inside prog-open-group /deleg/box cat /proc/self/cgroup)" "0::/deleg/box"
assert_eq "$(inside chargectl run --group=/deleg/own -p MemoryMax=32M -- cat /proc/self/cgroup)" "0::/deleg/own"
cg_exists /deleg/own && fail "/deleg/own is left"
_rc=0
inside prog-open-group /mine true >"$TMPDIR/out" || _rc=$?
assert_eq "$_rc $(cut -d: -f1-2 "$TMPDIR/out")" "100 OpenGroup: org.chargehand1.Error.NotPermitted"
_rc=0
as_tester prog-open-group /deleg/box true >"$TMPDIR/out" || _rc=$?
assert_eq "$_rc $(cat "$TMPDIR/out")" "101 clone3: EACCES" "from outside"
_rc=0
as_tester chargectl run --group=/deleg/box -- true >"$TMPDIR/out" 2>&1 || _rc=$?
assert_eq $_rc 5 "from outside"
assert_in "$(cat "$TMPDIR/out")" "start from inside the delegated subtree"

note "without the daemon"
stop_daemon
run 0 -v --group=/direct -p MemoryMax=64M -p CPUWeight=20 -- sh -c 'cat /sys/fs/cgroup/direct/memory.max /proc/self/cgroup'
assert_eq "$(echo "$OUT_TEXT" | tr '\n' ' ')" "$((64 * MIB)) 0::/direct "
assert_in "$ERR_TEXT" "by clone3 into it"
cg_exists /direct && fail "/direct is left"
run 2 --claim=1M -- true
