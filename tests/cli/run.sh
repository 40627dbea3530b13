#!/bin/sh
# chargectl run over a fake root, with the daemon ("bus") and without ("direct"): exit codes, the group that is made and removed,
# signals, mistakes. What the kernel makes of it is tests/vm/cases/run.sh's.
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

# those that there are, in one line
groups() {
        (cd "$ROOT" && find . -type d | LC_ALL=C sort | tr '\n' ' ')
}
BEFORE=$(groups)

# in a group that is there: the child writes itself to cgroup.procs, and then is the program
run 0 run --group=/ci -- sh -c 'echo "$1"' sh hello
is hello
[ "$(cat "$ROOT/ci/cgroup.procs")" = 0 ] || fail "not in the group: $(cat "$ROOT/ci/cgroup.procs")"
run 7 run --group=/ci sh -c 'exit 7'
run 143 run --group=/ci -- sh -c 'kill -TERM $$'
run 0 run --group=/ci --cwd=/ pwd
is /
run 2 run --group=/ci --cwd=/nowhere pwd
complained "/nowhere: cannot be the working directory"
[ "$(groups)" = "$BEFORE" ] || fail "groups came or went: $(groups)"

# the options of the program are its own
run 0 run --group=/ci echo --keep -v --policy=lazy
is "--keep -v --policy=lazy"
run 2 run --policy=lazy --group=/ci true
complained "is no option of 'run'"

# properties are set first, all or nothing, before the program starts
run 0 run --group=/web -p CPUWeight=30 -p memory.max=64M -- cat "$ROOT/web/cpu.weight"
is 30
[ "$(cat "$ROOT/web/memory.max")" = 67108864 ] || fail "memory.max is $(cat "$ROOT/web/memory.max")"
run 2 run --group=/web -p CPUWeihgt=30 echo started
complained "did you mean 'CPUWeight'?"
is ""
run 2 run --group=/web -p CPUWeight echo started
complained "NAME=VALUE"
run 2 run --group=/web -p CPUWeight=0 echo started
complained CPUWeight
is ""

# as a shell says it
run 127 run --group=/ci no-such-program-here
complained "no-such-program-here: no such program"
run 126 run --group=/ci "$T/conf"
complained "$T/conf: may not be executed"
run 4 run --group=/nowhere/below true
run 2 run --group=relative true
run 2 run
complained "something is missing"
run 2 run --group=/ci --claim=1M true
complained "--claim is for a group that is made"

# dry
run 0 run --group=/ci --dry-run no-such-program-here
is "no-such-program-here: would be run in /ci"
run 0 run --group=/new --dry-run true
is "true: would be run in /new"
[ "$(groups)" = "$BEFORE" ] || fail "a dry run made a group: $(groups)"

# A signal goes on to the program, whose end it is. (A shell cannot catch what was ignored when it began, as SIGHUP under nohup.)
$CTL run --group=/ci -- sh -c 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.05; done' >"$T/out" &
RUN=$!
PIDS="$PIDS $RUN"
wait_for grep -q ready "$T/out"
kill -TERM $RUN
_rc=0
wait $RUN || _rc=$?
[ $_rc -eq 5 ] || fail "ended with $_rc after SIGTERM"
grep -q "got it" "$T/out" || fail "the program got no signal: $(cat "$T/out")"

# ignored signals stay so, as under nohup
OUT=$( (trap '' HUP; $CTL run --group=/ci -- grep SigIgn /proc/self/status) | awk '{ print $2 }')
case $OUT in *[13579bdf]) ;; *) fail "SIGHUP is no longer ignored: $OUT" ;; esac

# A group that is made: in a plain directory nothing can be started in it, as it has no cgroup.procs; it is gone again.
run 4 run -v --group=/made true
complained "/made: made"
complained "/made: removed"
run 4 run true
[ "$(groups)" = "$BEFORE" ] || fail "a group is left: $(groups)"

if [ "$1" = direct ]; then
        run 2 run --claim=1M true
        complained "is kept by the daemon"
else
        put /web memory.max 1048576
        put /web memory.current 0
        run 1 run --group=/web/claimed --claim=2M true
        complained "/web: memory.max is 1.0 MiB"
        [ "$(groups)" = "$BEFORE" ] || fail "a group is left: $(groups)"
fi

# completion: the option means another thing here
OUT=$($CHARGECTL complete -- ${CTL#"$CHARGECTL"} run -p MemoryM | cut -f1)
said "MemoryMax="
OUT=$($CHARGECTL complete -- ${CTL#"$CHARGECTL"} run --k | cut -f1)
is "--keep"
OUT=$($CHARGECTL complete -- ${CTL#"$CHARGECTL"} run --group=/web/a | cut -f1)
is "--group=/web/api"
mkdir "$T/bin"
cp /bin/true "$T/bin/zz-program"
OUT=$(PATH=$T/bin:$PATH $CHARGECTL complete -- run --keep zz-pr | cut -f1)
is zz-program
