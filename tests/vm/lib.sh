# Small verbs for the cases: `. "$TESTS/lib.sh"`. README.md beside it tells how a case is written.
# Plain sh. Every verb that fails says what it saw and ends the case.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

CG=/sys/fs/cgroup

fail() {
        echo "FAIL: $*"
        exit 1
}

# skip REASON…: the case cannot run here; not a failure.
skip() {
        echo "skip: $*"
        exit 77
}

note() {
        echo "-- $*"
}

# assert_eq GOT WANT [WHAT]
assert_eq() {
        [ "$1" = "$2" ] || fail "${3:-value}: got '$1', want '$2'"
}

assert_ne() {
        [ "$1" != "$2" ] || fail "${3:-value}: got '$1', which must not be"
}

# assert_close GOT WANT PERCENT [WHAT]: integers, within PERCENT of WANT.
assert_close() {
        awk -v g="$1" -v w="$2" -v p="$3" \
                'BEGIN { d = g - w; if (d < 0) d = -d; m = w < 0 ? -w : w; exit !(d * 100 <= m * p) }' ||
                fail "${4:-value}: got $1, want $2 within $3 %"
}

# assert_ge GOT LOWEST [WHAT] / assert_le GOT HIGHEST [WHAT]
assert_ge() {
        awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 >= b + 0) }' || fail "${3:-value}: got $1, want at least $2"
}

assert_le() {
        awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 <= b + 0) }' || fail "${3:-value}: got $1, want at most $2"
}

# assert_in TEXT PIECE [WHAT]
assert_in() {
        case $1 in
        *"$2"*) ;;
        *) fail "${3:-text}: '$2' is not in '$1'" ;;
        esac
}

# assert_fails COMMAND…: it must end with a non-zero code, and not by a signal. Its output is in $ERR.
assert_fails() {
        _rc=0
        ERR=$("$@" 2>&1) || _rc=$?
        [ $_rc -ne 0 ] || fail "'$*' should have failed; it said: $ERR"
        [ $_rc -lt 126 ] || fail "'$*' ended with $_rc: $ERR"
}

# deadline SECONDS: the uptime then; at least half a minute, for it ends waiting that is in vain, and nothing else.
deadline() {
        awk -v s="$1" -v f="${SLOW:-1}" '{ print $1 + (s < 30 ? 30 : s) * f; exit }' /proc/uptime
}

is_before() {
        awk -v l="$1" '{ exit !($1 < l) }' /proc/uptime
}

# wait_for SECONDS COMMAND…: until the command succeeds; polls, never sleeps a guess.
wait_for() {
        _limit=$(deadline "$1")
        shift
        until "$@" 2>/dev/null; do
                is_before "$_limit" || fail "waited in vain for: $*"
                sleep 0.05
        done
}

# soon COMMAND…: an assertion, or a function of such, about what becomes true by itself: the kernel adds memory.stat up every two
# seconds, the model of the daemon follows events. Tried again for half a minute; what it said last is the failure.
soon() {
        _limit=$(deadline 30)
        until _said=$("$@" 2>&1); do
                is_before "$_limit" || { echo "$_said"; fail "it stayed so: $*"; }
                sleep 0.1
        done
}

# stat_ge / stat_le GROUP KEY BYTES [WHAT]: a count of memory.stat. It may be late by 64 pages per CPU and more: to be used with soon.
stat_ge() {
        assert_ge "$(cg_key "$1" memory.stat "$2")" "$3" "${4:-$2 of $1}"
}

stat_le() {
        assert_le "$(cg_key "$1" memory.stat "$2")" "$3" "${4:-$2 of $1}"
}

# limited SECONDS COMMAND…: ended after so long on an idle machine
limited() {
        _seconds=$(awk -v s="$1" -v f="${SLOW:-1}" 'BEGIN { print s * f }')
        shift
        timeout "$_seconds" "$@"
}

# Groups are named by their path from the root, such as /web/api.
cg_exists() {
        [ -d "$CG$1" ]
}

