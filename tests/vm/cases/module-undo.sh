# More of what module-backend.sh is about: mlocked pages, shared memory, several payers, a mover that dies.
# suite: kmod
# module: yes
# timeout: 480
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b /g/c

backend() {
        python3 -c '
import json, sys
sums = json.load(open(sys.argv[1]))["backends"].get(sys.argv[2], {})
print(sum(sums.values()) if len(sys.argv) < 4 else sums.get(sys.argv[3], 0))' "$TMPDIR/result" "$@"
}

# nothing_left GROUP: not a page of anonymous memory is charged to it. memory.stat is late, by two seconds.
nothing_left() {
        stat_le "$1" anon 0
}

# python_in GROUP TEXT: runs in the group; it says ready in $READY, and goes on when it gets SIGUSR1.
python_in() {
        READY=$TMPDIR/ready
        rm -f "$READY"
        _group=$1
        cat >"$TMPDIR/program.py" <<EOF
import mmap, os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
def ready():
    with open("$READY", "a") as f: f.write("ready\n")
def wait():
    signal.sigwait({signal.SIGUSR1})
MIB = 1 << 20
$2
time.sleep(10000)
EOF
        cg_run "$_group" python3 "$TMPDIR/program.py"
        wait_for 60 grep -q ready "$READY"
}

ready_times() {
        [ "$(grep -c ready "$READY")" -ge "$1" ]
}

module_load
note "mlocked pages"
start_writer /g/a locked 32
run_move 0 /g/b "$PID"
soon nothing_left /g/a
run_move 0 --policy lazy /g/a "$PID"
soon nothing_left /g/b
check_writer
stop_writer

note "shared memory follows no process, unless asked"
python_in /g/a 'a = mmap.mmap(-1, 8 * MIB)
for i in range(0, len(a), 4096): a[i] = 1
ready()'
run_move 0 /g/b "$PID"
assert_ge "$(staying "shared memory")" $((8 * MIB)) "shared memory"
run_move 0 /g/a "$PID"
run_move 0 --with-shared /g/b "$PID"
assert_ge "$(backend module shmem)" $((8 * MIB)) "shared memory, asked for"
soon stat_ge /g/b shmem $((8 * MIB))
stop_writer

note "two payers: a cancelled move gives each its own back"
python_in /g/c 'a = mmap.mmap(-1, 24 * MIB, flags=mmap.MAP_PRIVATE)
for i in range(0, len(a), 4096): a[i] = 1
ready(); wait()
b = mmap.mmap(-1, 24 * MIB, flags=mmap.MAP_PRIVATE)
for i in range(0, len(b), 4096): b[i] = 1
ready()'
run_move 0 --policy stay /g/a "$PID"
kill -USR1 "$PID"
wait_for 60 ready_times 2
soon stat_ge /g/c anon $((24 * MIB))
run_move 4 --cancel-at 70 /g/b "$PID"
cat result
assert_eq "$(result state)" "rolled back"
assert_eq "$(cg_of "$PID")" /g/a
assert_eq "$(result returned_bytes)" "$(result moved_bytes)"
soon nothing_left /g/b
soon stat_ge /g/c anon $((24 * MIB))
soon stat_ge /g/a anon $((24 * MIB))
stop_writer

note "the mover dies in the middle"
start_writer /g/a small 48
for step in verify charges+; do
        rm -f journal
        run_move 137 --journal "$PWD/journal" --die-at "$step" /g/b "$PID"
        run_move 0 --recover "$PWD/journal"
        if [ $step = verify ]; then
                assert_eq "$(result state)" "rolled back"
                soon nothing_left /g/b
        else
                assert_eq "$(result state)" finished
                soon nothing_left /g/a
        fi
done
check_writer
stop_writer
module_unload
module_clean
