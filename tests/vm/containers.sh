# What the cases about container runtimes share: `. "$TESTS/containers.sh"` after lib.sh and suites.sh.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

SYSTEMD1="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"

# start_face [LINE…]: chargehandd as org.freedesktop.systemd1, with further lines for its [Runtime] section. Under a
# real systemd there is nothing to start: the same case then proves itself.
start_face() {
        if under_systemd; then
                DAEMON=1
                return
        fi
        { printf '[Runtime]\nSystemd1=yes\nSystemdDirectory=yes\n'; for _l; do echo "$_l"; done; } >"$TMPDIR/face.conf"
        start_daemon --config="$TMPDIR/face.conf"
        wait_for 10 bus_has org.freedesktop.systemd1
        [ -d /run/systemd/system ] || fail "no /run/systemd/system, although SystemdDirectory=yes"
        [ -S /run/systemd/private ] || fail "no /run/systemd/private"
}

# systemd1 METHOD [SIGNATURE ARGUMENT…]
systemd1() {
        # shellcheck disable=SC2086 # three words
        busctl --system -- call $SYSTEMD1 "$@"
}

# unit_path UNIT: its object, every byte but letters and digits escaped.
unit_path() {
        printf '/org/freedesktop/systemd1/unit/'
        printf %s "$1" | sed 's/[^A-Za-z0-9]/&\n/g' | awk '
                BEGIN { for (i = 1; i < 128; i++) code[sprintf("%c", i)] = i }
                { c = substr($0, length($0)); if (c ~ /[A-Za-z0-9]/) printf "%s", $0
                  else printf "%s_%02x", substr($0, 1, length($0) - 1), code[c] }'
}

# unit_get UNIT PROPERTY: such as MemoryMax of a scope or a slice, without its type.
unit_get() {
        case $2 in
        ActiveState | SubState | LoadState | Description | Id) _i=Unit ;;
        *) case $1 in *.scope) _i=Scope ;; *) _i=Slice ;; esac ;;
        esac
        busctl --system get-property org.freedesktop.systemd1 "$(unit_path "$1")" "org.freedesktop.systemd1.$_i" "$2" |
                cut -d' ' -f2- | tr -d '"'
}

# has_unit PATTERN: whether the manager lists such a unit.
has_unit() {
        case $(systemd1 ListUnitsByPatterns asas 0 1 "$1") in
        *"(ssssssouso) 0") return 1 ;;
        esac
}

has_no_unit() {
        ! has_unit "$1"
}

cg_is_gone() {
        [ ! -d "$CG$1" ]
}

# nothing_left PATTERN GROUP: neither a unit nor a group.
nothing_left() {
        wait_for 20 cg_is_gone "$2"
        wait_for 20 has_no_unit "$1"
}

# runtime ARGUMENT…: $RUNTIME of $SUITE with systemd's cgroup driver.
runtime() {
        in_suite "$SUITE" "$RUNTIME" --systemd-cgroup "$@"
}

# version_ge WANTED: of $RUNTIME in $SUITE
version_ge() {
        _v=$(in_suite "$SUITE" "$RUNTIME" --version | sed -n '1s/.* //p')
        [ "$(printf '%s\n%s\n' "$1" "$_v" | sort -V | head -n 1)" = "$1" ]
}

# status_is ID STATUS
status_is() {
        [ "$(runtime state "$1" | sed -n 's/.*"status": *"\([a-z]*\)".*/\1/p')" = "$2" ]
}

# daemon_fds / daemon_anon: what must not grow. Anonymous memory in kB.
daemon_fds() {
        find "/proc/$DAEMON/fd" -maxdepth 1 -type l | wc -l
}

daemon_anon() {
        awk '/^RssAnon/ { print $2 }' "/proc/$DAEMON/status"
}

# limits MEMORY QUOTA SHARES PIDS: as OCI resources
limits() {
        printf '{"memory":{"limit":%s},"cpu":{"quota":%s,"period":100000,"shares":%s},"pids":{"limit":%s}}' "$@"
}

