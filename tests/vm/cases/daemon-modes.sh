# Where chargehandd may live: in a subtree that was delegated to it, on a directory of its own; and what it says where something is
# missing: a read-only cgroupfs, no cgroup2 at all.
#
#     /svc  (delegated) ── /svc/chargehandd the daemon's own leaf, /svc/x ours
#     /outside          never touched
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/daemon.sh"

# start_in GROUP ARGUMENTS…: as start_daemon, from inside the group, as a service manager does it
start_in() {
        _g=$1
        shift
        sh -c 'echo 0 >"$0" && exec chargehandd "$@"' "$CG$_g/cgroup.procs" "$@" >>"$TMPDIR/daemon.log" 2>&1 &
        DAEMON=$!
        wait_for 30 daemon_is_up
}

note "delegated"
cg_create /svc /outside
cg_run /outside sleep 300
OUTSIDE=$PID
printf '[Daemon]\nStrayInterval=1s\n' >conf
start_in /svc --mode=delegated --config="$TMPDIR/conf"
watch_signals
assert_eq "$(cg_of "$DAEMON")" /svc/chargehandd
assert_eq "$(call Status | answer 'd[0]["root"]')" "$CG/svc"
assert_in " $(cg_read /svc cgroup.subtree_control) " " memory "
call CreateGroup 'sa{sv}a{sv}' /x 1 MemoryMax s 64M 0 >/dev/null
call CreateGroup 'sa{sv}a{sv}' /y 0 0 >/dev/null
assert_eq "$(cg_read /svc/x memory.max)" 67108864
call_fails "/outside" GetGroup s /outside
call_fails "$OUTSIDE" GetGroupByPID u "$OUTSIDE"
call_fails "$OUTSIDE" Move 'a{sv}' 3 pids au 1 "$OUTSIDE" target s /x policy s stay
assert_eq "$(cg_of "$OUTSIDE")" /outside
call_fails "chargehandd itself" Freeze s /chargehandd
call_fails "chargehandd itself" Kill si / 9
call_fails "chargehandd itself" SetProperties 'sa{sv}a{sv}' /chargehandd 1 Freeze b true 0

note "a process that strays"
cg_run /svc/x sleep 300
JOB=$(call Move 'a{sv}' 3 pids au 1 "$PID" target s /y policy s stay | answer 'd[0]')
wait_for 30 job_has_ended "$JOB"
assert_eq "$(cg_of "$PID")" /svc/y
cg_move /svc/x "$PID"
wait_for 30 signal_came ProcessStrayed
wait_for 10 sh -c "grep -A 4 ProcessStrayed monitor | grep -q '\"/x\"'"
stop_daemon

note "again from its own leaf"
start_in /svc/chargehandd --mode=delegated
assert_eq "$(call Status | answer 'd[0]["root"]')" "$CG/svc"
stop_daemon
assert_fails chargehandd --mode=delegated
assert_in "$ERR" "needs a group of its own"

note "private"
cg_create /mine
start_daemon --mode=private --root="$CG/mine"
call CreateGroup 'sa{sv}a{sv}' /x 0 0 >/dev/null
cg_exists /mine/x || fail "/mine/x is not there"
stop_daemon
assert_fails chargehandd --mode=private
assert_in "$ERR" "needs a directory"
assert_fails chargehandd --mode=private --root=/tmp
assert_in "$ERR" "cgroup2"

note "read-only cgroupfs"
mkdir ro
mount --bind "$CG/mine" ro
mount -o remount,ro,bind ro
start_daemon --mode=private --root="$TMPDIR/ro"
call_fails "ead-only" CreateGroup 'sa{sv}a{sv}' /z 0 0
call ListGroups su / 0 >/dev/null
stop_daemon
umount ro

note "no cgroup2"
assert_fails unshare -m sh -c "umount -l $CG && exec chargehandd"
assert_in "$ERR" "mount -t cgroup2"
