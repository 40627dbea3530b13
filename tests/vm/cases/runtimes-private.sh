# runc where no bus daemon runs at all: chargehandd and runc meet on /run/systemd/private.
# timeout: 120
# kernels: 7.2
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

under_systemd && skip "the real systemd's own bus must not be stopped"

# Peers without a bus: systemctl is one.
unit_get() {
        systemctl show -P "$2" "$1"
}

has_unit() {
        systemctl list-units --all --no-legend "$1" | grep -q .
}

bus_is_gone() {
        ! bus_has org.freedesktop.DBus
}

kill "$(pidof dbus-daemon)"
wait_for 10 bus_is_gone
printf '[Runtime]\nSystemd1=yes\nSystemdDirectory=yes\n' >face.conf
chargehandd --config="$TMPDIR/face.conf" >"$TMPDIR/daemon.log" 2>&1 &
DAEMON=$!
wait_for 30 test -S /run/systemd/private

SUITE=trixie RUNTIME=runc
suite_enter $SUITE
bundle "$TMPDIR/b" 'trap "exit 0" TERM; sleep 1000 & wait' demo.slice:box:one "$(limits 67108864 50000 512 50)"
runtime run -d -b "$TMPDIR/b" --pid-file "$TMPDIR/pid" one </dev/null >"$TMPDIR/box.log" 2>&1 || fail "run: $(cat "$TMPDIR/box.log")"
assert_eq "$(cg_of "$(cat "$TMPDIR/pid")")" /demo.slice/box-one.scope "group of the container"
assert_eq "$(unit_get box-one.scope ActiveState)" active
assert_eq "$(unit_get box-one.scope MemoryMax)" 67108864
assert_eq "$(cg_read /demo.slice/box-one.scope memory.max)" 67108864
runtime update --memory 100663296 one
assert_eq "$(unit_get box-one.scope MemoryMax)" 100663296
assert_eq "$(cg_read /demo.slice/box-one.scope memory.max)" 100663296
assert_eq "$(runtime exec one /bin/echo inside)" inside
runtime kill one TERM
wait_for 20 status_is one stopped
runtime delete one
nothing_left 'box-*' /demo.slice/box-one.scope
