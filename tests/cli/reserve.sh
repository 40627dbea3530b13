#!/bin/sh
# chargectl reserve and claims, against a real chargehandd over a fake root: /web may have 1 GiB and uses half of it.
# SPDX-License-Identifier: LGPL-2.1-or-later

. "$(dirname "$0")/lib.sh"
fake_root
: >"$T/conf"
start_bus
CTL="$CHARGECTL --address=$ADDRESS"
run 75 reserve /web 1M
complained "the daemon is not running"
start_daemon

# waits until the claims are as many as said
n_claims() {
        wait_for are_claims "$1"
}

are_claims() {
        [ "$($CTL claims --json=short | grep -o '"claim":' | wc -l)" -eq "$1" ]
}

run 0 claims
is "Nothing is claimed."

# refused, with nothing left
run 1 reserve /web 600M
complained "/web: memory.max is 1.0 GiB"
run 1 reserve /web 600M -- sh -c "touch $T/ran"
[ ! -e "$T/ran" ] || fail "the command ran without its room"
run 2 reserve /web
run 2 reserve /web banana
complained banana
run 2 reserve /web infinity
run 2 reserve /web 0
run 4 reserve /nowhere 1M
run 2 reserve relative 1M
run 127 reserve /web 1M -- /nowhere/program
run 0 reserve /web 400M --dry-run
is "400.0 MiB in /web would be granted"
run 1 reserve /web 600M --dry-run
n_claims 0

# for as long as a command runs: it has the lease, and the code is its own
run 5 reserve /web 400M --note='a test' -- sh -c "$CTL"' claims --json=short; : >&$CHARGEHAND_LEASE; exit 5'
json 'len(o), o[0]["kind"], o[0]["group"], o[0]["bytes"], o[0]["open_bytes"], o[0]["note"]' \
        "(1, 'lease', '/web', 419430400, 419430400, 'a test')"
complained "claim "
n_claims 0
run 0 reserve -q /web 1M -- true
[ -z "$ERR$OUT" ] || fail "-q: $ERR$OUT"
run 143 reserve /web 1M -- sh -c 'kill -TERM $$'

# until its standard input ends, where that is a pipe
mkfifo "$T/in"
$CTL reserve /web 300M <"$T/in" >"$T/held" &
_pid=$!
exec 9>"$T/in"
n_claims 1
run 0 claims
said "300.0 MiB"
said "1 claim, 300.0 MiB open."
run 0 claims /web/api
is "Nothing is claimed."
run 1 reserve /web/api 300M --dry-run
complained "300.0 MiB are claimed by other groups, leases and moves"
run 0 status
said "300.0 MiB in /web by claim"
exec 9>&-
n_claims 0
wait $_pid
case $(cat "$T/held") in "claim "*": 300.0 MiB in /web") ;; *) fail "$(cat "$T/held")" ;; esac

# until a signal; and its end, however it comes, releases
for _signal in TERM HUP KILL; do
        $CTL reserve /web 300M </dev/null >/dev/null &
        _pid=$!
        n_claims 1
        kill -$_signal $_pid
        _rc=0
        wait $_pid || _rc=$?
        [ $_signal = KILL ] || [ $_rc -eq 0 ] || fail "after SIG$_signal: $_rc"
        n_claims 0
done

# a lease that is none
run 2 move 1 /web --lease=99
complained "--lease=99: no open file descriptor"
run 2 move 1 /web --lease=x
run 3 plan $$ /web --lease=1
complained "no lease of this chargehandd"
