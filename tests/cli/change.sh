#!/bin/sh
# Verbs that change something, against a real chargehandd over a fake root; and what is said when it is not there.
# SPDX-License-Identifier: LGPL-2.1-or-later

. "$(dirname "$0")/lib.sh"
fake_root
: >"$T/conf"
start_bus
CTL="$CHARGECTL --address=$ADDRESS"

# no daemon yet
run 75 create /x
complained "the daemon is not running"
run 75 jobs
run 2 --direct create /x
complained "needs the daemon"
ADDRESS_OF_NOTHING=unix:path=$T/nothing
CTL="$CHARGECTL --address=$ADDRESS_OF_NOTHING"
run 75 list
complained "cannot connect"
CTL="$CHARGECTL --address=$ADDRESS"
start_daemon

# create and remove, dry and for real
run 0 create /new --dry-run
is "/new: would be created"
[ ! -d "$ROOT/new" ] || fail "a dry run made a group"
run 0 create /new
is "/new: created"
[ -d "$ROOT/new" ] || fail "the group is not there"
run 1 create /new
complained "/new"
run 0 create /new --exist-ok -q
is ""
run 4 create /a/b/c
run 0 create /a/b/c --parents --json
json 'o["group"], o["action"], o["dry_run"]' "('/a/b/c', 'created', False)"
run 2 create /memory.max
run 2 create relative
run 0 remove /a/b/c
[ ! -d "$ROOT/a/b/c" ] || fail "the group is still there"
run 4 remove /nowhere
run 1 remove /a
run 0 remove /a --recursive --dry-run
[ -d "$ROOT/a/b" ] || fail "a dry run removed a group"
run 0 remove /a --recursive

# properties: all or nothing
run 0 set-property /web MemoryMax=512M CPUWeight=50
is "/web: 2 files changed"
[ "$(cat "$ROOT/web/memory.max")" = 536870912 ] || fail "memory.max is $(cat "$ROOT/web/memory.max")"
run 0 set-property /web MemoryMax=512M
is "/web: 0 files changed"
run 0 set-property /web CPUWeight=60 --dry-run
[ "$(cat "$ROOT/web/cpu.weight")" = 50 ] || fail "a dry run changed cpu.weight"
run 2 set-property /web CPUWeight=70 MemoryMax=banana
complained banana
[ "$(cat "$ROOT/web/cpu.weight")" = 50 ] || fail "half of it was set"
run 2 set-property /web CPUWeihgt=70
complained "did you mean 'CPUWeight'?"
run 2 set-property /web CPUWeight
complained "NAME=VALUE"
run 2 set-property /web CPUWeight=0
run 4 set-property /nowhere CPUWeight=70
run 1 set-property /web MemoryCurrent=5

# memory set aside: shown, and refused where there is no room
put /web memory.current 4096
run 0 create /web/claimed --claim=500M
run 0 status
said "500.0 MiB in /web/claimed"
run 1 create /web/more --claim=200M
complained "/web: memory.max is 512.0 MiB"
[ ! -d "$ROOT/web/more" ] || fail "a group is left"
run 0 remove /web/claimed

# freeze, thaw, kill: checked here without a kernel behind; the VM has the rest
run 0 freeze /web --dry-run
is "/web: would be frozen"
run 0 kill /ci --signal=SIGUSR1 --dry-run
is "/ci: would be sent SIGUSR1"
run 2 kill /ci --signal=NONSENSE
run 4 thaw /nowhere
run 4 kill /nowhere

# jobs, snapshot, reload, bus
run 0 jobs
is "No jobs."
run 0 jobs --json
json o "[]"
run 3 cancel 77
run 2 cancel seven
run 0 snapshot
json '[g["path"] for g in o["groups"]][-1]' /web/static
run 0 reload
is reloaded
echo "[Daemon]
Nonsense=1" >"$T/conf"
run 0 reload
complained "$T/conf:2"
run 0 reload --json
json 'len(o), "Nonsense" in o[0]' "(1, True)"
run 0 remove /new --dry-run --json
json 'o["dry_run"]' True
run 0 set-property /web CPUWeight=50 --json
json 'o["changed"]' 0
run 0 freeze /web --dry-run --json
json 'o["action"]' frozen
run 0 introspect
said PlanMove
run 0 introspect /web --json
json '[r["signature"] for r in o if r["name"] == "CPUMax"]' "['(tt)']"
run 4 introspect /nowhere
run 0 call GetGroup s /web --json=short
is '{"type":"o","data":["/org/chargehand1/group/_2fweb"]}'
run 2 call GetNothing
complained GetNothing
run 0 call org.freedesktop.DBus.Peer.Ping
is ""
run 2 call GetGroup u seven
complained "not a number"
run 2 call /web
complained "the method is missing"
run 4 call GetGroup s /nowhere

# what cannot be moved is refused, and says why
run 3 move 4194304 /ci
run 2 move $$ ci
run 4 move $$ /nowhere
run 2 move $$ /ci --rate=fast

# the monitor tells what happens, as lines of JSON
$CTL monitor --json=short >"$T/events" 2>"$T/monitor.err" &
PIDS="$PIDS $!"
wait_for sh -c "$CTL create /seen --exist-ok -q; $CTL remove /seen; grep -q GroupNew '$T/events' && grep -q GroupRemoved '$T/events'"
OUT=$(grep GroupNew "$T/events" | head -n 1)
json 'o["signal"], o["args"]["group"]' "('GroupNew', '/seen')"

# the daemon goes away: readers say so where a bus was named
kill "$DAEMON"
wait "$DAEMON" || :
run 75 jobs
complained "the daemon is not running"
