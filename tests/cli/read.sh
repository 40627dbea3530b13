#!/bin/sh
# Every verb that reads, its JSON, help and mistakes; the same script with the daemon ("bus") and without ("direct"), since both
# must say the same.
# SPDX-License-Identifier: LGPL-2.1-or-later

. "$(dirname "$0")/lib.sh"
fake_root
: >"$T/conf"
if [ "$1" = bus ]; then
        start_bus
        CTL="$CHARGECTL --address=$ADDRESS"
        start_daemon
else
        CTL="$CHARGECTL --root=$ROOT --any-fs"
fi

# the tables
run 0 list
said "/web/static  frozen         0        0 B      max"
said "5 groups, 0 processes."
run 0 --no-legend
case $OUT in *GROUP* | *groups*) fail "a legend in spite of --no-legend: $OUT" ;; esac
run 0 list --raw /web
said 1073741824
run 0 tree
said "web"
run 0 status
said "$ROOT"
said "Module: "
run 0 status /web
said "1.0 GiB"
run 0 status $$
said "pid $$"
run 0 explain $$
said "What limits it"
run 0 owner $$
said "pays for the memory of pid $$: it owns its address space."
run 0 probe
said kpagecgroup

# their JSON
run 0 list --json
json '[r["path"] for r in o]' "['/', '/ci', '/web', '/web/api', '/web/static']"
json 'o[2]["memory_max"], o[2]["memory_bytes"], o[2]["state"]' "(1073741824, 536870912, 'populated')"
run 0 list /web --depth=1 --json=pretty
json 'len(o)' 3
run 0 tree --json
json 'o["groups"][1]["groups"][1]["path"]' /web/static
run 0 status --json
json 'o["root"]' "$ROOT"
json 'o["groups"]' 5
json 'o["module"]["state"] == "move" or len(o["module"]["advice"]) > 10' True
run 0 status /web --json
json '[r["group"] for r in o["limits"]]' "['/web', '/']"
run 0 status $$ --json
json 'o["pid"]' $$
run 0 explain $$ --json
json 'o["limits"][-1]["group"]' /
run 0 owner $$ --json
json 'o["owner"], o["users"], [s["is_owner"] for s in o["sharers"]]' "($$, [$$], [True])"
run 3 owner 4194303
run 2 owner /web
run 0 probe --json
json '"advice" in o["features"]["swap"]' True
run 0 help attributes --json
json 'o[0]["file"]' cgroup.type
run 0 help errors --json
json 'len(o) > 20' True

# properties
run 0 show /web -p MemoryMax,CPUMax --value
is "1073741824
max 100000"
run 0 show /web
said "MemoryHigh=max"
said "MemoryStat=anon=4096 file=8192"
run 0 show /web --json
json 'o["MemoryHigh"], o["CPUMax"], o["Path"], o["Populated"]' "('max', ['max', 100000], '/web', True)"
run 0 get-property /web MemoryMax memory.high
is "t 1073741824
t max"
run 0 get-property /web MemoryHigh --json=short
is '{"type":"t","data":18446744073709551615}'
run 0 get-property /web CPUMax MemoryStat --json=short
is '{"CPUMax":{"type":"(tt)","data":[18446744073709551615,100000]},"MemoryStat":{"type":"a{st}","data":{"anon":4096,"file":8192}}}'

# mistakes: the exit code, the word, the way out
run 2 mvoe
complained "chargectl: mvoe: unknown verb; did you mean 'move'?"
run 2 list --jsn
complained "did you mean '--json'?"
run 2 list --policy=lazy
complained "is no option of 'list'"
run 2 map
complained "usage: chargectl map PID|GROUP"
run 2 map banana
complained "group paths start with '/'"
run 2 map 0
complained "not a pid"
run 2 map /web --tree
complained "--tree"
run 2 list /web/../ci
complained "/web/../ci"
run 2 show /web -p MemryMax
complained "did you mean 'MemoryMax'?"
run 2 get-property /web Frobnication
complained "'chargectl help attributes' lists them"
run 1 get-property /web MemoryPeak
complained "memory.peak"
run 4 list /nowhere
complained "/nowhere"
run 4 show /nowhere
run 3 status 4194304
complained "4194304"
run 3 explain 4194304
run 2 plan $$
complained "PID… TARGET"
run 2 plan /web
complained "--group=SOURCE"
run 2 plan $$ /web --policy=generous
complained "reserve, stay, lazy and partial"
run 2 plan $$ --group=/web /ci
complained "exclude each other"
run 2 plan $$ /ci --max-growth=lots
complained "a percentage such as 1%"

# output that cannot be written is no success
if [ -c /dev/full ]; then
        _rc=0
        $CTL list >/dev/full 2>"$T/err" || _rc=$?
        [ $_rc -eq 1 ] || fail "a full disk ended with $_rc"
        ERR=$(cat "$T/err")
        complained "cannot write"
fi

# help
run 0 help
said "Exit codes:"
run 0 --help
run 0 --version
said "chargectl "
run 2 help nothing
run 0 help --json
json '[v["verb"] for v in o if v["changes"]][:2]' "['move', 'create']"
for verb in $($CTL complete -- "" | cut -f1); do
        run 0 help "$verb"
        said "chargectl $verb"
        run 0 "$verb" --help
        said "chargectl $verb"
done

# completion, from the same tables and live groups
words() {
        OUT=$($CHARGECTL complete -- ${CTL#"$CHARGECTL"} "$@" | cut -f1)
}
words st
is status
words status /web/
is "/web/api
/web/static"
words --json=p
is "--json=pretty"
words move --policy ""
said partial
words show /web -p MemoryM
said MemoryMax
words set-property /web CPUW
said "CPUWeight="
words set-property /web CPUPressure
is ""
words set-property /web MemoryMax=
is "MemoryMax=max"
words move --d
is "--dry-run
--direct"
words help attr
is attributes
words status ""
said "$$"

[ "$1" = bus ] || exit 0

# one schema: what the daemon sends and what is read directly are the same but for what only the daemon knows
same() {
        $CTL "$@" --json >"$T/bus.json" || :
        $CHARGECTL --root="$ROOT" --any-fs "$@" --json >"$T/direct.json" || :
        python3 - "$T/bus.json" "$T/direct.json" <<'X' || fail "chargectl $* --json differs with the daemon and without"
import json, sys

def strip(o):
    if isinstance(o, dict):
        return {k: strip(v) for k, v in o.items() if k not in ("managed", "Managed", "claimed_bytes")}
    return [strip(v) for v in o] if isinstance(o, list) else o

bus, direct = (strip(json.load(open(name))) for name in sys.argv[1:])
if bus != direct:
    print("with the daemon:", json.dumps(bus)[:2000])
    print("directly:       ", json.dumps(direct)[:2000])
    sys.exit(1)
X
}
same list
same list /web --depth=1
same tree
same show /web
same show /web/static
same get-property /web MemoryHigh CPUMax MemoryStat Events Controllers
same status /ci
same probe
same plan $$ /ci --policy=stay
same plan $$ /web
