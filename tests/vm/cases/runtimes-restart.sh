# chargehandd is killed with SIGKILL while containers run and a client waits for the end of a job, and started again: the scopes are
# its own again, they can be changed, stopped and deleted, and nobody waits for ever.
#
#     /demo.slice/box-crun.scope/container   kept
#     /demo.slice/box-runc.scope             kept
#     /demo.slice/stubborn.scope             ignores SIGTERM, is being stopped by a client when the daemon dies
#     /demo.slice/short.scope                ends while there is no daemon
# timeout: 180
# kernels: 7.2
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

# scope_start UNIT COMMAND [PROPERTY TYPE VALUE]: pid in $PID
scope_start() {
        sh -c "$2" &
        PID=$!
        _u=$1
        shift 2
        systemd1 StartTransientUnit 'ssa(sv)a(sa(sv))' "$_u" fail $((2 + $# / 3)) PIDs au 1 "$PID" Slice s demo.slice "$@" 0 >/dev/null
        wait_for 10 grep -q "/$_u\$" "/proc/$PID/cgroup"
}

in_scope() {
        runtime "$@" </dev/null >>"$TMPDIR/box.log" 2>&1 || fail "$RUNTIME $*: $(cat "$TMPDIR/box.log")"
}

start_face 'ScopeLinger=1s'
SUITE=trixie
suite_enter $SUITE
for RUNTIME in crun runc; do
        bundle "$TMPDIR/b-$RUNTIME" 'trap "exit 0" TERM; sleep 1000 & wait' "demo.slice:box:$RUNTIME" "$(limits 67108864 50000 512 50)"
        in_scope run -d -b "$TMPDIR/b-$RUNTIME" --pid-file "$TMPDIR/pid-$RUNTIME" "$RUNTIME"
done
scope_start stubborn.scope 'trap "" TERM; while :; do sleep 1; done' TimeoutStopUSec t 600000000
scope_start short.scope 'exec sleep 1000'
SHORT=$PID
systemctl stop stubborn.scope >"$TMPDIR/systemctl.log" 2>&1 &
CLIENT=$!
wait_for 20 sh -c "busctl --system get-property org.freedesktop.systemd1 $(unit_path stubborn.scope) org.freedesktop.systemd1.Unit SubState |
        grep -q stop-sigterm"

kill -KILL "$DAEMON"
wait "$DAEMON" 2>/dev/null || true
kill "$SHORT"
wait "$SHORT" 2>/dev/null || true
for RUNTIME in crun runc; do
        [ -d "/proc/$(cat "$TMPDIR/pid-$RUNTIME")" ] || fail "the container of $RUNTIME died with the daemon"
done
start_face 'ScopeLinger=1s'

note "nobody waits for ever"
wait_for 60 sh -c "[ ! -d /proc/$CLIENT ] || grep -q '^State:.Z' /proc/$CLIENT/status"

note "what was there is there"
for RUNTIME in crun runc; do
        assert_eq "$(unit_get "box-$RUNTIME.scope" ActiveState)" active "ActiveState of box-$RUNTIME.scope"
        assert_eq "$(unit_get "box-$RUNTIME.scope" Delegate)" true "Delegate of box-$RUNTIME.scope"
        assert_eq "$(unit_get "box-$RUNTIME.scope" MemoryMax)" 67108864 "MemoryMax of box-$RUNTIME.scope"
        assert_in "$(systemd1 GetUnitByPID u "$(cat "$TMPDIR/pid-$RUNTIME")")" "$(unit_path "box-$RUNTIME.scope")"
done
assert_eq "$(cg_read /demo.slice/box-runc.scope memory.max)" 67108864 "memory.max"
wait_for 20 has_no_unit short.scope
wait_for 20 cg_is_gone /demo.slice/short.scope

note "and can be changed and ended"
for RUNTIME in crun runc; do
        in_scope update --memory 100663296 "$RUNTIME"
        assert_eq "$(unit_get "box-$RUNTIME.scope" MemoryMax)" 100663296 "MemoryMax of box-$RUNTIME.scope"
        assert_eq "$(runtime exec "$RUNTIME" /bin/echo inside)" inside
        in_scope delete -f "$RUNTIME"
        nothing_left "box-$RUNTIME.scope" "/demo.slice/box-$RUNTIME.scope"
done
systemd1 KillUnit ssi stubborn.scope all 9
nothing_left stubborn.scope /demo.slice/stubborn.scope
