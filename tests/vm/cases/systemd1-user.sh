# A user's own instance: the system's instance gives the user a subtree, puts his chargehandd into it, and moves for
# him what he may not move himself.
#
#     /user.slice/user-1000.slice/user@1000.service    belongs to tester (Users=tester)
#                                 ├─ init.scope         chargehandd --user
#                                 └─ app.slice/x.scope  ◀── a process from the session, which is elsewhere
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"

under_systemd && skip "this is about chargehandd in systemd's place"

HOME_GROUP=/user.slice/user-1000.slice/user@1000.service
MANAGER="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
export XDG_RUNTIME_DIR=/run/user/1000

# of the user, with what a login would set
as_user() {
        as_tester env HOME=/tmp/home XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus "$@"
}

user_call() {
        # shellcheck disable=SC2086 # three words
        as_user busctl --user call $MANAGER "$@"
}

user_bus_has() {
        as_user busctl --user status "$1" >/dev/null
}

start_user() {
        as_user chargehandd --user >>"$TMPDIR/user.log" 2>&1 &
        USER_DAEMON=$!
        wait_for 30 user_bus_has org.freedesktop.systemd1
}

# user_fails TEXT COMMAND…
user_fails() {
        _text=$1
        shift
        assert_fails "$@"
        assert_in "$ERR" "$_text" "what a person reads"
}

# outside_process: of the user, in his session; pid in $PID
outside_process() {
        setpriv --reuid=1000 --regid=1000 --clear-groups sleep 1000 &
        PID=$!
        cg_move /user.slice/session-1.scope $PID
}

is_in() {
        [ "$(cg_of "$1")" = "$2" ]
}

is_dead() {
        [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

user_unit_is() {
        [ "$(as_user systemctl --user is-active "$1")" = "$2" ]
}

trap 'cat "$TMPDIR/user.log" "$TMPDIR/daemon.log" || true' EXIT
mkdir -p /tmp/home $XDG_RUNTIME_DIR
chown 1000:1000 /tmp/home $XDG_RUNTIME_DIR
chmod 700 $XDG_RUNTIME_DIR

note "what is missing is said"
user_fails "root has the system's instance" chargehandd --user
user_fails "XDG_RUNTIME_DIR is not set" as_tester env -u XDG_RUNTIME_DIR chargehandd --user
user_fails "Users=" as_user chargehandd --user # nobody owns the name on the system bus
printf '[Runtime]\nSystemd1=yes\n' >face.conf
start_daemon --config="$TMPDIR/face.conf"
user_fails "Users=" as_user chargehandd --user # the name is there, the subtree is not
stop_daemon

note "into the subtree"
printf '[Runtime]\nSystemd1=yes\nSystemdDirectory=yes\nUsers=tester\n' >face.conf
start_daemon --config="$TMPDIR/face.conf"
wait_for 10 test -d "$CG$HOME_GROUP"
assert_eq "$(stat -c %u "$CG$HOME_GROUP/cgroup.procs")" 1000 "owner of the user's subtree"
assert_eq "$(stat -c %u "$CG/user.slice/user-1000.slice/cgroup.procs")" 0 "owner above it"
as_user dbus-daemon --session --nofork --nopidfile --address=unix:path=$XDG_RUNTIME_DIR/bus >bus.log 2>&1 &
wait_for 10 test -S $XDG_RUNTIME_DIR/bus
cg_create /user.slice/session-1.scope
start_user
wait_for 10 is_in "$(pgrep -u 1000 chargehandd)" $HOME_GROUP/init.scope
# shellcheck disable=SC2086
assert_eq "$(as_user busctl --user get-property $MANAGER ControlGroup)" "s \"$HOME_GROUP\""
assert_eq "$(stat -c %u-%a $XDG_RUNTIME_DIR/systemd/private)" 1000-700

note "a process from outside"
outside_process
user_call StartTransientUnit 'ssa(sv)a(sa(sv))' x.scope fail 4 PIDs au 1 $PID Delegate b true MemoryMax t 67108864 TasksMax t 30 0
wait_for 10 is_in $PID $HOME_GROUP/app.slice/x.scope
wait_for 10 user_unit_is x.scope active
assert_eq "$(cg_read $HOME_GROUP/app.slice/x.scope memory.max)" 67108864
assert_eq "$(cg_read $HOME_GROUP/app.slice/x.scope pids.max)" 30
assert_eq "$(stat -c %u "$CG$HOME_GROUP/app.slice/x.scope/cgroup.procs")" 1000
as_user systemctl --user status --no-pager x.scope >status
cat status
assert_in "$(cat status)" "$PID sleep 1000"
FIRST=$PID
outside_process
user_call AttachProcessesToUnit ssau x.scope "" 1 $PID
assert_eq "$(cg_of $PID)" $HOME_GROUP/app.slice/x.scope "attached from outside"

note "what belongs to others stays"
sleep 1000 &
OTHER=$!
user_call StartTransientUnit 'ssa(sv)a(sa(sv))' theft.scope fail 1 PIDs au 1 $OTHER 0
wait_for 10 user_unit_is theft.scope failed
assert_eq "$(cg_of $OTHER)" /
as_user systemctl --user reset-failed theft.scope
assert_fails as_tester busctl --system call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager AttachProcessesToUnit ssau user@1000.service /init.scope 1 $OTHER
setpriv --reuid=1001 --regid=1001 --clear-groups sleep 1000 &
STRANGER=$!
assert_fails setpriv --reuid=1001 --regid=1001 --clear-groups busctl --system call org.freedesktop.systemd1 \
        /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager AttachProcessesToUnit ssau user@1000.service /init.scope 1 $STRANGER
assert_eq "$(cg_of $STRANGER)" /

note "the user's daemon comes and goes"
kill "$(pgrep -u 1000 chargehandd)"
wait "$USER_DAEMON" || fail "chargehandd --user ended badly: $(cat "$TMPDIR/user.log")"
assert_eq "$(cg_of "$FIRST")" $HOME_GROUP/app.slice/x.scope
start_user
wait_for 10 user_unit_is x.scope active
as_user systemctl --user stop x.scope
wait_for 10 is_dead "$FIRST"
wait_for 10 is_dead $PID

note "systemd-run"
as_user systemd-run --user --scope --quiet --unit=run.scope sh -c 'sed -n s/^0:://p /proc/self/cgroup' >where
assert_eq "$(cat where)" $HOME_GROUP/app.slice/run.scope
kill "$(pgrep -u 1000 chargehandd)"
wait "$USER_DAEMON" || true
stop_daemon
