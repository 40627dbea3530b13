# chargectl with the daemon, as a person uses it:
#
#     /web/a ◀─ 64 MiB    the process moves to /web/b, back with a plan first, and once more interrupted by Ctrl-C
#
# timeout: 300
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576

json() {
        python3 -c 'import json, sys; o = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

exit_code() {
        _rc=0
        "$@" >"$TMPDIR/said" 2>&1 || _rc=$?
        echo $_rc
}

# charged PID GROUP: anonymous bytes of the process that the group pays for
charged() {
        chargectl map "$1" --json |
                json "sum(r['bytes'] for r in o['rows'] if r['group'] == '$2' and 'anon' in r['kind'])"
}

has_line() {
        grep -q "$2" "$1"
}

start_daemon
chargectl monitor --json=short >"$TMPDIR/events" 2>&1 &
MONITOR=$!
wait_for 20 sh -c "chargectl create /seen --exist-ok -q; grep -q /seen '$TMPDIR/events'"

note "groups"
chargectl create /web/a --parents MemoryMax=512M
chargectl create /web/b MemoryMax=512M CPUWeight=50
chargectl create /web/small MemoryMax=16M
assert_eq "$(cg_read /web/b memory.max)" $((512 * MIB))
assert_eq "$(cg_read /web/b cpu.weight)" 50
chargectl set-property /web/b MemoryHigh=400M TasksMax=100
assert_eq "$(cg_read /web/b memory.high)" $((400 * MIB))
assert_eq "$(exit_code chargectl set-property /web/b MemoryHigh=300M CPUWeight=20000)" 2
assert_eq "$(cg_read /web/b memory.high)" $((400 * MIB))
chargectl list
chargectl tree /web

note "move"
cg_run /web/a prog-memory "$TMPDIR/ready" anon 0 64 0
wait_for 20 has_line "$TMPDIR/ready" touched
assert_ge "$(charged "$PID" /web/a)" $((63 * MIB)) "charged to /web/a"
chargectl plan "$PID" /web/b
assert_eq "$(exit_code chargectl move "$PID" /web/small)" 1
cat "$TMPDIR/said"
assert_in "$(cat "$TMPDIR/said")" memory.max
assert_eq "$(cg_of "$PID")" /web/a "refused: nothing moved"
chargectl move "$PID" /web/b
assert_eq "$(cg_of "$PID")" /web/b
assert_ge "$(charged "$PID" /web/b)" $((60 * MIB)) "charged to /web/b"
chargectl status "$PID"
chargectl map /web/b

note "move back, by group, as JSON"
chargectl move --group=/web/b /web/a --json >"$TMPDIR/result"
assert_eq "$(json 'o["state"]' <"$TMPDIR/result")" finished
assert_ge "$(json 'o["moved_bytes"]' <"$TMPDIR/result")" $((60 * MIB)) "moved bytes"
chargectl jobs

note "on a terminal: a bar, then the result"
script -qfc "stty cols 90; TERM=xterm chargectl move $PID /web/b --rate=60M" "$TMPDIR/typescript" >/dev/null
tr '\r' '\n' <"$TMPDIR/typescript"
assert_in "$(cat "$TMPDIR/typescript")" "of 64.0 MiB"
assert_in "$(cat "$TMPDIR/typescript")" "finished"
chargectl move "$PID" /web/a -q

note "Ctrl-C"
chargectl move "$PID" /web/b --rate=4M >"$TMPDIR/cancelled" 2>&1 &
MOVER=$!
wait_for 30 sh -c "test \$(chargectl jobs --json | python3 -c 'import json, sys
print(max([j[\"bytes_done\"] for j in json.load(sys.stdin) if j[\"state\"] == \"running\"] + [0]))') -gt 1000000"
kill -INT $MOVER
_rc=0
wait $MOVER || _rc=$?
cat "$TMPDIR/cancelled"
assert_eq $_rc 1 "exit code of the cancelled move"
assert_in "$(cat "$TMPDIR/cancelled")" "Cancelling"
assert_in "$(cat "$TMPDIR/cancelled")" "back"
assert_eq "$(cg_of "$PID")" /web/a "back after Ctrl-C"
assert_ge "$(charged "$PID" /web/a)" $((60 * MIB)) "charged to /web/a again"
chargectl jobs

note "other policies"
chargectl move "$PID" /web/b --policy=stay
assert_eq "$(cg_of "$PID")" /web/b
assert_ge "$(charged "$PID" /web/a)" $((60 * MIB)) "stayed in /web/a"
chargectl move "$PID" /web/a -q
assert_eq "$(exit_code chargectl move "$PID" /web/small --policy=partial)" 6
cat "$TMPDIR/said"
assert_in "$(cat "$TMPDIR/said")" "partly done"
assert_eq "$(cg_of "$PID")" /web/small
chargectl move "$PID" /web/a -q

note "the daemon dies in the middle"
chargectl move "$PID" /web/b --rate=4M >"$TMPDIR/orphaned" 2>&1 &
MOVER=$!
wait_for 30 sh -c "chargectl jobs --json | grep -q '\"step\":\"charges\"'"
kill -KILL "$DAEMON"
_rc=0
wait $MOVER || _rc=$?
cat "$TMPDIR/orphaned"
assert_eq $_rc 75 "exit code when the daemon dies"
assert_in "$(cat "$TMPDIR/orphaned")" "the daemon went away"
start_daemon
wait_for 60 sh -c "! chargectl jobs --json | grep -q '\"state\":\"running\"'"
chargectl jobs

note "freeze, kill, remove"
HOME_OF=$(cg_of "$PID")
assert_in "/web/a /web/b" "$HOME_OF" "finished or rolled back"
chargectl move "$PID" /web/a -q
chargectl freeze /web/a
assert_eq "$(chargectl list /web/a --json | json 'o[0]["state"]')" frozen
chargectl thaw /web/a
assert_eq "$(exit_code chargectl remove /web/a)" 1
cat "$TMPDIR/said"
chargectl kill /web/a --signal=KILL
wait "$PID" || :
chargectl remove /web --recursive
assert_eq "$(exit_code chargectl show /web)" 4

note "one who may not"
assert_eq "$(exit_code as_tester chargectl create /mine)" 5
cat "$TMPDIR/said"
as_tester chargectl list >"$TMPDIR/said"
as_tester chargectl status

note "events"
wait_for 10 has_line "$TMPDIR/events" '"signal":"JobRemoved"'
kill $MONITOR
cut -c1-150 "$TMPDIR/events"
stop_daemon
