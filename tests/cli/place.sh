#!/bin/sh
# chargectl place and pools over a fake root, with the daemon ("bus") and dry without ("direct"): tables, JSON, exit codes, programs that
# are run where there is room, mistakes. What the kernel makes of it is tests/vm/cases/place.sh's.
# SPDX-License-Identifier: LGPL-2.1-or-later

. "$(dirname "$0")/lib.sh"
fake_root
for g in a b c; do
        fake_group /ci/$g 1048576 0 0
        put /ci/$g memory.max 10485760
done
put /ci/b memory.current 4194304
put /ci/c memory.current 8388608
put /ci cgroup.subtree_control "cpu memory pids"
cat >"$T/conf" <<'X'
[Pool ci]
Groups=/ci/*
[Pool tight]
Groups=/ci/[bc]
Policy=pack
[Pool gone]
Groups=/gone/*
X
if [ "$1" = bus ]; then
        start_bus
        CTL="$CHARGECTL --address=$ADDRESS"
        start_daemon
else
        CTL="$CHARGECTL --root=$ROOT --any-fs"
fi
THREE=--candidates=/ci/a,/ci/b,/ci/c

# the table, and the same as JSON
run 0 place --bytes=2M $THREE --dry-run
said "Chosen: /ci/a"
said HEADROOM
said "9.0 MiB"
case $OUT in *FULLNESS*) fail "a term that does not count is shown: $OUT" ;; esac
run 0 place --bytes=2M $THREE --dry-run --all
said FULLNESS
run 0 place --bytes=2M $THREE --dry-run --json
json 'o["chosen"]' /ci/a
json '[c["group"] for c in o["candidates"]]' "['/ci/a', '/ci/b', '/ci/c']"
json '[c["free_bytes"] >> 20 for c in o["candidates"]]' "[9, 6, 2]"
json 'o["request"]["bytes"], o["request"]["policy"]' "(2097152, 'spread')"
run 0 place --bytes=2M $THREE --placement=pack --dry-run --json
json 'o["chosen"]' /ci/c
run 0 place --bytes=5M $THREE --placement=pack --dry-run --json
json 'o["chosen"]' /ci/b
run 0 place --bytes=2M $THREE --weights=fullness:2,headroom:1 --cpus=1.5 --nodes=0 --dry-run --json
json 'o["request"]["cpus_milli"], o["request"]["weights"]["fullness"]' "(1500, 2)"

# nobody can hold it: the closest, what it lacks, and the code of NoRoom
run 1 place --bytes=64M $THREE --dry-run
said Refused
said /ci/a
run 1 place --bytes=64M $THREE --dry-run --json
json 'o.get("chosen"), o["refusal"]["kind"], o["candidates"][0]["group"]' "(None, 'NoRoom', '/ci/a')"

# mistakes
run 2 place --bytes=2M --dry-run
complained "--pool=NAME"
run 2 place --bytes=2M --pool=ci $THREE --dry-run
run 2 place $THREE --dry-run
complained "say what is to be placed"
run 2 place --bytes=0 $THREE --dry-run
complained "--bytes=0"
run 2 place --bytes=2M $THREE --placement=fastest --dry-run
complained "spread, pack and affinity"
run 2 place --bytes=2M $THREE --weights=colour:1 --dry-run
complained colour
run 2 place --bytes=2M $THREE --cpus=many --dry-run
complained "1.5"
run 2 place --bytes=2M $THREE --nodes=0-64 --dry-run
complained "0-64"
run 2 place --bytes=2M --candidates=/ci/a,ci/b --dry-run
run 2 place --bytes=2M --candidates=/ci/a,/ci/a --dry-run
complained /ci/a
run 2 place --bytes=2M --candidates=/ci/a,/ci --dry-run
complained /ci/a
run 4 place --bytes=2M --candidates=/ci/a,/none --dry-run
complained /none
run 2 place --bytes=2M $THREE --tree --dry-run
complained "go with processes"
run 2 place $$ $THREE --dry-run -- true
complained "not both"
run 2 place $$ --group=/ci $THREE --dry-run
run 2 place $$ $THREE --hold=1s
complained "--hold goes with --bytes"
run 3 place 4194304 $THREE --dry-run

if [ "$1" = direct ]; then
        run 2 place --bytes=2M --pool=ci --dry-run
        complained "pools are kept by the daemon"
        run 2 place --bytes=2M $THREE
        complained "needs the daemon"
        run 2 pools
        exit 0
fi

# pools
run 0 pools
said "ci     spread  /ci/a"
said "tight  pack"
said "no group is there that [Pool gone] names"
said "3 pools."
run 0 pools tight --json
json '[r["group"] for r in o]' "['/ci/c', '/ci/b']"
run 3 pools none
complained "no such pool"
run 0 place --bytes=1M --pool=tight --dry-run --json
json 'o["chosen"]' /ci/c
run 2 place --bytes=1M --pool=none --dry-run
complained "there are ci, tight, gone"
run 4 place --bytes=1M --pool=gone --dry-run
run 0 status --json
json 'o["pools"][0]["groups"]' "['/ci/a', '/ci/b', '/ci/c']"

# the room is held while the program runs in the group, and not a moment longer
claims() {
        $CTL claims --json | python3 -c 'import json, sys; print(" ".join(c["group"] for c in json.load(sys.stdin)))'
}
no_claims() {
        [ -z "$(claims)" ]
}
run 0 place --bytes=5M --pool=ci -- sh -c 'echo "$1"' sh hello
is hello
[ "$(cat "$ROOT/ci/a/cgroup.procs")" = 0 ] || fail "not in the group: $(cat "$ROOT/ci/a/cgroup.procs")"
wait_for no_claims
run 7 place --bytes=5M --pool=ci -- sh -c 'exit 7'
run 127 place --bytes=5M --pool=ci -- no-such-program-here
run 1 place --bytes=64M --pool=ci -- touch "$T/started"
complained /ci/a
[ ! -e "$T/started" ] || fail "started where there is no room"
wait_for no_claims
$CTL place --bytes=5M --pool=ci --note=build -- sh -c 'echo ready; while [ ! -e "$1" ]; do sleep 0.05; done' sh "$T/go" >"$T/out" &
FIRST=$!
PIDS="$PIDS $FIRST"
wait_for grep -q ready "$T/out"
[ "$(claims)" = /ci/a ] || fail "claims: $(claims)"
run 0 place --bytes=5M --pool=ci --dry-run --json
json 'o["chosen"]' /ci/b
run 0 claims --json
json 'o[0]["note"], o[0]["kind"], o[0]["bytes"]' "('build', 'lease', 5242880)"
: >"$T/go"
wait $FIRST || fail "ended with $?"
wait_for no_claims

# without a program until the input ends, or a signal comes, or for a time
mkfifo "$T/in"
$CTL place --bytes=5M --pool=ci <"$T/in" >"$T/held" &
HOLDER=$!
PIDS="$PIDS $HOLDER"
exec 9>"$T/in"
wait_for grep -q "Chosen: /ci/a" "$T/held"
[ "$(claims)" = /ci/a ] || fail "claims: $(claims)"
exec 9>&-
wait $HOLDER || fail "ended with $?"
wait_for no_claims
run 0 place --bytes=5M --pool=ci --hold=10ms -q
wait_for no_claims
$CTL place --bytes=5M --pool=ci --hold=1h >"$T/held2" &
HOLDER=$!
PIDS="$PIDS $HOLDER"
wait_for grep -q "Chosen: /ci/a" "$T/held2"
kill -TERM $HOLDER
wait $HOLDER || fail "ended with $?"
wait_for no_claims

# --hold is over before the program is
put /ci/a cgroup.procs ""
$CTL place --bytes=5M --pool=ci --hold=10ms -- sh -c 'while [ ! -e "$1" ]; do sleep 0.05; done' sh "$T/go2" &
FIRST=$!
PIDS="$PIDS $FIRST"
wait_for grep -q 0 "$ROOT/ci/a/cgroup.procs"
wait_for no_claims
kill -0 $FIRST || fail "ended with its lease"
: >"$T/go2"
wait $FIRST || fail "ended with $?"

OUT=$($CHARGECTL complete -- --address="$ADDRESS" place --pool=t | cut -f1)
is "--pool=tight"
