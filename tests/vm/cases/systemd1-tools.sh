# The tools that people know, of systemd 252 (the guest's) and 257 (trixie's), with chargehandd in systemd's place.
# As root they come by /run/systemd/private; busctl comes by the bus.
# timeout: 180
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"

under_systemd && skip "this is about chargehandd in systemd's place"

MANAGER="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"

# tool COMMAND…: of the systemd release at hand
tool() {
        if [ "$RELEASE" = guest ]; then
                SYSTEMD_COLORS=0 "$@"
        else
                SUITE_ENV="SYSTEMD_COLORS=0 SYSTEMD_PAGER= SYSTEMD_IGNORE_CHROOT=1" in_suite "$RELEASE" "$@"
        fi
}

is_active() {
        tool systemctl is-active "$1" >active 2>&1 && [ "$(cat active)" = active ]
}

is_dead() {
        [ ! -d "/proc/$1" ]
}

# start_scope UNIT COMMAND…: by systemd-run, in tools-RELEASE.slice; its pid is in $PID.
start_scope() {
        _unit=$1
        shift
        tool systemd-run --scope --unit="$_unit" --slice="tools-$RELEASE.slice" --description="a thing that waits" \
                -p MemoryMax=64M -p TasksMax=20 sh -c 'echo $$ >"$0"; exec "$@"' "$TMPDIR/pid" "$@" >"$TMPDIR/run.log" 2>&1 &
        wait_for 20 test -s "$TMPDIR/pid"
        PID=$(cat "$TMPDIR/pid")
        rm "$TMPDIR/pid"
        assert_in "$(cat "$TMPDIR/run.log")" "as unit: $_unit" "what systemd-run says"
}

look_at_scope() {
        _path=/tools.slice/tools-$RELEASE.slice/$1
        assert_eq "$(cg_of "$PID")" "$_path"
        assert_eq "$(cg_read "$_path" memory.max)" 67108864
        assert_eq "$(cg_read "$_path" pids.max)" 20
        wait_for 10 is_active "$1"
        tool systemctl list-units --no-legend >units
        assert_in "$(cat units)" "$1" "list-units"
        assert_in "$(cat units)" "Slice /tools/$RELEASE" "list-units"
        tool systemctl status --no-pager "$1" >status
        cat status
        for text in "$1 - a thing that waits" "Active: active (running) since" "Transient: yes" "CGroup: $_path" \
                "$PID sleep 1000" "max: 64" "limit: 20"; do
                assert_in "$(cat status)" "$text" "systemctl status"
        done
        assert_eq "$(tool systemctl show --value -p ActiveState -p SubState "$1" | tr '\n' ' ')" "active running "
        assert_eq "$(tool systemctl show -P Slice "$1")" "tools-$RELEASE.slice"
        assert_eq "$(tool systemctl show -P ControlGroup "$1")" "$_path"
        assert_eq "$(tool systemctl show -P MemoryMax "$1")" 67108864
        [ "$RELEASE" = guest ] || assert_eq "$(tool systemctl whoami "$PID")" "$1" # since 254
        tool systemd-cgls --no-pager --unit "$1" >tree
        cat tree
        assert_in "$(cat tree)" "$PID sleep 1000" "systemd-cgls"
        tool systemctl status --no-pager "tools-$RELEASE.slice" >status
        assert_in "$(cat status)" "$PID sleep 1000" "systemctl status of the slice"
}

change_scope() {
        _path=/tools.slice/tools-$RELEASE.slice/$1
        tool systemctl set-property --runtime "$1" CPUWeight=50 MemoryHigh=32M
        assert_eq "$(cg_read "$_path" cpu.weight)" 50
        assert_eq "$(cg_read "$_path" memory.high)" 33554432
        assert_fails tool systemctl set-property --runtime "$1" TasksMax=0
        tool systemctl freeze "$1"
        assert_eq "$(cg_key "$_path" cgroup.events frozen)" 1
        assert_eq "$(tool systemctl show -P FreezerState "$1")" frozen
        tool systemctl thaw "$1"
        assert_eq "$(cg_key "$_path" cgroup.events frozen)" 0
        tool systemctl kill --signal=CONT "$1"
        tool systemctl stop "$1"
        wait_for 10 is_dead "$PID"
        assert_fails tool systemctl status "$1"
        assert_in "$ERR" "Unit $1 could not be found" "status of a unit that is gone"
        [ "$(tool systemctl is-active "$1")" = inactive ] || fail "$1 is still active"
}