# cg_create GROUP…: with its parents, all controllers enabled in those.
cg_create() {
        for _g; do
                _path=$CG
                _rest=${_g#/}
                while [ -n "$_rest" ]; do
                        _part=${_rest%%/*}
                        case $_rest in */*) _rest=${_rest#*/} ;; *) _rest= ;; esac
                        _path=$_path/$_part
                        [ -d "$_path" ] || mkdir "$_path" || fail "cannot create $_path"
                        [ -z "$_rest" ] || cg_enable "${_path#"$CG"}"
                done
        done
}

# cg_enable GROUP: all controllers it has, for its children.
cg_enable() {
        for _c in $(cat "$CG$1/cgroup.controllers"); do
                echo "+$_c" >"$CG$1/cgroup.subtree_control" || fail "cannot enable $_c in $1"
        done
}

cg_remove() {
        find "$CG$1" -depth -type d -exec rmdir {} \; || fail "cannot remove $1"
}

# cg_read GROUP FILE / cg_key GROUP FILE KEY (flat-keyed files such as memory.stat) / cg_write GROUP FILE VALUE
cg_read() {
        cat "$CG$1/$2"
}

cg_key() {
        awk -v k="$3" '$1 == k { print $2; found = 1 } END { exit !found }' "$CG$1/$2"
}

cg_write() {
        echo "$3" >"$CG$1/$2" || fail "cannot write '$3' to $1/$2"
}

# cg_move GROUP PID…
cg_move() {
        _g=$1
        shift
        for _p; do echo "$_p" >"$CG$_g/cgroup.procs" || fail "cannot move $_p to $_g"; done
}

# cg_of PID: its group.
cg_of() {
        sed -n 's/^0:://p' "/proc/$1/cgroup"
}

# cg_run GROUP COMMAND…: in the background, inside the group from its first instruction; its pid is in $PID.
cg_run() {
        _g=$1
        shift
        sh -c 'echo 0 >"$0" && exec "$@"' "$CG$_g/cgroup.procs" "$@" &
        PID=$!
        wait_for 10 sh -c "grep -q '^0::$_g\$' /proc/$PID/cgroup"
}

# as_tester COMMAND…: as the unprivileged user.
as_tester() {
        setpriv --reuid=1000 --regid=1000 --clear-groups "$@"
}

has_program() {
        command -v "$1" >/dev/null 2>&1
}

bus_has() {
        dbus-send --system --print-reply=literal --dest=org.freedesktop.DBus /org/freedesktop/DBus \
                org.freedesktop.DBus.NameHasOwner "string:$1" | grep -q 'boolean true'
}

# start_daemon [ARGUMENTS…]: chargehandd on the system bus, waited for; pid in $DAEMON, log in $TMPDIR/daemon.log.
start_daemon() {
        has_program chargehandd || skip "chargehandd is not built"
        chargehandd "$@" >>"$TMPDIR/daemon.log" 2>&1 &
        DAEMON=$!
        wait_for 30 daemon_is_up
}

daemon_is_up() {
        if [ ! -d "/proc/$DAEMON" ] || grep -q '^State:.Z' "/proc/$DAEMON/status"; then
                cat "$TMPDIR/daemon.log"
                fail "chargehandd ended at start"
        fi
        bus_has org.chargehand1
}

# stop_daemon [SIGNAL]
stop_daemon() {
        kill "-${1:-TERM}" "$DAEMON"
        _rc=0
        wait "$DAEMON" || _rc=$?
        echo "chargehandd ended with $_rc"
}

# kernel_log: what the kernel said since kernel_mark, which module_load calls once for a case.
kernel_mark() {
        _mark="case $CASE marks its place at $(cut -d' ' -f1 /proc/uptime)"
        echo "<6>chargehand-vm: $_mark" >/dev/kmsg
}

kernel_log() {
        dmesg | awk -v mark="${_mark:?kernel_mark comes first}" 'index($0, mark) { seen = 1 } seen'
}

# module_load [NAME=VALUE…]: chargehand.ko with these parameters; ends the case if it does not load.
module_load() {
        [ -n "${_mark:-}" ] || kernel_mark
        _said=$(modprobe chargehand "$@" 2>&1) || {
                kernel_log
                fail "chargehand.ko does not load: $_said"
        }
        [ -c /dev/chargehand ] || fail "chargehand.ko is loaded, and there is no /dev/chargehand"
}

module_unload() {
        _said=$(rmmod chargehand 2>&1) || fail "chargehand.ko does not unload: $_said"
        [ ! -e /dev/chargehand ] || fail "chargehand.ko is gone, and /dev/chargehand is still there"
}

# module_clean: the kernel has not complained since module_load or kernel_mark; lockdep, KASAN and kmemleak say it like this too.
module_clean() {
        _bad='WARNING|BUG:|Oops|KASAN|UBSAN|general protection|INFO: (task|trying|rcu)|Bad page|corruption|underflow'
        _said=$(kernel_log | grep -E "$_bad|refcount_t|suspected memory leak") || return 0
        kernel_log | tail -n 100
        fail "the kernel complained: $_said"
}

# emit NAME VALUE: one figure of this case, for the host: a line NAME VALUE in $OUT/CASE.figures.
emit() {
        echo "$1 $2" >>"$OUT/$CASE.figures"
        note "$1 = $2"
}