# check_limits SCOPE LEAF MEMORY CPU-MAX PIDS: the container's own group, and where this runtime says so by the bus, the
# scope and its properties. crun 1.8 only sends CPUWeight.
check_limits() {
        assert_eq "$(cg_read "$2" memory.max)" "$3" "memory.max of $2"
        assert_eq "$(cg_read "$2" cpu.max)" "$4 100000" "cpu.max of $2"
        assert_eq "$(cg_read "$2" pids.max)" "$5" "pids.max of $2"
        [ "$RUNTIME" = runc ] || version_ge 1.18 || return 0
        _u=${1##*/}
        assert_eq "$(cg_read "$1" memory.max)" "$3" "memory.max of $1"
        assert_eq "$(cg_read "$1" cpu.max)" "$4 100000" "cpu.max of $1"
        assert_eq "$(cg_read "$1" pids.max)" "$5" "pids.max of $1"
        assert_eq "$(unit_get "$_u" MemoryMax)" "$3" "MemoryMax of $_u"
        assert_eq "$(unit_get "$_u" CPUQuotaPerSecUSec)" "$(($4 * 10))" "CPUQuotaPerSecUSec of $_u"
        assert_eq "$(unit_get "$_u" TasksMax)" "$5" "TasksMax of $_u"
}

# lifecycle SUITE RUNTIME: a container from its creation to its end.
#
#     /demo.slice/box-one.scope            made by the manager, limits by the bus
#     └── container                        crun only: made by crun, limits written by crun
lifecycle() {
        SUITE=$1 RUNTIME=$2
        note "$SUITE: $(in_suite "$SUITE" "$RUNTIME" --version | head -n 1)"
        life_create
        life_exec
        life_update_and_pause
        life_stats
        life_end
        life_shorter
}

life_create() {
        scope=/demo.slice/box-one.scope leaf=$scope
        [ "$RUNTIME" = runc ] || leaf=$scope/container
        bundle "$TMPDIR/b" 'trap "exit 0" TERM; sleep 1000 & wait' demo.slice:box:one "$(limits 67108864 50000 512 50)"
        runtime create -b "$TMPDIR/b" --pid-file "$TMPDIR/pid" one </dev/null >"$TMPDIR/box.log" 2>&1 ||
                fail "create: $(cat "$TMPDIR/box.log")"
        PID=$(cat "$TMPDIR/pid")
        status_is one created || fail "state: $(runtime state one)"
        assert_eq "$(cg_of "$PID")" $leaf "group of the container"
        assert_eq "$(unit_get box-one.scope ActiveState)" active
        assert_eq "$(unit_get box-one.scope SubState)" running
        assert_eq "$(unit_get box-one.scope ControlGroup)" $scope
        assert_eq "$(unit_get box-one.scope Slice)" demo.slice
        assert_eq "$(unit_get box-one.scope Delegate)" true
        assert_in "$(systemd1 GetUnitByPID u "$PID")" "$(unit_path box-one.scope)"
        check_limits $scope $leaf 67108864 50000 50
        for c in cpu memory pids cpuset io; do
                assert_in " $(cg_read /demo.slice cgroup.subtree_control) " " $c " "controllers for the scope"
        done
        runtime start one
        status_is one running || fail "state: $(runtime state one)"
}

life_exec() {
        assert_eq "$(runtime exec one /bin/echo inside)" inside "output of exec"
        runtime exec -d --pid-file "$TMPDIR/exec.pid" one /bin/sleep 1001 </dev/null >>"$TMPDIR/box.log" 2>&1
        assert_eq "$(cg_of "$(cat "$TMPDIR/exec.pid")")" $leaf "group of what exec started"
        assert_in "$(runtime ps one)" "$(cat "$TMPDIR/exec.pid")" "ps"
        assert_in "$(runtime list)" one "list"
}

life_update_and_pause() {
        runtime update --memory 100663296 --cpu-quota 25000 --cpu-period 100000 --pids-limit 70 one
        check_limits $scope $leaf 100663296 25000 70
        runtime pause one
        assert_eq "$(cg_key $leaf cgroup.events frozen)" 1 "frozen"
        status_is one paused || fail "state: $(runtime state one)"
        runtime resume one
        assert_eq "$(cg_key $leaf cgroup.events frozen)" 0 "frozen"
        status_is one running || fail "state: $(runtime state one)"
}

life_stats() {
        assert_ge "$(unit_get box-one.scope MemoryCurrent)" 4096 "MemoryCurrent of the scope"
        assert_ge "$(unit_get box-one.scope TasksCurrent)" 2 "TasksCurrent of the scope"
        [ "$RUNTIME" = runc ] || return 0
        runtime events --stats one >"$TMPDIR/stats"
        python3 - "$TMPDIR/stats" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))["data"]
assert d["memory"]["usage"]["limit"] == 100663296, d["memory"]["usage"]
assert d["memory"]["usage"]["usage"] > 0 and d["pids"]["current"] >= 2 and d["pids"]["limit"] == 70, d["pids"]
assert d["cpu"]["usage"]["total"] > 0, d["cpu"]
PYTHON
}

life_end() {
        runtime kill one TERM
        wait_for 20 status_is one stopped
        runtime delete one
        nothing_left 'box-*' $scope
}

life_shorter() {
        note "$SUITE $RUNTIME: delete by force, of a container that ignores signals"
        bundle "$TMPDIR/b" 'trap "" TERM; while :; do sleep 1000; done' demo.slice:box:two
        runtime run -d -b "$TMPDIR/b" --pid-file "$TMPDIR/pid" two </dev/null >"$TMPDIR/box.log" 2>&1 ||
                fail "run: $(cat "$TMPDIR/box.log")"
        assert_in "$(cg_of "$(cat "$TMPDIR/pid")")" /demo.slice/box-two.scope
        runtime delete -f two
        nothing_left 'box-*' /demo.slice/box-two.scope

        note "$SUITE $RUNTIME: a container that ends by itself"
        bundle "$TMPDIR/b" 'echo done; exit 3' demo.slice:box:three
        _rc=0
        _out=$(runtime run -b "$TMPDIR/b" three) || _rc=$?
        assert_eq "$_rc $_out" "3 done" "exit code and output"
        nothing_left 'box-*' /demo.slice/box-three.scope
}
