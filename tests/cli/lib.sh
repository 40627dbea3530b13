# What the scripts of this directory share: a fake hierarchy of plain files, a private bus with a real chargehandd, small
# assertions. `. "$(dirname "$0")/lib.sh"`. From meson: $CHARGECTL, $CHARGEHANDD.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

set -eu
T=$(mktemp -d)
ROOT=$T/root
PIDS=

cleanup() {
        for _p in $PIDS; do kill "$_p" 2>/dev/null || :; done
        rm -rf "$T"
}
trap cleanup EXIT

fail() {
        echo "FAIL: $*"
        [ ! -s "$T/daemon.log" ] || sed 's/^/daemon: /' "$T/daemon.log"
        exit 1
}

# put GROUP FILE TEXT
put() {
        printf '%s\n' "$3" >"$ROOT$1/$2"
}

# fake_group GROUP MEMORY POPULATED FROZEN
fake_group() {
        mkdir -p "$ROOT$1"
        put "$1" cgroup.controllers "cpu memory pids"
        put "$1" cgroup.type domain
        put "$1" cgroup.events "populated $3
frozen $4"
        put "$1" memory.current "$2"
        put "$1" memory.max max
        put "$1" memory.high max
        put "$1" memory.stat "anon 4096
file 8192"
        put "$1" cpu.weight 100
        put "$1" cpu.max "max 100000"
        put "$1" pids.current 3
        put "$1" pids.max max
        put "$1" cgroup.freeze "$4"
        : >"$ROOT$1/cgroup.subtree_control"
        : >"$ROOT$1/cgroup.procs"
}

fake_root() {
        fake_group "" 1073741824 1 0
        put "" cgroup.subtree_control "cpu memory pids"
        fake_group /web 536870912 1 0
        put /web memory.max 1073741824
        put /web cgroup.subtree_control "cpu memory pids"
        fake_group /web/api 4096 0 0
        fake_group /web/static 0 1 1
        fake_group /ci 0 0 0
}

# run CODE ARGUMENTS…: chargectl must end with that code; what it said is in $OUT and $ERR.
run() {
        _want=$1
        shift
        _rc=0
        OUT=$($CTL "$@" 2>"$T/err") || _rc=$?
        ERR=$(cat "$T/err")
        [ "$_rc" -eq "$_want" ] || fail "chargectl $*: ended with $_rc, not $_want: $OUT $ERR"
        case $ERR in *Sanitizer*) fail "chargectl $*: $ERR" ;; esac
}

# said TEXT / complained TEXT: it is in the output of the last run / on its standard error.
said() {
        case $OUT in *"$1"*) ;; *) fail "'$1' is not in: $OUT" ;; esac
}

complained() {
        case $ERR in *"$1"*) ;; *) fail "'$1' is not in: $ERR" ;; esac
}

# is WANT: the whole output of the last run
is() {
        [ "$OUT" = "$1" ] || fail "got '$OUT', want '$1'"
}

# json EXPRESSION WANT: over the last output as the object o
json() {
        _got=$(printf '%s' "$OUT" | python3 -c 'import json, sys; o = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1") ||
                fail "no JSON, or no '$1' in it: $OUT"
        [ "$_got" = "$2" ] || fail "$1 is '$_got', not '$2': $OUT"
}

# wait_for COMMAND…: until it succeeds; a minute only if it is in vain
wait_for() {
        _tries=600
        until "$@" >/dev/null 2>&1; do
                _tries=$((_tries - 1))
                [ $_tries -gt 0 ] || fail "waited in vain for: $*"
                sleep 0.1
        done
}

start_bus() {
        command -v dbus-daemon >/dev/null || {
                echo "skip: no dbus-daemon"
                exit 77
        }
        cat >"$T/bus.conf" <<X
<busconfig>
  <listen>unix:path=$T/bus</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
X
        dbus-daemon --config-file="$T/bus.conf" --nofork 2>"$T/bus.log" &
        PIDS="$PIDS $!"
        wait_for test -S "$T/bus"
        ADDRESS=unix:path=$T/bus
}

start_daemon() {
        "$CHARGEHANDD" --mode=private --root="$ROOT" --any-fs --bus="$ADDRESS" --state="$T/state" --config="$T/conf" \
                >>"$T/daemon.log" 2>&1 &
        DAEMON=$!
        PIDS="$PIDS $DAEMON"
        wait_for $CTL status
}