# Killed by a signal from systemctl, and by what the command itself does.
end_scopes() {
        start_scope "killed-$RELEASE.scope" sleep 1000
        tool systemctl kill --signal=KILL "killed-$RELEASE.scope"
        wait_for 10 is_dead "$PID"
        tool systemd-run --scope --quiet --unit="short-$RELEASE.scope" true
        tool systemd-run --scope --quiet --unit="short-$RELEASE.scope" true
        start_scope "stubborn-$RELEASE.scope" sh -c 'trap "" TERM; while :; do sleep 1; done'
        tool systemctl stop "tools-$RELEASE.slice"
        wait_for 10 is_dead "$PID"
        assert_eq "$(tool systemctl list-units --no-legend "*-$RELEASE.scope" | grep -v failed || true)" ""
        tool systemctl reset-failed
        assert_eq "$(tool systemctl list-units --all --no-legend "*-$RELEASE.scope")" ""
}

refuse() {
        assert_eq "$(tool systemctl is-system-running)" running
        assert_eq "$(tool systemctl list-jobs)" "No jobs running."
        assert_in "$(tool systemctl show -P Version)" "255 (chargehand"
        assert_fails tool systemctl start foo.service
        assert_in "$ERR" "Unit foo.service not found." "start of a service"
        assert_fails tool systemctl daemon-reload
        assert_in "$ERR" "this is chargehand" "daemon-reload"
        tool systemctl status --no-pager >status
        assert_in "$(cat status)" "State: running" "systemctl status"
}

trap 'cat active "$TMPDIR/daemon.log" || true' EXIT
printf '[Runtime]\nSystemd1=yes\nSystemdDirectory=yes\nDefaultTimeoutStop=2s\n' >face.conf
start_daemon --config="$TMPDIR/face.conf"
suite_enter trixie

for RELEASE in guest trixie; do
        note "$(tool systemctl --version | head -n 1)"
        start_scope "thing-$RELEASE.scope" sleep 1000
        look_at_scope "thing-$RELEASE.scope"
        change_scope "thing-$RELEASE.scope"
        end_scopes
        refuse
done

note "busctl"
sleep 1000 &
PID=$!
timeout 30 busctl --system monitor org.freedesktop.systemd1 >monitor 2>&1 &
MONITOR=$!
wait_for 10 grep -q Monitoring monitor
# shellcheck disable=SC2086 # three words
busctl --system call $MANAGER StartTransientUnit 'ssa(sv)a(sa(sv))' seen.scope fail 2 PIDs au 1 $PID Delegate b true 0 >reply
assert_in "$(cat reply)" '"/org/freedesktop/systemd1/job/'
wait_for 10 grep -q 'Member=JobRemoved' monitor
kill $MONITOR
busctl --system tree org.freedesktop.systemd1 >tree
assert_in "$(cat tree)" /org/freedesktop/systemd1/unit/seen_2escope "busctl tree"
busctl --system introspect org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/seen_2escope >interfaces
for word in org.freedesktop.systemd1.Scope org.freedesktop.systemd1.Unit .MemoryMax .GetProcesses .ActiveState; do
        assert_in "$(cat interfaces)" "$word" "busctl introspect"
done
# shellcheck disable=SC2086
busctl --system introspect $MANAGER >interfaces
for word in .StartTransientUnit 'ssa(sv)a(sa(sv))' .JobRemoved .ControlGroup; do
        assert_in "$(cat interfaces)" "$word" "busctl introspect"
done
as_tester busctl --system get-property $MANAGER Version | grep -q 'chargehand' || fail "a user cannot read Version"
assert_fails as_tester busctl --system call $MANAGER StopUnit ss seen.scope replace
# shellcheck disable=SC2086
busctl --system call $MANAGER StopUnit ss seen.scope replace
wait_for 10 is_dead $PID
stop_daemon
[ ! -e /run/systemd/private ] || fail "the private socket is left behind"
[ ! -e /run/systemd/system ] || fail "/run/systemd/system is left behind"
