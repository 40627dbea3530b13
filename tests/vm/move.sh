# Verbs of the cases about moves: `. "$TESTS/move.sh"` after lib.sh.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

# Only who asks for huge pages gets them, and khugepaged keeps its hands off the rest.
THP=/sys/kernel/mm/transparent_hugepage/enabled
trap 'echo always >$THP' EXIT
echo madvise >$THP

# start_writer GROUP MODE MIB [STEP]: pid in $PID, when all its memory is touched.
start_writer() {
        READY=$TMPDIR/ready
        rm -f "$READY"
        _group=$1
        shift
        cg_run "$_group" prog-writer "$READY" "$@"
        wait_for 60 grep -q ready "$READY"
}

# check_writer: no byte of its memory is wrong; it is still running.
check_writer() {
        _n=$(grep -c checked "$READY" || true)
        kill -USR1 "$PID"
        wait_for 60 checked_more "$_n"
        _last=$(tail -n 1 "$READY")
        case $_last in
        "checked "*" 0") note "writer: $_last" ;;
        *) fail "the writer's memory is wrong: $_last" ;;
        esac
}

checked_more() {
        [ "$(grep -c checked "$READY")" -gt "$1" ]
}

stop_writer() {
        kill -KILL "$PID"
        wait_for 20 is_gone "$PID"
}

is_gone() {
        [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

# rss_of PID: resident anonymous bytes, which is what a move can make grow; file pages come and go with what the program does.
rss_of() {
        awk '$1 == "Anonymous:" { print $2 * 1024 }' "/proc/$1/smaps_rollup"
}

# run_move EXIT ARGUMENTS…: prog-move must end with that code; result in $TMPDIR/result, error in $TMPDIR/error.
run_move() {
        _want=$1
        shift
        _rc=0
        prog-move "$@" >"$TMPDIR/result" 2>"$TMPDIR/error" || _rc=$?
        if [ $_rc -ne "$_want" ]; then
                cat "$TMPDIR/result" "$TMPDIR/error"
                fail "prog-move $*: ended with $_rc, want $_want"
        fi
}

# result PYTHON-PATH: a member of the result, such as state or processes[0].outcome.
result() {
        python3 -c '
import json, re, sys
value = json.load(open(sys.argv[1]))
for part in re.findall(r"[^.\[\]]+", sys.argv[2]):
    value = value[int(part)] if isinstance(value, list) else value.get(part, "")
print(json.dumps(value) if isinstance(value, (dict, list)) else value)' "$TMPDIR/result" "$1"
}

# staying REASON: bytes of the plan or result that stay for that reason.
staying() {
        python3 -c '
import json, sys
print(sum(s["bytes"] for s in json.load(open(sys.argv[1]))["staying"] if s["reason"] == sys.argv[2]))' \
                "$TMPDIR/result" "$1"
}

# attributes GROUP…: all settings, members and charges of groups, to be compared before and after. What moves by itself
# (pressure, CPU time, events of the limits, per-CPU stock) is left out.
attributes() {
        for _g; do
                grep -s . "$CG$_g"/* /dev/null | grep -vE '/(cpu\.stat|cgroup\.stat|memory\.(numa_stat|peak|current|events)|.*\.pressure|pids\.)' |
                        grep -vE '/memory\.stat:' || true
                grep -sE '^file ' "$CG$_g/memory.stat" /dev/null || true
        done
}

# memory_of GROUP…: what is charged, by kind; not what is mapped, which changes with the tools that use the same libraries
memory_of() {
        for _g; do
                grep -E '^(anon|shmem|anon_thp) ' "$CG$_g/memory.stat" | sed "s|^|$_g |"
        done
}

# The timer that adds counts up does not wake an idle CPU.
wake_cpus() {
        for _cpu in $(seq 0 $(($(nproc) - 1))); do taskset -c "$_cpu" sleep 0.02; done
}

# memory_is_still GROUP…: two pictures further apart than the kernel takes to add its counts up (2 s) are alike. The processes
# must not touch new memory.
memory_is_still() {
        memory_of "$@" >"$TMPDIR/memory"
        sleep 2.3
        wake_cpus
        sleep 0.2
        memory_of "$@" | cmp -s - "$TMPDIR/memory"
}

# picture GROUP…: members, all that can be set and what is charged, once that is still; to be compared before and after.
picture() {
        wait_for 60 memory_is_still "$@"
        attributes "$@"
        cat "$TMPDIR/memory"
}

# cg_kill_all GROUP…: end everything in it, and wait for that.
cg_kill_all() {
        for _g; do
                echo 1 >"$CG$_g/cgroup.kill"
                wait_for 20 grep -q "populated 0" "$CG$_g/cgroup.events"
        done
}
