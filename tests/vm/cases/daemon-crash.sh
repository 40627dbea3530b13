# chargehandd is killed with SIGKILL in the middle of moves, at each write of its journal and at odd moments; the next one must end
# what was begun:
#
#     /c/a ◀── writer, 8 MiB ──▶ /c/b        killed at step 1, 2, 3, …, started again
#
# After each round the process is wholly in one of the two groups, nearly all its memory on that group's account, the settings
# are as before, the journal is empty, and no byte is wrong.
# timeout: 900
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/daemon.sh"

ROUNDS=${ROUNDS:-25}

start_doomed() {
        printf '[Debug]\nKillAtStep=%s\n' "$1" >doomed.conf
        start_daemon --config="$TMPDIR/doomed.conf"
}

daemon_is_gone() {
        is_gone "$DAEMON"
}

no_live_job() {
        ! call ListJobs | grep -Eq '"(waiting|running|cancelling)"'
}

# where is the memory? anon of the process's group in percent of both
share() {
        _a=$(cg_key /c/a memory.stat anon)
        _b=$(cg_key /c/b memory.stat anon)
        case $(cg_of "$PID") in
        /c/a) echo $((_a * 100 / (_a + _b))) ;;
        /c/b) echo $((_b * 100 / (_a + _b))) ;;
        *) fail "the process is in '$(cg_of "$PID")'" ;;
        esac
}

has_share() {
        assert_ge "$(share)" 90 "$1"
}

cg_create /c/a /c/b
cg_write /c/a memory.max 256M
cg_write /c/b memory.high 512M
start_writer /c/a small 8
settings /c/a /c/b | grep -v cgroup.procs >before

finished=0 rolled=0 nothing_left=0
for round in $(seq 1 "$ROUNDS"); do
        step=$((round % 8 + 1))
        case $(cg_of "$PID") in
        /c/a) target=/c/b ;;
        *) target=/c/a ;;
        esac
        # every third move runs out of time, so that steps of the rollback are met too: at this rate it takes two seconds
        limit=0 rate=0
        [ $((round % 3)) -ne 0 ] || limit=400000 rate=4194304
        if [ $((round % 5)) -eq 0 ]; then
                start_doomed 0
                call Move 'a{sv}' 4 pids au 1 "$PID" target s $target timeout_usec t $limit rate_bytes_per_sec t $rate >/dev/null
                sleep "0.$((round * 7 % 10))"
                kill -KILL "$DAEMON"
        else
                start_doomed $step
                call Move 'a{sv}' 4 pids au 1 "$PID" target s $target timeout_usec t $limit rate_bytes_per_sec t $rate >/dev/null 2>&1 || true
                wait_for 60 sh -c "[ ! -d /proc/$DAEMON ] || grep -q '^State:.Z' /proc/$DAEMON/status ||
                        ! busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager ListJobs |
                        grep -Eq '\"(waiting|running|cancelling)\"'"
                # it may end by its own hook between the two
                daemon_is_gone || kill -KILL "$DAEMON" 2>/dev/null || true
        fi
        wait "$DAEMON" 2>/dev/null || true
        left=$(find /run/chargehand/moves -name '*.json' 2>/dev/null | wc -l)
        start_daemon
        wait_for 60 no_live_job
        state=$(call ListJobs | grep -Eo '"(finished|rolled back|partly done|failed|cancelled)"' | tail -n 1 || true)
        case $left/$state in
        0/*) nothing_left=$((nothing_left + 1)) ;;
        */'"finished"' | */'"partly done"') finished=$((finished + 1)) ;;
        */'"rolled back"' | */'"cancelled"') rolled=$((rolled + 1)) ;;
        *) cat "$TMPDIR/daemon.log"; fail "round $round, step $step: $left entries, then '$state'" ;;
        esac
        soon has_share "round $round, step $step, $state: per cent on the account of its group"
        settings /c/a /c/b | grep -v cgroup.procs >after
        diff before after || fail "round $round: settings changed"
        assert_eq "$(find /run/chargehand/moves -name '*.json' | wc -l)" 0 "entries in the journal"
        stop_daemon >/dev/null
done
check_writer
emit finished $finished
emit rolled_back $rolled
emit nothing_left $nothing_left
assert_eq $((finished + rolled + nothing_left)) "$ROUNDS"
# The rounds whose end depends on no timing: killed at step 4 (charges) or 5 without a limit; killed at steps 1 to 3.
if [ "$ROUNDS" -ge 25 ]; then
        assert_ge $finished 3 "rounds that were finished"
        assert_ge $rolled 5 "rounds that were rolled back"
fi
stop_writer
